/** The endpoints that offer a port of a service, and those that are chosen to be its backends; pure. */
import type { EndpointSliceObject, ServicePort, SliceEndpoint } from '@sluice/kube';
import { type DesiredBackend, keyOf } from './frontend.ts';

/** An endpoint that offers a port of the service, used or not. */
export interface Candidate {
  /** What it is where it is used. */
  readonly backend: DesiredBackend;
  readonly endpoint: SliceEndpoint;
  readonly usable: 'ready' | 'fallback' | 'no';
}

/**
 * What the hints leave of a service's endpoints, as kube-proxy has it since 1.33: trafficDistribution and topology-mode are
 * the business of whoever writes EndpointSlices. A kind of hint counts when every ready endpoint has one, and one of them
 * means us; this node goes before its zone. Policy Local does not ask.
 */
export function near(
  all: readonly Candidate[],
  { nodeName, zone }: { readonly nodeName: string | undefined; readonly zone?: string | undefined },
): readonly Candidate[] {
  const ready = all.filter(({ usable }) => usable === 'ready');
  return hinted(ready, 'nodeHints', nodeName) ?? hinted(ready, 'zoneHints', zone) ?? all;
}

function hinted(
  ready: readonly Candidate[],
  kind: 'nodeHints' | 'zoneHints',
  own: string | undefined,
): readonly Candidate[] | undefined {
  if (own === undefined || ready.some(({ endpoint }) => endpoint[kind].length === 0)) return undefined;
  const ours = ready.filter(({ endpoint }) => endpoint[kind].includes(own));
  return ours.length > 0 ? ours : undefined;
}

/** Every endpoint of the family that offers the port; the same address in several slices counts once, its best state. */
export function candidates(port: ServicePort, family: 4 | 6, slices: readonly EndpointSliceObject[]): Candidate[] {
  const offers = offersOf(port, family, slices);
  // In one slice no address is there twice.
  const all = offers.length > 1 ? best(offers.flat()) : offers.flat();
  return all.sort((a, b) => (a.backend.key < b.backend.key ? -1 : 1));
}

/** Of each slice of the family that has the port its endpoints. */
export function offersOf(port: ServicePort, family: 4 | 6, slices: readonly EndpointSliceObject[]): Candidate[][] {
  return slices
    .filter(({ addressType }) => addressType === `IPv${family}`)
    .flatMap(({ endpoints, ports }) =>
      ports
        .filter((offered) => isSamePort(offered, port))
        .map((offered) => endpoints.flatMap((endpoint) => candidateOf(endpoint, port, offered.port) ?? [])),
    );
}

export function isSamePort(offered: Pick<ServicePort, 'name' | 'protocol'>, port: ServicePort): boolean {
  return offered.name === port.name && offered.protocol === port.protocol;
}

function best(all: readonly Candidate[]): Candidate[] {
  const byKey = new Map<string, Candidate>();
  for (const candidate of all) {
    const { key } = candidate.backend;
    const other = byKey.get(key);
    if (other === undefined || rank[candidate.usable] > rank[other.usable]) byKey.set(key, candidate);
  }
  return [...byKey.values()];
}

const rank: Readonly<Record<Candidate['usable'], number>> = { no: 0, fallback: 1, ready: 2 };

function candidateOf(endpoint: SliceEndpoint, { protocol }: ServicePort, port: number): Candidate | undefined {
  // Only the first address is used, as the API documents since 1.33 and kube-proxy always did.
  const [address] = endpoint.addresses;
  if (address === undefined) return undefined;
  const usable = usability(endpoint);
  const { nodeName, zone } = endpoint;
  const state = usable === 'ready' ? 'active' : 'terminating';
  const key = keyOf({ address, port }, protocol);
  return { backend: { key, address, port, protocol, nodeName, zone, state }, endpoint, usable };
}

/** KEP-1669: endpoints that terminate but still serve are used only when no other is ready. */
export function usability(endpoint: SliceEndpoint): Candidate['usable'] {
  if (endpoint.ready) return 'ready';
  return endpoint.serving && endpoint.terminating ? 'fallback' : 'no';
}

export function chosen(all: readonly Candidate[]): DesiredBackend[] {
  const ready = all.filter((candidate) => candidate.usable === 'ready');
  const used = ready.length > 0 ? ready : all.filter((candidate) => candidate.usable === 'fallback');
  return used.map(({ backend }) => backend);
}
