/**
 * Pods whose network has been taken away on this node: the runtime tells that at once, and the API when it comes to it. Until
 * then their endpoints are in the slices as if they served.
 */
import type { EndpointSliceObject, SliceEndpoint } from '@sluice/kube';
import type { Address } from '@sluice/net';

export interface WithdrawnPods {
  /** This node: what another one has is none of them, though it has the name and the address. */
  readonly nodeName: string;
  /** `pod`: `namespace/name`. */
  has(address: Address, pod: string): boolean;
  /** Told of addresses of which it may have changed. */
  subscribe(listener: (addresses: ReadonlySet<Address>) => void): Disposable;
}

/** A pod whose network is gone neither is ready nor serves, whatever its slice says. */
export function withoutWithdrawn(
  slices: readonly EndpointSliceObject[],
  withdrawn: WithdrawnPods | undefined,
): readonly EndpointSliceObject[] {
  if (withdrawn === undefined || !slices.some((slice) => slice.endpoints.some((each) => isWithdrawn(each, withdrawn))))
    return slices;
  return slices.map((slice) => ({
    ...slice,
    endpoints: slice.endpoints.map((endpoint) =>
      isWithdrawn(endpoint, withdrawn) ? { ...endpoint, ready: false, serving: false } : endpoint,
    ),
  }));
}

/** Services, as `namespace/name`, that have one of these addresses in a slice. */
export function servicesAt(addresses: ReadonlySet<Address>, slices: Iterable<EndpointSliceObject>): Set<string> {
  const services = new Set<string>();
  for (const { namespace, serviceName, endpoints } of slices) {
    if (serviceName === undefined || services.has(`${namespace}/${serviceName}`)) continue;
    if (endpoints.some((endpoint) => endpoint.addresses.some((address) => addresses.has(address))))
      services.add(`${namespace}/${serviceName}`);
  }
  return services;
}

function isWithdrawn({ pod, addresses, nodeName }: SliceEndpoint, withdrawn: WithdrawnPods): boolean {
  if (pod === undefined || (nodeName !== undefined && nodeName !== withdrawn.nodeName)) return false;
  return addresses.some((address) => withdrawn.has(address, `${pod.namespace}/${pod.name}`));
}
