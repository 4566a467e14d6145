import type { ServiceAlgorithm, ServiceForwardingMode, TrafficPolicy } from '@sluice/kube';
import type { Protocol } from '@sluice/model';
import { type Address, formatAddressPort, type Prefix, parseAddress } from '@sluice/net';

/** `10.96.0.10:53/UDP`: the name of a frontend or a backend, from the API as from the maps. */
export function keyOf(
  place: { readonly address: Address | undefined; readonly port: number },
  protocol: string,
): string {
  return `${formatAddressPort(place.address ?? unspecified, place.port)}/${protocol}`;
}

const unspecified = parseAddress('::');
const unspecifiedOf = { 4: parseAddress('0.0.0.0'), 6: unspecified } as const;

/** Where NodePorts of a family stand. */
export function anyAddress(family: 4 | 6): Address {
  return unspecifiedOf[family];
}

export function isAnyAddress(address: Address): boolean {
  return address === unspecifiedOf[4] || address === unspecifiedOf[6];
}

/** Where clients find a service, as the kernel is to serve it. One per address, port and protocol. */
export interface DesiredFrontend {
  /** By `keyOf`, `/external` behind it where clients from outside have a row of their own; unique in the cluster. */
  readonly key: string;
  /** Of a NodePort 0.0.0.0 or ::, which stand for every address of the node. */
  readonly address: Address;
  readonly port: number;
  readonly protocol: Protocol;
  readonly type: FrontendType;
  /** `namespace/name` */
  readonly service: string;
  readonly portName: string;
  /** For whom this row is; `external` only where the service's policy for them is Local. */
  readonly scope: 'internal' | 'external';
  /** Whether clients from outside are served by it. */
  readonly isExternal: boolean;
  /** No backend here, where the policy is Local, but some on other nodes. */
  readonly isElsewhere: boolean;
  /** Only these clients are served, wherever they are; undefined: all. */
  readonly sourceRanges: readonly Prefix[] | undefined;
  /** Whether processes of this node are served: one of the ranges has an address of it, or there are no ranges. */
  readonly isNodeAllowed: boolean;
  /** 0: no session affinity. */
  readonly affinitySeconds: number;
  /** How clients from outside get a backend; `random` where none of them is served. */
  readonly algorithm: ServiceAlgorithm;
  /** Of clients from outside whose backend is on another node; undefined: there are none. */
  readonly forwarding: ServiceForwardingMode | undefined;
  /** Whose endpoints: of all nodes (nearest first, where hints say so), or of this one. */
  readonly policy: TrafficPolicy;
  /** `1 not ready, 2 on another node`: endpoints of the service that are no backends here; undefined: none. */
  readonly unused: string | undefined;
  /** Sorted by key, no key twice: equal inputs in any order give equal slots on every node. */
  readonly backends: readonly DesiredBackend[];
}

export type FrontendType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIP' | 'HostPort';

export interface DesiredBackend {
  /** By `keyOf`. Maglev tables are made from it: nodes of two versions must write it alike. */
  readonly key: string;
  readonly address: Address;
  readonly port: number;
  readonly protocol: Protocol;
  readonly state: BackendStateName;
  readonly nodeName: string | undefined;
  readonly zone: string | undefined;
}

/** States that Kubernetes can tell us of; `quarantined` and `maintenance` are given by later features. */
export type BackendStateName = 'active' | 'terminating';
