/**
 * Which of the backends that sockets have been led to are gone, so that nothing sent there is answered any more; pure. The
 * kernel's map of backends does not tell: it loses one that only terminates as soon as others are ready.
 */
import type { EndpointSliceObject, SliceEndpoint } from '@sluice/kube';
import type { Protocol } from '@sluice/model';
import type { Address } from '@sluice/net';
import type { Change } from '@sluice/state';

export interface BackendPlace {
  readonly address: Address;
  readonly port: number;
  readonly protocol: Protocol;
}

/**
 * A datagram's backend is gone when no endpoint there serves, as kube-proxy forgets its connections then; that of a TCP
 * connection only with the endpoint itself: who is not ready may well go on with those whom he knows.
 */
export function goneBackends<Place extends BackendPlace>(
  places: readonly Place[],
  slices: Iterable<EndpointSliceObject>,
): Place[] {
  const wanted = new Set(places.map(({ address }) => address));
  const serving = new Set<string>();
  const present = new Set<Address>();
  for (const { endpoints, ports } of slices) {
    for (const endpoint of endpoints) {
      const [address] = endpoint.addresses;
      if (address === undefined || !wanted.has(address)) continue;
      present.add(address);
      if (serves(endpoint)) for (const { port, protocol } of ports) serving.add(`${address} ${port}/${protocol}`);
    }
  }
  return places.filter(({ address, port, protocol }) =>
    protocol === 'TCP' ? !present.has(address) : !serving.has(`${address} ${port}/${protocol}`),
  );
}

/** Where backends may be gone after it: of endpoints that are no longer there, or serve no longer. */
export function leftAddresses({ before, after }: Change<EndpointSliceObject>): Address[] {
  const served = (slice: EndpointSliceObject | undefined) =>
    (slice?.endpoints ?? []).filter(serves).flatMap(({ addresses: [address] }) => address ?? []);
  const stay = new Set(served(after));
  return served(before).filter((address) => !stay.has(address));
}

function serves({ ready, serving }: SliceEndpoint): boolean {
  return ready || serving;
}
