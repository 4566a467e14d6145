import { nearest } from '@sluice/config';
import { podName } from '@sluice/endpoint';
import { type Address, familyOf, type Prefix, parseAddress, tryParseAddress } from '@sluice/net';
import { QueryError } from '../query.ts';
import type { ServiceClientKind } from '../report.ts';
import { findClient } from './client.ts';
import type { ExplainSources } from './sources.ts';

/** Somebody who asks a service, as the programs of this node see him. */
export interface ServiceClient {
  readonly kind: ServiceClientKind;
  readonly name: string;
  /** Undefined: he has none of this family. */
  address(family: 4 | 6): Address | undefined;
  /** Nobody named his address: one of those that are let in stands for it. */
  readonly isAnybody: boolean;
  /** His own node translates what is not addressed to this one; undefined: that is this node, or nobody. */
  readonly ownNode: string | undefined;
}

/** The one that is named, or one of each kind. Throws QueryError that says who there is. */
export function serviceClients(from: string | undefined, sources: ExplainSources): ServiceClient[] {
  return from === undefined ? [...somePod(sources), thisNode(sources), outside(undefined)] : [named(from, sources)];
}

function named(from: string, sources: ExplainSources): ServiceClient {
  const { nodeName, nodes } = sources;
  const [kind, ...rest] = from.split(':');
  if (kind === 'outside') return outside(rest.length === 0 ? undefined : outsideAddress(rest.join(':')));
  if (from === 'host' || from === nodeName) return thisNode(sources);
  const names = nodes.nodes.list().map(({ name }) => name);
  if (names.includes(from)) return otherNode(from, sources);
  try {
    return pod(from, sources);
  } catch (error) {
    const near = nearest(from, [...names, 'outside', 'host', ...sources.endpoints.list().map(podName)]);
    if (!(error instanceof QueryError) || near === undefined || near === from) throw error;
    throw new QueryError(`${error.message}; did you mean ${near}?`, { cause: error });
  }
}

function outsideAddress(text: string): Address {
  const address = tryParseAddress(text.replace(/^\[|\]$/g, ''));
  if (address === undefined) throw new QueryError(`outside:${text}: an address, such as outside:198.51.100.7`);
  return address;
}

/** For documentation (RFC 5737, RFC 3849): the cluster's own are others. */
const strangers = { 4: parseAddress('192.0.2.1'), 6: parseAddress('2001:db8::1') } as const;

function outside(address: Address | undefined): ServiceClient {
  return {
    kind: 'outside',
    name: address === undefined ? 'anybody outside' : `${address} outside`,
    address: (family) =>
      address === undefined ? strangers[family] : familyOf(address) === family ? address : undefined,
    isAnybody: address === undefined,
    ownNode: undefined,
  };
}

/** Who stands for anybody outside where only some are let in. */
export function strangerOf(family: 4 | 6, ranges: readonly Prefix[]): Address {
  return ranges[0]?.address ?? strangers[family];
}

function thisNode({ nodeName, facts }: ExplainSources): ServiceClient {
  return {
    ...{ kind: 'node', name: `processes of ${nodeName}`, isAnybody: false, ownNode: undefined },
    address: (family) => (family === 4 ? facts.gatewayIpv4 : facts.gatewayIpv6),
  };
}

function otherNode(name: string, { nodes }: ExplainSources): ServiceClient {
  const addresses = nodes.nodes.get(name)?.addresses ?? [];
  return {
    ...{ kind: 'outside', name: `processes of ${name}`, isAnybody: false, ownNode: name },
    address: (family) => addresses.find((address) => familyOf(address) === family),
  };
}

function pod(from: string, sources: ExplainSources): ServiceClient {
  const { name, ipv4, ipv6 } = findClient(from, sources);
  return {
    ...{ kind: 'pod', name: `pod ${name}`, isAnybody: false, ownNode: undefined },
    address: (family) => (family === 4 ? ipv4 : ipv6),
  };
}

/** The first one stands for all pods of this node; where there is none, nobody asks as one. */
function somePod({ endpoints }: ExplainSources): ServiceClient[] {
  const [first] = endpoints.list();
  if (first === undefined) return [];
  const { ipv4, ipv6 } = first;
  return [
    {
      ...{ kind: 'pod', name: `a pod here (${podName(first)})`, isAnybody: false, ownNode: undefined },
      address: (family) => (family === 4 ? ipv4 : ipv6),
    },
  ];
}
