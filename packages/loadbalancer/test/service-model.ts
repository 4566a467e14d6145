/**
 * What Kubernetes documents of Services, slow and obvious: from objects as the API has them, and a client, to the
 * endpoints that he may get, or what becomes of him. Nothing of the product is used here; each rule names its source.
 *
 * Where Kubernetes leaves it open, or its documents and kube-proxy differ, the model had to choose; `CHOICE` marks it.
 */
export interface ApiService {
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: {
    readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
    /** `['None']` is a headless one. */
    readonly clusterIPs: readonly string[];
    readonly externalIPs: readonly string[];
    readonly ports: readonly ApiPort[];
    readonly internalTrafficPolicy?: 'Cluster' | 'Local';
    readonly externalTrafficPolicy?: 'Cluster' | 'Local';
    readonly loadBalancerSourceRanges?: readonly string[];
    readonly healthCheckNodePort?: number;
    readonly publishNotReadyAddresses?: boolean;
    readonly trafficDistribution?: string;
    readonly sessionAffinity?: 'None' | 'ClientIP';
    readonly sessionAffinityConfig?: { readonly clientIP: { readonly timeoutSeconds: number } };
  };
  readonly ingress: readonly { readonly ip: string; readonly ipMode?: 'VIP' | 'Proxy' }[];
}

export interface ApiPort {
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
  readonly nodePort?: number;
}

export interface ApiSlice {
  readonly addressType: 'IPv4' | 'IPv6';
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
  readonly endpoints: readonly ApiEndpoint[];
}

export interface ApiEndpoint {
  readonly addresses: readonly string[];
  readonly nodeName?: string;
  readonly conditions: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly hints?: { readonly forZones: readonly ApiName[]; readonly forNodes: readonly ApiName[] };
}

interface ApiName {
  readonly name: string;
}

export interface ModelNode {
  readonly name: string;
  readonly zone: string | undefined;
  readonly addresses: readonly string[];
}

export interface World {
  readonly service: ApiService;
  readonly slices: readonly ApiSlice[];
  readonly node: ModelNode;
}

/** `outside`: who comes by the network, pods and processes of other nodes among them. */
export interface ModelClient {
  readonly kind: 'pod' | 'node' | 'outside';
  readonly address: string;
}

