import { objectKey, type ServiceObject } from '@sluice/kube';
import type { Address } from '@sluice/net';
import type { Agent } from './agent.ts';

/** Who has an address, as far as this node knows: `namespace/pod`, `service namespace/name`, `node NAME`, or empty. */
export type NameOf = (address: Address | undefined) => string;

/** Pods, nodes, and what is behind services: what an address is called. */
export function nameAddresses(agent: Pick<Agent, 'endpoints' | 'nodes' | 'kubernetes'>): NameOf {
  return (address) =>
    address === undefined
      ? ''
      : (podName(agent, address) ??
        remotePodName(agent, address) ??
        nodeName(agent, address) ??
        sliceName(agent, address) ??
        serviceName(agent, address) ??
        '');
}

/** By endpoint id: `namespace/pod`, or empty. */
export function nameEndpoints(agent: Pick<Agent, 'endpoints'>): (id: number) => string {
  return (id) => {
    const pod = agent.endpoints?.table.list().find((row) => row.id === id)?.pod;
    return pod === undefined ? '' : `${pod.namespace}/${pod.name}`;
  };
}

function podName({ endpoints }: Pick<Agent, 'endpoints'>, address: Address): string | undefined {
  const [endpoint] = endpoints?.table.by('address', address) ?? [];
  return endpoint?.pod && `${endpoint.pod.namespace}/${endpoint.pod.name}`;
}

/** As its node publishes it. */
function remotePodName({ nodes }: Pick<Agent, 'nodes'>, address: Address): string | undefined {
  return nodes.ipcache.podAt(address);
}

function nodeName({ nodes }: Pick<Agent, 'nodes'>, address: Address): string | undefined {
  const node = nodes.nodes
    .list()
    .find((row) => row.addresses.includes(address) || row.routerAddresses.includes(address));
  return node && `node ${node.name}`;
}

function sliceName({ kubernetes }: Pick<Agent, 'kubernetes'>, address: Address): string | undefined {
  for (const slice of kubernetes.endpointSlices.list()) {
    const pod = slice.endpoints.find((endpoint) => endpoint.addresses.includes(address))?.pod;
    if (pod) return `${pod.namespace}/${pod.name}`;
  }
  return undefined;
}

/** A balancer's address has a name where one service alone has it. */
function serviceName({ kubernetes }: Pick<Agent, 'kubernetes'>, address: Address): string | undefined {
  const balanced: ServiceObject[] = [];
  for (const service of kubernetes.services.list()) {
    if (service.clusterIps.includes(address)) return `service ${objectKey(service)}`;
    if (hasBalancer(service, address)) balanced.push(service);
  }
  const [only, ...others] = balanced;
  return only && others.length === 0 ? `service ${objectKey(only)}` : undefined;
}

function hasBalancer({ loadBalancerIngress }: ServiceObject, address: Address): boolean {
  return loadBalancerIngress.some((ingress) => ingress.address === address && ingress.ipMode === 'VIP');
}
