import {
  type BackendState,
  backendStateNames,
  type DatapathMaps,
  type DryRun,
  type ServiceRow,
} from '@sluice/datapath';
import type { EndpointTable } from '@sluice/endpoint';
import type { LoadBalancer } from '@sluice/loadbalancer';
import { protocolName } from '@sluice/model';
import type { Address } from '@sluice/net';
import type { NodeFacts, NodesFeature } from '@sluice/nodes';
import type { Agent } from '../agent.ts';
import { labelsOfIdentity } from '../identity-rows.ts';
import type { NameOf } from '../names.ts';
import type { StatusReport } from '../report.ts';
import type { NameSources } from './destination.ts';

/** What an explanation is made of: tables for names and words, the programs for what becomes of a packet. */
export interface ExplainSources extends NameSources {
  readonly nodeName: string;
  readonly endpoints: EndpointTable;
  readonly nodes: Pick<NodesFeature, 'nodes' | 'ips' | 'nodePortAddresses'>;
  readonly facts: NodeFacts;
  /** Undefined: services are left to another load balancer. */
  readonly frontends: LoadBalancer['frontends'] | undefined;
  readonly endpointsOf: LoadBalancer['endpointsOf'];
  /** This node's. */
  readonly zone: () => string | undefined;
  /** The slots of a row, as the kernel has them. */
  readonly backendsOf: (row: Pick<ServiceRow, 'serviceId' | 'generation' | 'backendCount'>) => KernelBackend[];
  readonly dryRun: DryRun;
  readonly nameOf: NameOf;
  readonly interfaceOf: (ifindex: number) => string;
  readonly labelsOf: (identity: number) => readonly string[];
  readonly reachability: () => StatusReport['nodes'];
  readonly foreignPrograms: () => StatusReport['foreignPrograms'];
  /** A port that a client's kernel may choose. */
  readonly anyPort: () => number;
}

export interface KernelBackend {
  readonly address: Address;
  readonly port: number;
  readonly protocol: string;
  readonly state: string;
}

/** Throws where the agent is not ready to answer. */
export function explainSources(agent: Agent): ExplainSources {
  const { datapath, endpoints, nodes, kubernetes } = agent;
  if (!datapath || !endpoints || !nodes.facts) throw new Error(nodes.problem ?? 'the agent is starting');
  return {
    services: kubernetes.services,
    endpointSlices: kubernetes.endpointSlices,
    nodeName: agent.options.nodeName,
    endpoints: endpoints.table,
    nodes,
    facts: nodes.facts,
    frontends: agent.loadBalancer?.frontends,
    endpointsOf: (row) => agent.loadBalancer?.endpointsOf(row) ?? [],
    zone: () => kubernetes.nodes.get(agent.options.nodeName)?.zone,
    backendsOf: (row) => backendsOf(datapath.maps, row),
    dryRun: datapath.dryRun(),
    nameOf: agent.nameOf,
    interfaceOf: (ifindex) => agent.interfaceOf(ifindex),
    labelsOf: (identity) => labelsOfIdentity(kubernetes, identity),
    reachability: () => agent.reachability.report(),
    foreignPrograms: () => agent.foreignPrograms().foreignPrograms,
    anyPort,
  };
}

/** A slot that is gone belongs to a row that has just been replaced. */
function backendsOf(
  { slots, backends }: Pick<DatapathMaps, 'slots' | 'backends'>,
  { serviceId, generation, backendCount }: Pick<ServiceRow, 'serviceId' | 'generation' | 'backendCount'>,
): KernelBackend[] {
  return Array.from({ length: backendCount }, (_, slot) => slots.lookup({ serviceId, generation, slot })).flatMap(
    (slot) => {
      const backend = slot && backends.lookup(slot.backendId);
      if (backend?.address === undefined) return [];
      const { address, port, protocol, state } = backend;
      return [
        {
          address,
          port,
          protocol: protocolName(protocol),
          state: backendStateNames[state as BackendState] ?? String(state),
        },
      ];
    },
  );
}

// net.ipv4.ip_local_port_range, as it is unless somebody changes it.
const portMin = 32_768;
const portMax = 60_999;

function anyPort(): number {
  return portMin + Math.floor(Math.random() * (portMax - portMin + 1));
}