export interface Asked {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

export type Verdict =
  /** Any of these, `address:port`. */
  | { readonly verdict: 'served'; readonly backends: readonly string[] }
  /** RST, ICMP or ECONNREFUSED. */
  | { readonly verdict: 'rejected' }
  | { readonly verdict: 'dropped'; readonly why: 'not allowed' | 'nobody here' }
  /** No service: it goes on as it came. */
  | { readonly verdict: 'untouched' };

export function modelVerdict(world: World, asked: Asked, client: ModelClient): Verdict {
  const places = placesOf(world);
  const own = places.filter(({ address }) => address === asked.address);
  const place = own.find(({ port, protocol }) => port === asked.port && protocol === asked.protocol);
  if (place === undefined) return withoutPlace(own, client);
  // "Makes the Service only reachable from within the cluster." CHOICE: kube-proxy translates for whoever comes by, too.
  if (place.kind === 'ClusterIP' && client.kind === 'outside') return { verdict: 'untouched' };
  if (place.kind === 'LoadBalancer' && !isAllowed(world, client)) return { verdict: 'dropped', why: 'not allowed' };
  const policy = policyFor(world.service, place, client);
  const endpoints = endpointsOf(world.slices, place);
  const chosen = policy === 'Local' ? localEndpoints(endpoints, world.node) : clusterEndpoints(endpoints, world.node);
  if (chosen.length > 0) return { verdict: 'served', backends: chosen.map(({ key }) => key).sort() };
  // "dropping the traffic if there are no local endpoints" (both policies); rejected where there are none anywhere.
  return endpoints.some(isUsable) ? { verdict: 'dropped', why: 'nobody here' } : { verdict: 'rejected' };
}

/**
 * An address that is a service's alone refuses its other ports. CHOICE: kube-proxy does so for some of its modes only.
 * Whoever may write a Service may name any external address: a client inside who names another port there means whoever
 * has it. One from outside has been sent here.
 */
function withoutPlace(own: readonly Place[], client: ModelClient): Verdict {
  const isOwned = own.some(({ kind }) =>
    client.kind === 'outside'
      ? kind === 'LoadBalancer' || kind === 'ExternalIP'
      : kind === 'ClusterIP' || kind === 'LoadBalancer',
  );
  return { verdict: isOwned ? 'rejected' : 'untouched' };
}

interface Place {
  readonly kind: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIP';
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly name: string;
}

function placesOf({ service, node }: World): Place[] {
  const { spec, ingress } = service;
  if (!isProxied(service)) return [];
  const families = new Set(spec.clusterIPs.map(familyOf));
  // CHOICE: Kubernetes has SCTP; Sluice says on the object that it serves none. Its places are the service's all the same.
  return spec.ports
    .flatMap(({ name, protocol, port, nodePort }): Place[] => {
      const at = (kind: Place['kind'], address: string, number = port): Place => ({
        ...{ kind, address, port: number, protocol, name },
      });
      return [
        ...spec.clusterIPs.map((address) => at('ClusterIP', address)),
        ...(nodePort === undefined ? [] : node.addresses.map((address) => at('NodePort', address, nodePort))),
        // KEP-1860: "Proxy": the balancer delivers to the node or the pod, and nodes must not short-cut it.
        ...ingress.filter(({ ipMode }) => ipMode !== 'Proxy').map(({ ip }) => at('LoadBalancer', ip)),
        ...spec.externalIPs.map((address) => at('ExternalIP', address)),
      ];
    })
    .filter(({ address }) => families.has(familyOf(address)));
}

function isProxied({ labels, spec }: ApiService): boolean {
  if (spec.type === 'ExternalName' || spec.clusterIPs.includes('None')) return false;
  // KEP-2447, and kube-proxy's selector `!service.kubernetes.io/headless`.
  return !('service.kubernetes.io/service-proxy-name' in labels) && !('service.kubernetes.io/headless' in labels);
}

/**
 * internalTrafficPolicy is for cluster addresses (KEP-2086), externalTrafficPolicy for clients outside. Clients inside
 * who name an external way in are led as by a cluster address with policy Cluster (KEP-1669, kube-proxy's short cut).
 */
function policyFor({ spec }: ApiService, { kind }: Place, client: ModelClient): 'Cluster' | 'Local' {
  if (kind === 'ClusterIP') return spec.internalTrafficPolicy ?? 'Cluster';
  return client.kind === 'outside' ? (spec.externalTrafficPolicy ?? 'Cluster') : 'Cluster';
}

/**
 * loadBalancerSourceRanges: "restricts traffic through the load balancer". CHOICE, as kube-proxy's firewall chains: it
 * holds at the balancer's addresses for everybody, a node is known by its own addresses, ranges of the other family let
 * nobody in, and whoever is not let in hears nothing, also where nobody would have answered.
 */
function isAllowed({ service, node }: World, { kind, address }: ModelClient): boolean {
  const ranges = service.spec.loadBalancerSourceRanges ?? [];
  if (ranges.length === 0) return true;
  const own = kind === 'node' ? node.addresses.filter((each) => familyOf(each) === familyOf(address)) : [address];
  return ranges.some((range) => own.some((each) => isWithin(each, range)));
}

interface Endpoint {
  /** `address:port` */
  readonly key: string;
  readonly nodeName: string | undefined;
  readonly ready: boolean;
  /** Terminates, and still serves. */
  readonly fallback: boolean;
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
}

/** Of the place's family and port, in all slices. */
function endpointsOf(slices: readonly ApiSlice[], place: Place): Endpoint[] {
  const all = new Map<string, Endpoint>();
  for (const slice of slices.filter(({ addressType }) => addressType === `IPv${familyOf(place.address)}`)) {
    for (const { port } of slice.ports.filter((each) => each.name === place.name && each.protocol === place.protocol)) {
      for (const endpoint of slice.endpoints.map((each) => endpointOf(each, port))) {
        // CHOICE: one that stands in several slices, while it moves from one to another, is in its best state.
        const other = all.get(endpoint.key);
        if (other === undefined || stateOf(endpoint) > stateOf(other)) all.set(endpoint.key, endpoint);
      }
    }
  }
  return [...all.values()];
}

/**
 * Conditions that are not there: ready is true, serving is as ready, terminating is false (discovery.k8s.io/v1).
 * publishNotReadyAddresses and trafficDistribution are for whoever writes slices: he says ready, and gives hints.
 */
function endpointOf({ addresses, nodeName, conditions, hints }: ApiEndpoint, port: number): Endpoint {
  const ready = conditions.ready ?? true;
  const serving = conditions.serving ?? ready;
  const terminating = conditions.terminating ?? false;
  return {
    // "clients should use the first": the others are of no meaning.
    ...{ key: `${addresses[0]}:${port}`, nodeName, ready, fallback: !ready && serving && terminating },
    zones: (hints?.forZones ?? []).map(({ name }) => name),
    nodes: (hints?.forNodes ?? []).map(({ name }) => name),
  };
}

function stateOf({ ready, fallback }: Endpoint): number {
  return ready ? 2 : fallback ? 1 : 0;
}

const isUsable = (endpoint: Endpoint): boolean => stateOf(endpoint) > 0;

/** KEP-1669: those that terminate and serve, where none is ready. Here, not anywhere: each scope for itself. */
function localEndpoints(all: readonly Endpoint[], node: ModelNode): Endpoint[] {
  const here = all.filter(({ nodeName }) => nodeName === node.name);
  const ready = here.filter((each) => each.ready);
  return ready.length > 0 ? ready : here.filter((each) => each.fallback);
}

function clusterEndpoints(all: readonly Endpoint[], node: ModelNode): Endpoint[] {
  const ready = all.filter((each) => each.ready);
  const near = nearest(ready, node);
  return ready.length > 0 ? near : all.filter((each) => each.fallback);
}

/**
 * KEP-2433 and KEP-3015: hints are followed when every ready endpoint has one of the kind and one of them is for us;
 * of nodes before those of zones. Otherwise all are used.
 */
function nearest(ready: readonly Endpoint[], node: ModelNode): Endpoint[] {
  const forNode = ready.filter(({ nodes }) => nodes.includes(node.name));
  if (ready.every(({ nodes }) => nodes.length > 0) && forNode.length > 0) return forNode;
  const { zone } = node;
  const forZone = zone === undefined ? [] : ready.filter(({ zones }) => zones.includes(zone));
  if (ready.every(({ zones }) => zones.length > 0) && forZone.length > 0) return forZone;
  return [...ready];
}

/** The number of the answer at healthCheckNodePort: ready ones here; undefined: nobody answers. */
export function modelHealthCheck({ service, slices, node }: World): number | undefined {
  const { labels, spec } = service;
  const { type, externalTrafficPolicy, healthCheckNodePort } = spec;
  if (type !== 'LoadBalancer' || externalTrafficPolicy !== 'Local' || healthCheckNodePort === undefined)
    return undefined;
  if ('service.kubernetes.io/service-proxy-name' in labels || 'service.kubernetes.io/headless' in labels)
    return undefined;
  // CHOICE: a pod of two families is one endpoint, and so is one in several slices.
  const counts = (['IPv4', 'IPv6'] as const).map((family) => {
    const own = slices.filter(({ addressType }) => addressType === family).flatMap(({ endpoints }) => endpoints);
    const ready = own.filter(({ nodeName, conditions }) => nodeName === node.name && (conditions.ready ?? true));
    return new Set(ready.map(({ addresses }) => addresses[0])).size;
  });
  return Math.max(...counts);
}

/** "ClientIP", three hours unless the object says otherwise; 0: none. */
export function modelAffinitySeconds({ spec }: ApiService): number {
  if (spec.sessionAffinity !== 'ClientIP') return 0;
  return spec.sessionAffinityConfig?.clientIP.timeoutSeconds ?? 10_800;
}

export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** By bits, one after the other. */
function isWithin(address: string, range: string): boolean {
  const [prefix = '', length = ''] = range.split('/');
  if (familyOf(prefix) !== familyOf(address)) return false;
  return bitsOf(address).slice(0, Number(length)) === bitsOf(prefix).slice(0, Number(length));
}

function bitsOf(address: string): string {
  if (familyOf(address) === 4)
    return address
      .split('.')
      .map((byte) => Number(byte).toString(2).padStart(8, '0'))
      .join('');
  const [head = '', tail = ''] = address.split('::').map((half) => half.split(':').filter(Boolean));
  const [before, after] = [head === '' ? [] : head, tail === '' ? [] : tail];
  const middle = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...middle, ...after]
    .map((word) => Number.parseInt(word, 16).toString(2).padStart(16, '0'))
    .join('');
}
