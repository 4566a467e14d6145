import type { Protocol } from '@sluice/model';
import { type Address, formatAddressPort, parseAddress } from '@sluice/net';

/** `10.96.0.10:53/UDP`: the name of a frontend or a backend, from the API as from the maps. */
export function keyOf(
  place: { readonly address: Address | undefined; readonly port: number },
  protocol: string,
): string {
  return `${formatAddressPort(place.address ?? unspecified, place.port)}/${protocol}`;
}

const unspecified = parseAddress('::');

/** Where clients find a service, as the kernel is to serve it. One per address, port and protocol. */
export interface DesiredFrontend {
  /** By `keyOf`: identity of the frontend everywhere, unique in the cluster. */
  readonly key: string;
  readonly address: Address;
  readonly port: number;
  readonly protocol: Protocol;
  readonly type: FrontendType;
  /** `namespace/name` */
  readonly service: string;
  readonly portName: string;
  /** 0: no session affinity. */
  readonly affinitySeconds: number;
  /** Sorted by key, no key twice: equal inputs in any order give equal slots on every node. */
  readonly backends: readonly DesiredBackend[];
}

export type FrontendType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIP';

export interface DesiredBackend {
  /** By `keyOf`. */
  readonly key: string;
  readonly address: Address;
  readonly port: number;
  readonly protocol: Protocol;
  readonly state: BackendStateName;
  readonly nodeName: string | undefined;
}

/** States that Kubernetes can tell us of; `quarantined` and `maintenance` are given by later features. */
export type BackendStateName = 'active' | 'terminating';
