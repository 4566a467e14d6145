import type { AskedProgram } from '@sluice/datapath';
import { type Endpoint, podName } from '@sluice/endpoint';
import { ownLabels } from '@sluice/identity';
import { identityName } from '@sluice/model';
import type { Address, Mac } from '@sluice/net';
import { QueryError } from '../query.ts';
import type { ExplainStep } from '../report.ts';
import type { ExplainSources } from './sources.ts';

/** Who connects, and which program has its packets first. */
export interface Client {
  readonly name: string;
  /** Where names are searched first. */
  readonly namespace: string;
  readonly isHost: boolean;
  readonly ipv4: Address | undefined;
  readonly ipv6: Address | undefined;
  readonly netnsCookie: bigint;
  readonly program: AskedProgram;
  /** Where that program sees them. */
  readonly ifindex: number;
  readonly device: string;
  readonly mac: Mac;
  readonly step: ExplainStep;
}

/** Throws QueryError that says where to ask instead. */
export function findClient(from: string, sources: ExplainSources): Client {
  return from === 'host' ? hostClient(sources) : podClient(findEndpoint(from, sources), sources);
}

export function familiesOf({ ipv4, ipv6 }: Pick<Client, 'ipv4' | 'ipv6'>): (4 | 6)[] {
  return [...(ipv4 ? [4 as const] : []), ...(ipv6 ? [6 as const] : [])];
}

function podClient(endpoint: Endpoint, { nodeName, facts, labelsOf }: ExplainSources): Client {
  const { ipv4, ipv6, hostName, identity } = endpoint;
  const labels = ownLabels(endpoint.labels ?? labelsOf(identity)).join(', ');
  const addresses = [ipv4, ipv6].filter((address) => address !== undefined);
  const name = podName(endpoint);
  return {
    name,
    namespace: endpoint.pod?.namespace ?? '',
    isHost: false,
    ipv4,
    ipv6,
    netnsCookie: endpoint.netnsCookie,
    program: 'pod_from_pod',
    ifindex: endpoint.hostIfindex,
    device: hostName,
    mac: endpoint.podMac,
    step: {
      step: 'pod',
      text: `${name} on ${nodeName}: ${addresses.join(', ')}; interface ${hostName}; identity ${identityName(identity)}${labels && ` (${labels})`}`,
      facts: { pod: name, node: nodeName, interface: hostName, identity, gatewayMac: facts.hostMac },
    },
  };
}

const hostIdentity = 1;

/** Its packets to pods and services come by sluice_net. */
function hostClient({ nodeName, facts, interfaceOf }: ExplainSources): Client {
  const { gatewayIpv4, gatewayIpv6 } = facts;
  return {
    name: `node ${nodeName}`,
    namespace: '',
    isHost: true,
    ipv4: gatewayIpv4,
    ipv6: gatewayIpv6,
    netnsCookie: 0n,
    program: 'host_from_host',
    ifindex: facts.netIfindex,
    device: interfaceOf(facts.netIfindex),
    mac: facts.hostMac,
    step: {
      step: 'pod',
      text: `the processes of node ${nodeName} itself, which pods know by ${[gatewayIpv4, gatewayIpv6].filter(Boolean).join(', ')}`,
      facts: { node: nodeName, identity: hostIdentity },
    },
  };
}

/** By name, or namespace and name; the beginning of the name is enough where it is the only one. */
function findEndpoint(from: string, { endpoints, nodes, nodeName }: ExplainSources): Endpoint {
  const found = named(endpoints.list(), podName, from);
  if (found.length > 1) throw new QueryError(`pod ${from}: may be ${found.map(podName).join(', ')}; say which`);
  const [endpoint] = found;
  if (endpoint) return endpoint;
  const away = [...nodes.ips()].filter(({ pod, node }) => pod !== undefined && node !== '');
  const [elsewhere] = named(away, ({ pod }) => pod ?? '', from);
  if (elsewhere) {
    throw new QueryError(`pod ${elsewhere.pod} is on node ${elsewhere.node}: ask the agent there, this is ${nodeName}`);
  }
  throw new QueryError(
    `no pod ${from} on ${nodeName}; "sluice endpoint list" shows those that are here, and one of the host's network is "host"`,
  );
}

function named<Row>(rows: readonly Row[], nameOf: (row: Row) => string, from: string): Row[] {
  const wanted = from.includes('/') ? from : `/${from}`;
  const part = (row: Row) => nameOf(row).slice(from.includes('/') ? 0 : nameOf(row).indexOf('/'));
  const exact = rows.filter((row) => part(row) === wanted);
  return exact.length > 0 ? exact : rows.filter((row) => part(row).startsWith(wanted));
}
