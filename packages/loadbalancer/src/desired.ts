/**
 * From a Service and its EndpointSlices to the frontends that the kernel is to serve. Pure: equal input, equal output,
 * whatever the order in which the API told of it.
 */
import type { EndpointSliceObject, ServiceObject, ServicePort, SliceEndpoint } from '@sluice/kube';
import { type Address, familyOf } from '@sluice/net';
import { type BackendStateName, type DesiredBackend, type DesiredFrontend, keyOf } from './frontend.ts';
import { isLeftToOthers, isServedProtocol } from './unserved.ts';

/** Frontends of one service. Only ClusterIPs so far; a service without any (headless, ExternalName) has none. */
export function desiredFrontends(service: ServiceObject, slices: readonly EndpointSliceObject[]): DesiredFrontend[] {
  if (service.type === 'ExternalName' || isLeftToOthers(service)) return [];
  const ports = service.ports.filter(isServedProtocol);
  return service.clusterIps.flatMap((address) => ports.map((port) => clusterFrontend(service, address, port, slices)));
}

function clusterFrontend(
  service: ServiceObject,
  address: Address,
  port: ServicePort,
  slices: readonly EndpointSliceObject[],
): DesiredFrontend {
  return {
    key: keyOf({ address, port: port.port }, port.protocol),
    address,
    port: port.port,
    protocol: port.protocol,
    type: 'ClusterIP',
    service: `${service.namespace}/${service.name}`,
    portName: port.name,
    affinitySeconds: service.affinityTimeoutSeconds ?? 0,
    backends: chosen(candidates(port, familyOf(address), slices)),
  };
}

interface Candidate extends DesiredBackend {
  readonly usable: 'ready' | 'fallback' | 'no';
}

/** Every endpoint of the family that offers the port; the same address in several slices counts once, its best state. */
function candidates(port: ServicePort, family: 4 | 6, slices: readonly EndpointSliceObject[]): Candidate[] {
  const byKey = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== `IPv${family}`) continue;
    for (const slicePort of slice.ports) {
      if (slicePort.name !== port.name || slicePort.protocol !== port.protocol) continue;
      for (const endpoint of slice.endpoints) {
        for (const candidate of candidatesOf(endpoint, port, slicePort.port)) {
          const other = byKey.get(candidate.key);
          if (other === undefined || rank[candidate.usable] > rank[other.usable]) byKey.set(candidate.key, candidate);
        }
      }
    }
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

const rank: Readonly<Record<Candidate['usable'], number>> = { no: 0, fallback: 1, ready: 2 };

function candidatesOf(endpoint: SliceEndpoint, service: ServicePort, port: number): Candidate[] {
  const usable = usability(endpoint);
  const state: BackendStateName = usable === 'ready' ? 'active' : 'terminating';
  // Only the first address is used, as the API documents since 1.33 and kube-proxy always did.
  return endpoint.addresses.slice(0, 1).map((address) => ({
    key: keyOf({ address, port }, service.protocol),
    address,
    port,
    protocol: service.protocol,
    nodeName: endpoint.nodeName,
    state,
    usable,
  }));
}

/** KEP-1669: endpoints that terminate but still serve are used only when no other is ready. */
function usability(endpoint: SliceEndpoint): Candidate['usable'] {
  if (endpoint.ready) return 'ready';
  return endpoint.serving && endpoint.terminating ? 'fallback' : 'no';
}

function chosen(all: readonly Candidate[]): DesiredBackend[] {
  const ready = all.filter((candidate) => candidate.usable === 'ready');
  const used = ready.length > 0 ? ready : all.filter((candidate) => candidate.usable === 'fallback');
  return used.map(({ usable: _, ...backend }) => backend);
}
