import type { EndpointSliceObject, ServiceObject } from '@sluice/kube';
import { isForAnother } from './desired.ts';

/** What a balancer outside asks the node about a service of policy Local: whether packets for it should come here. */
export interface HealthCheck {
  /** `namespace/name` */
  readonly service: string;
  /** spec.healthCheckNodePort */
  readonly port: number;
  /** Ready ones of this node. */
  readonly localEndpoints: number;
}

export function healthCheckOf(
  service: ServiceObject,
  slices: readonly EndpointSliceObject[],
  nodeName: string | undefined,
): HealthCheck | undefined {
  const { namespace, name, type, externalTrafficPolicy, healthCheckNodePort: port } = service;
  if (type !== 'LoadBalancer' || externalTrafficPolicy !== 'Local' || port === undefined) return undefined;
  if (isForAnother(service)) return undefined;
  // A pod of two families is one endpoint, and so is one that stands in several slices.
  const counts = (['IPv4', 'IPv6'] as const).map((family) => localAddresses(slices, { family, nodeName }).size);
  return { service: `${namespace}/${name}`, port, localEndpoints: Math.max(...counts) };
}

/** None of those that terminate: where no others are, the balancer is to look for another node. */
function localAddresses(
  slices: readonly EndpointSliceObject[],
  wanted: { readonly family: 'IPv4' | 'IPv6'; readonly nodeName: string | undefined },
): Set<string> {
  return new Set(
    slices
      .filter(({ addressType }) => addressType === wanted.family)
      .flatMap(({ endpoints }) => endpoints)
      .filter(({ ready, nodeName }) => ready && nodeName !== undefined && nodeName === wanted.nodeName)
      .flatMap(({ addresses }) => addresses.slice(0, 1)),
  );
}
