/** The endpoints that offer a port of a service, and those that are chosen to be its backends; pure. */
import type { EndpointSliceObject, ServicePort, SliceEndpoint } from '@sluice/kube';
import { type DesiredBackend, keyOf } from './frontend.ts';

/** An endpoint that offers a port of the service, used or not. */
export interface Candidate extends DesiredBackend {
  readonly usable: 'ready' | 'fallback' | 'no';
  readonly nodeHints: readonly string[];
  readonly zoneHints: readonly string[];
  /** `namespace/name`; undefined: no pod is behind it. */
  readonly pod: string | undefined;
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
  if (own === undefined || ready.some((candidate) => candidate[kind].length === 0)) return undefined;
  const ours = ready.filter((candidate) => candidate[kind].includes(own));
  return ours.length > 0 ? ours : undefined;
}

/** Every endpoint of the family that offers the port; the same address in several slices counts once, its best state. */
export function candidates(port: ServicePort, family: 4 | 6, slices: readonly EndpointSliceObject[]): Candidate[] {
  const byKey = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== `IPv${family}`) continue;
    for (const slicePort of slice.ports) {
      if (slicePort.name !== port.name || slicePort.protocol !== port.protocol) continue;
      for (const endpoint of slice.endpoints) {
        const candidate = candidateOf(endpoint, port, slicePort.port);
        if (candidate === undefined) continue;
        const other = byKey.get(candidate.key);
        if (other === undefined || rank[candidate.usable] > rank[other.usable]) byKey.set(candidate.key, candidate);
      }
    }
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

const rank: Readonly<Record<Candidate['usable'], number>> = { no: 0, fallback: 1, ready: 2 };

function candidateOf(endpoint: SliceEndpoint, service: ServicePort, port: number): Candidate | undefined {
  // Only the first address is used, as the API documents since 1.33 and kube-proxy always did.
  const [address] = endpoint.addresses;
  if (address === undefined) return undefined;
  const usable = usability(endpoint);
  return {
    key: keyOf({ address, port }, service.protocol),
    address,
    port,
    protocol: service.protocol,
    nodeName: endpoint.nodeName,
    zone: endpoint.zone,
    state: usable === 'ready' ? 'active' : 'terminating',
    usable,
    nodeHints: endpoint.nodeHints,
    zoneHints: endpoint.zoneHints,
    pod: endpoint.pod && `${endpoint.pod.namespace}/${endpoint.pod.name}`,
  };
}

/** KEP-1669: endpoints that terminate but still serve are used only when no other is ready. */
function usability(endpoint: SliceEndpoint): Candidate['usable'] {
  if (endpoint.ready) return 'ready';
  return endpoint.serving && endpoint.terminating ? 'fallback' : 'no';
}

export function chosen(all: readonly Candidate[]): DesiredBackend[] {
  const ready = all.filter((candidate) => candidate.usable === 'ready');
  const used = ready.length > 0 ? ready : all.filter((candidate) => candidate.usable === 'fallback');
  return used.map(backendOf);
}

/** Without what only candidates have. Each field by its name: to copy a rest is ten times slower, and there are many. */
function backendOf({ key, address, port, protocol, nodeName, zone, state }: Candidate): DesiredBackend {
  return { key, address, port, protocol, nodeName, zone, state };
}
