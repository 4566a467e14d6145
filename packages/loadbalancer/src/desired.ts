/**
 * From a Service and its EndpointSlices to the frontends that the kernel is to serve. Pure: equal input, equal output,
 * whatever the order in which the API told of it.
 */
import type {
  EndpointSliceObject,
  ServiceAlgorithm,
  ServiceForwardingMode,
  ServiceObject,
  ServicePort,
  SliceEndpoint,
} from '@sluice/kube';
import { type Address, familyOf, isLoopback, prefixContains } from '@sluice/net';
import {
  anyAddress,
  type BackendStateName,
  type DesiredBackend,
  type DesiredFrontend,
  type FrontendType,
  keyOf,
} from './frontend.ts';
import { isServedProtocol } from './unserved.ts';

/** From where a service is looked at. */
export interface Viewpoint {
  /** Whose endpoints the policy Local means; undefined: nobody's. */
  readonly nodeName: string | undefined;
  /** The node's, by its label; undefined: it has none. */
  readonly zone?: string | undefined;
  /** The node's, as its object has them: by these its own processes are judged. */
  readonly nodeAddresses?: readonly Address[];
  /** `externalIPs.enabled` */
  readonly externalIps: boolean;
  /** Why an address in the service's spec.externalIPs is not served; undefined: it is. Without: all are. */
  readonly refusedExternalIp?: (address: Address, service: ServiceObject) => string | undefined;
  /** Where the node's own processes find NodePorts besides the node's addresses: 127.0.0.1, ::1, both or nowhere. */
  readonly nodePortLoopback?: readonly Address[];
  /** `loadBalancer.algorithm`, for services that do not say; default `random`. */
  readonly algorithm?: ServiceAlgorithm;
  /** `loadBalancer.mode`, for services that do not say; default `snat`. */
  readonly forwarding?: 'snat' | 'dsr' | 'hybrid';
}

/**
 * Frontends of one service. A ClusterIP follows internalTrafficPolicy. All others serve clients inside by all endpoints,
 * as kube-proxy does, and those outside by externalTrafficPolicy: where that is Local, by a row of their own.
 */
export function desiredFrontends(
  service: ServiceObject,
  slices: readonly EndpointSliceObject[],
  viewpoint: Viewpoint,
): DesiredFrontend[] {
  if (service.type === 'ExternalName' || isForAnother(service)) return [];
  const frontends = new Map<string, DesiredFrontend>();
  for (const port of service.ports.filter(isServedProtocol)) {
    for (const place of placesOf(service, port, viewpoint)) {
      for (const frontend of frontendsAt(place, { service, port, slices, viewpoint })) {
        if (!frontends.has(frontend.key)) frontends.set(frontend.key, frontend);
      }
    }
  }
  return [...frontends.values()];
}

/** Labels by which a service is given to another proxy, or to none (KEP-2447 and what kube-proxy does). */
const foreignLabels = ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless'] as const;

export function isForAnother({ labels }: Pick<ServiceObject, 'labels'>): boolean {
  return foreignLabels.some((label) => label in labels);
}

interface Place {
  readonly type: FrontendType;
  readonly address: Address;
  readonly port: number;
}

function placesOf(service: ServiceObject, { port, nodePort }: ServicePort, viewpoint: Viewpoint): Place[] {
  const { externalIps, refusedExternalIp, nodePortLoopback = [] } = viewpoint;
  const families = [...new Set(service.clusterIps.map(familyOf))];
  const at = (type: FrontendType, address: Address): Place => ({ type, address, port });
  const places = [
    ...service.clusterIps.map((address) => at('ClusterIP', address)),
    ...(nodePort === undefined
      ? []
      : [...families.map(anyAddress), ...nodePortLoopback].map(
          (address): Place => ({ type: 'NodePort', address, port: nodePort }),
        )),
    ...servedIngress(service).map((address) => at('LoadBalancer', address)),
    ...(externalIps ? service.externalIps : [])
      .filter((address) => refusedExternalIp?.(address, service) === undefined)
      .map((address) => at('ExternalIP', address)),
  ];
  return places.filter(({ address }) => isOfService(address, service));
}

/** As kube-proxy has it, a service is proxied in the families of its cluster addresses: a headless one in none. */
export function isOfService(address: Address, { clusterIps }: Pick<ServiceObject, 'clusterIps'>): boolean {
  return clusterIps.some((own) => familyOf(own) === familyOf(address));
}

