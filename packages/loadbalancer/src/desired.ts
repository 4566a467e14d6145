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
  TrafficPolicy,
} from '@sluice/kube';
import { type Address, familyOf, isLoopback, prefixContains } from '@sluice/net';
import { candidates, chosen, near } from './candidates.ts';
import {
  anyAddress,
  type DesiredBackend,
  type DesiredFrontend,
  type FrontendType,
  isAnyAddress,
  keyOf,
} from './frontend.ts';
import { isServedProtocol } from './unserved.ts';
import { unusedText } from './unused.ts';

/** From where a service is looked at. */
export interface Viewpoint {
  /** Whose endpoints the policy Local means; undefined: nobody's. */
  readonly nodeName: string | undefined;
  /** The node's, by its label; undefined: it has none. */
  readonly zone?: string | undefined;
  /** The node's, as its object has them: by these its own processes are judged. */
  readonly nodeAddresses?: readonly Address[];
  /** `loadBalancer.serviceTopology`; default true. */
  readonly followsHints?: boolean;
  /** `externalIPs.enabled` */
  readonly externalIps: boolean;
  /** Why an address in the service's spec.externalIPs is not served; undefined: it is. Without: all are. */
  readonly refusedExternalIp?: (address: Address, service: ServiceObject) => string | undefined;
  /** The same of an address in its status. */
  readonly refusedBalancer?: (address: Address) => string | undefined;
  /** Where the node's own processes find NodePorts besides the node's addresses: 127.0.0.1, ::1, both or nowhere. */
  readonly nodePortLoopback?: readonly Address[];
  /** `nodePort.range`: at others the programs look for no NodePort. Without: all are served. */
  readonly nodePortRange?: { readonly first: number; readonly last: number };
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
  for (const port of service.ports) {
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
    ...(nodePort === undefined || !isInRange(nodePort, viewpoint)
      ? []
      : [...families.map(anyAddress), ...nodePortLoopback].map(
          (address): Place => ({ type: 'NodePort', address, port: nodePort }),
        )),
    ...servedIngress(service, viewpoint).map((address) => at('LoadBalancer', address)),
    ...(externalIps ? service.externalIps : [])
      .filter((address) => refusedExternalIp?.(address, service) === undefined)
      .map((address) => at('ExternalIP', address)),
  ];
  return places.filter(({ address }) => isOfService(address, service));
}

export function isInRange(nodePort: number, { nodePortRange: range }: Viewpoint): boolean {
  return range === undefined || (range.first <= nodePort && nodePort <= range.last);
}

/** As kube-proxy has it, a service is proxied in the families of its cluster addresses: a headless one in none. */
export function isOfService(address: Address, { clusterIps }: Pick<ServiceObject, 'clusterIps'>): boolean {
  return clusterIps.some((own) => familyOf(own) === familyOf(address));
}

/**
 * Addresses in the status that nodes answer for: not those of a balancer that ends connections itself (KEP-1860), nor "any
 * address", which some write until they have one: here it would be every node's NodePort; nor one that is refused.
 */
function servedIngress({ loadBalancerIngress }: ServiceObject, { refusedBalancer }: Viewpoint): Address[] {
  return loadBalancerIngress
    .filter(({ address, ipMode }) => ipMode === 'VIP' && !isAnyAddress(address))
    .map(({ address }) => address)
    .filter((address) => refusedBalancer?.(address) === undefined);
}

interface Looked {
  readonly service: ServiceObject;
  readonly port: ServicePort;
  readonly slices: readonly EndpointSliceObject[];
  readonly viewpoint: Viewpoint;
}

function frontendsAt({ type, address, port }: Place, looked: Looked): DesiredFrontend[] {
  const { service, slices, viewpoint } = looked;
  // What cannot be translated has a row all the same: it is the service's, and goes nowhere as it is.
  const all = isServedProtocol(looked.port) ? candidates(looked.port, familyOf(address), slices) : [];
  const common = {
    ...{ key: keyOf({ address, port }, looked.port.protocol), address, port, protocol: looked.port.protocol, type },
    ...{ service: `${service.namespace}/${service.name}`, portName: looked.port.name },
    affinitySeconds: service.affinityTimeoutSeconds ?? 0,
    algorithm: 'random',
    // Where the policy is Local nobody is led to another node.
    forwarding: undefined,
  } as const;
  const { nodeName } = viewpoint;
  const led = (policy: TrafficPolicy, backends: readonly DesiredBackend[]) => ({
    ...{ policy, backends, isElsewhere: false, unused: unusedText(all, { policy, backends, nodeName }) },
  });
  const whole = led('Cluster', chosen(viewpoint.followsHints === false ? all : near(all, viewpoint)));
  const local = () => {
    const mine = led(
      'Local',
      chosen(nodeName === undefined ? [] : all.filter((one) => one.backend.nodeName === nodeName)),
    );
    return { ...mine, isElsewhere: mine.backends.length === 0 && whole.backends.length > 0 };
  };
  if (type === 'ClusterIP') {
    const backends = service.internalTrafficPolicy === 'Local' ? local() : whole;
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
    { ...common, ...local(), ...allowed, ...forOutside, key, scope: 'external' },
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