/** Addresses in the status that nodes answer for: not those of a balancer that ends connections itself (KEP-1860). */
export function servedIngress(service: ServiceObject): Address[] {
  return service.loadBalancerIngress.filter(({ ipMode }) => ipMode === 'VIP').map(({ address }) => address);
}

interface Looked {
  readonly service: ServiceObject;
  readonly port: ServicePort;
  readonly slices: readonly EndpointSliceObject[];
  readonly viewpoint: Viewpoint;
}

function frontendsAt({ type, address, port }: Place, looked: Looked): DesiredFrontend[] {
  const { service, slices, viewpoint } = looked;
  const all = candidates(looked.port, familyOf(address), slices);
  const here = all.filter(({ nodeName }) => nodeName !== undefined && nodeName === viewpoint.nodeName);
  const common = {
    ...{ key: keyOf({ address, port }, looked.port.protocol), address, port, protocol: looked.port.protocol, type },
    ...{ service: `${service.namespace}/${service.name}`, portName: looked.port.name },
    affinitySeconds: service.affinityTimeoutSeconds ?? 0,
    algorithm: 'random',
    // Where the policy is Local nobody is led to another node.
    forwarding: undefined,
  } as const;
  const whole = { backends: chosen(near(all, viewpoint)), isElsewhere: false } as const;
  const local = { backends: chosen(here), isElsewhere: chosen(here).length === 0 && whole.backends.length > 0 };
  if (type === 'ClusterIP') {
    const backends = service.internalTrafficPolicy === 'Local' ? local : whole;
    return [{ ...common, ...backends, ...everybody, scope: 'internal', isExternal: false }];
  }
  // Nobody outside means a loopback address of ours.
  if (isLoopback(address)) return [{ ...common, ...whole, ...everybody, scope: 'internal', isExternal: false }];
  const isLocal = service.externalTrafficPolicy === 'Local';
  const allowed = type === 'LoadBalancer' ? allowedAt(address, service, viewpoint) : everybody;
  const internal = { ...common, ...whole, ...allowed, scope: 'internal' } as const;
  const forOutside = { isExternal: true, algorithm: service.algorithm ?? viewpoint.algorithm ?? 'random' } as const;
  if (!isLocal) return [{ ...internal, ...forOutside, forwarding: forwardingOf(looked) }];
  const key = `${common.key}/external`;
  return [
    { ...internal, isExternal: false },
    { ...common, ...local, ...allowed, ...forOutside, key, scope: 'external' },
  ];
}

type Allowed = Pick<DesiredFrontend, 'sourceRanges' | 'isNodeAllowed'>;

const everybody: Allowed = { sourceRanges: undefined, isNodeAllowed: true };

/** `hybrid`: connections live long and are worth it; a datagram would have to carry its service each time. */
function forwardingOf({ service, port, viewpoint }: Looked): ServiceForwardingMode {
  const { forwarding = 'snat' } = viewpoint;
  return service.forwardingMode ?? (forwarding === 'hybrid' ? (port.protocol === 'TCP' ? 'dsr' : 'snat') : forwarding);
}

/** Ranges of the other family let nobody in: nor do they leave the door open. */
function allowedAt(
  address: Address,
  { loadBalancerSourceRanges: ranges }: ServiceObject,
  { nodeAddresses = [] }: Viewpoint,
): Allowed {
  if (ranges === undefined) return everybody;
  const sourceRanges = ranges.filter((range) => familyOf(range.address) === familyOf(address));
  const isNodeAllowed = sourceRanges.some((range) => nodeAddresses.some((own) => prefixContains(range, own)));
  return { sourceRanges, isNodeAllowed };
}

interface Candidate extends DesiredBackend {
  readonly usable: 'ready' | 'fallback' | 'no';
  readonly nodeHints: readonly string[];
  readonly zoneHints: readonly string[];
}

/**
 * What the hints leave of a service's endpoints, as kube-proxy has it since 1.33: trafficDistribution and topology-mode are
 * the business of whoever writes EndpointSlices. A kind of hint counts when every ready endpoint has one, and one of them
 * means us; this node goes before its zone. Policy Local does not ask.
 */
function near(all: readonly Candidate[], { nodeName, zone }: Viewpoint): readonly Candidate[] {
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
    nodeHints: endpoint.nodeHints,
    zoneHints: endpoint.zoneHints,
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
  return used.map(({ usable: _usable, nodeHints: _nodes, zoneHints: _zones, ...backend }) => backend);
}
