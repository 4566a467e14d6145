import type { CiliumEndpointSliceObject, NodeObject, ServiceCidrObject } from '@sluice/kube';
import { type Address, familyOf, formatPrefix, type Prefix } from '@sluice/net';
import { type Netlink, routeProtocol } from '@sluice/netlink';
import { type Clock, type Logger, systemClock, type Timer } from '@sluice/runtime';
import { Controllers, type ReadableTable, type Reconciler, type RowStatus, sameValue, type Table } from '@sluice/state';
import {
  desiredHostEndpoints,
  desiredIpcachePrefixes,
  desiredNetworkDevices,
  desiredRoutes,
  hasNodePorts,
  type RouteTarget,
} from './desired.ts';
import { type Device, describeDevices, localNetworks, type Observation, unmatchedPatterns } from './device.ts';
import { firstOf, type NodeFacts } from './facts.ts';
import { type IpRow, ipRows } from './ip-rows.ts';
import { IpcacheShares } from './ipcache/ipcache-shares.ts';
import type { IpcacheShare } from './ipcache/share.ts';
import { deriveMtu, tunneledMtu } from './mtu.ts';
import { deriveNodes, type LocalNode, type Node, tunnelSource } from './node.ts';
import { ensureNodeDevices } from './node-devices.ts';
import { pathMtu } from './path-mtu.ts';
import type { PortRange } from './port-range.ts';
import type { EndpointValue, NodeMaps } from './ports.ts';
import {
  type AnyReconciler,
  type Common,
  hostEndpointReconciler,
  ipcachePrefixReconciler,
  ipcacheReconciler,
  networkDeviceReconciler,
  routeReconciler,
} from './reconcilers.ts';
import { addressTable, type DeviceAddress, deviceTable, type NodeRow, nodeTable } from './tables.ts';

export interface NodesOptions {
  readonly netlink: Netlink;
  readonly nodeName: string;
  readonly nodeObjects: ReadableTable<NodeObject>;
  readonly serviceCidrs: ReadableTable<ServiceCidrObject>;
  /** What all nodes publish of their endpoints. */
  readonly slices: ReadableTable<CiliumEndpointSliceObject>;
  readonly values: {
    /** Names, or beginnings followed by `+`; empty: found out. */
    readonly devices: readonly string[];
    /** Of the network under the tunnel; 0: as the device has it. */
    readonly mtu: number;
    readonly tunnelPort: number;
    /** False: no pods, services or routes of the family, whatever the objects say. Default true. */
    readonly ipv4?: boolean;
    readonly ipv6?: boolean;
    /** Where in the node's addresses NodePorts are; default: everywhere. */
    readonly nodePortAddresses?: readonly Prefix[];
    /** Ports that the kernel must give to nobody who asks for any; default: it may give all. */
    readonly reservedPorts?: PortRange | undefined;
  };
  readonly log: Logger;
  /** Our own node as it last was, for a start while the API server is away. */
  readonly lastKnown?: LocalNode | undefined;
  /** Default /proc. */
  readonly proc?: string;
  readonly clock?: Clock;
  readonly controllers?: Controllers;
  /** From one comparison with the kernel to the next; default one minute for devices and routes, five for maps. */
  readonly fullIntervalMs?: number;
}

export interface NodePortAddresses {
  readonly served: readonly Address[];
  readonly without: readonly Address[];
}

export interface NodesFeature extends AsyncDisposable {
  readonly devices: Table<Device>;
  readonly addresses: Table<DeviceAddress>;
  readonly nodes: Table<NodeRow>;
  /** What is behind the addresses of other nodes and of their pods. */
  readonly ipcache: IpcacheShares;
  /** What every address and prefix but those of our own pods is known as. */
  ips(): Iterable<IpRow>;
  /** Resolves with the first facts: our Node has an address and a pod CIDR, and our devices stand. */
  readonly ready: Promise<NodeFacts>;
  readonly facts: NodeFacts | undefined;
  /** Why it is not ready yet, or what the last attempt failed with. */
  readonly problem: string | undefined;
  /** What of the configuration and of our Node object this machine does not have; the rest works. */
  readonly contradictions: readonly string[];
  /** Of this node's addresses those that have NodePorts, and those that nodePort.addresses leaves without. */
  nodePortAddresses(): NodePortAddresses;
  /** Called when something in the facts is other than before: the datapath must be configured anew. */
  onFactsChange(listener: (facts: NodeFacts) => void): Disposable;
  /** Begins to keep the maps; they are opened with the facts, so they come later than the rest. */
  serveMaps(maps: NodeMaps): void;
  readonly reconcilers: readonly AnyReconciler[];
  close(): Promise<void>;
}

/** Keeps the node's devices, the routes to all pods and services, and the maps' rows for nodes. */
export function startNodes(options: NodesOptions): NodesFeature {
  return new Nodes(options);
}

const deviceControllerName = 'node-devices';
const deviceIntervalMs = 60_000;
/** Changes come in bursts: a device, its addresses, its routes. */
const settleMs = 20;
/** A look at a node of many pods, while more of them come, takes long: looking takes at most a tenth of the time. */
const restPerLook = 9;
const settleMsMax = 1_000;
/** A new node waits so long to learn where services are, lest it begin with pods among them. */
const servicesPatienceMs = 5_000;

class Nodes implements NodesFeature {
  readonly devices = deviceTable();
  readonly addresses = addressTable();
  readonly nodes = nodeTable();
  readonly ipcache: IpcacheShares;
  readonly ready: Promise<NodeFacts>;
  readonly reconcilers: AnyReconciler[] = [];
  readonly #options: NodesOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #listeners = new Set<(facts: NodeFacts) => void>();
  readonly #resources = new DisposableStack();
  readonly #controller: ReturnType<Controllers['start']>;
  readonly #resolveReady: (facts: NodeFacts) => void;
  #ipcacheReconciler: Reconciler<IpcacheShare> | undefined;
  #facts: NodeFacts | undefined;
  /** Facts that every listener has taken. */
  #announced: NodeFacts | undefined;
  #routerAddresses: RouteTarget['routerAddresses'] = [];
  #problem: string | undefined = 'not started';
  #unmatched: readonly string[] = [];
  #settleMs = settleMs;
  #settling: Timer | undefined;
  #servicesAwaited = true;

  constructor(options: NodesOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log.child({ feature: 'nodes' });
    const { promise, resolve } = Promise.withResolvers<NodeFacts>();
    this.ready = promise;
    this.#resolveReady = resolve;
    const statusOf = (share: string): RowStatus | undefined => this.#ipcacheReconciler?.status(share);
    this.ipcache = this.#resources.use(new IpcacheShares({ nodes: this.nodes, slices: options.slices, statusOf }));
    this.#add(this.#routes());
    this.#watch();
    const controllers = options.controllers ?? new Controllers(this.#clock);
    const intervalMs = options.fullIntervalMs ?? deviceIntervalMs;
    this.#controller = controllers.start({ name: deviceControllerName, intervalMs, run: () => this.#refresh() });
    const patience = this.#clock.setTimeout(() => {
      this.#servicesAwaited = false;
      this.#controller.trigger();
    }, servicesPatienceMs);
    this.#resources.defer(() => patience.cancel());
  }

  get facts(): NodeFacts | undefined {
    return this.#facts;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  get contradictions(): readonly string[] {
    const { nodeName, nodeObjects } = this.#options;
    const isDeleted = this.#facts !== undefined && nodeObjects.initialized && nodeObjects.get(nodeName) === undefined;
    const present = new Set(this.addresses.list().map(({ address }) => address));
    const absent = (this.#local()?.addresses ?? []).filter((address) => !present.has(address));
    const { served, without } = this.nodePortAddresses();
    return [
      ...(isDeleted
        ? [
            `Node ${nodeName} is gone from the API server: its pods go on, other nodes do not find them; its kubelet makes it again when it is restarted`,
          ]
        : []),
      ...(served.length === 0 && without.length > 0
        ? [`nodePort.addresses has none of this node's addresses (${without.join(', ')}): no NodePort is served here`]
        : []),
      ...this.#unmatched.map((pattern) => `devices names ${pattern}, which no device is called`),
      ...absent.map((address) => `${address} of Node ${nodeName} is on no device: give it to one, or correct the Node`),
    ];
  }

  nodePortAddresses(): NodePortAddresses {
    const addresses = [...this.#hostEndpoints().keys()] as Address[];
    const { true: served = [], false: without = [] } = Object.groupBy(addresses, (address) =>
      String(hasNodePorts(address, this.#options.values.nodePortAddresses)),
    );
    return { served, without };
  }

  onFactsChange(listener: (facts: NodeFacts) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  serveMaps(maps: NodeMaps): void {
    const { nodeObjects, serviceCidrs } = this.#options;
    const common = this.#common();
    this.#ipcacheReconciler = ipcacheReconciler(maps.ipcache, this.ipcache, common);
    this.#add(this.#ipcacheReconciler);
    const prefixes = {
      desired: () => desiredIpcachePrefixes(this.nodes.list(), serviceCidrs.list()),
      initialized: () => nodeObjects.initialized && serviceCidrs.initialized,
    };
    this.#add(ipcachePrefixReconciler(maps.ipcachePrefix, prefixes, common));
    const desired = () => this.#hostEndpoints();
    const known = (): boolean => this.#facts !== undefined;
    this.#add(hostEndpointReconciler(maps.endpoints, { desired, initialized: known }, common));
    const devices = { desired: () => desiredNetworkDevices(this.devices.list()), initialized: known };
    this.#add(networkDeviceReconciler(maps.devices, devices, common));
  }

  ips(): Iterable<IpRow> {
    return ipRows({
      nodes: this.nodes.list(),
      devices: this.devices.list(),
      serviceCidrs: this.#options.serviceCidrs.list(),
      shares: this.ipcache.table.list(),
      host: this.#facts,
    });
  }

  async close(): Promise<void> {
    this.#settling?.cancel();
    this.#resources.dispose();
    await this.#controller.stop();
    await Promise.all(this.reconcilers.map((each) => each.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #common(): Common {
    const { controllers, log, fullIntervalMs } = this.#options;
    return {
      log,
      clock: this.#clock,
      ...(controllers && { controllers }),
      ...(fullIntervalMs !== undefined && { fullIntervalMs }),
    };
  }

  #routes() {
    const { netlink, nodeObjects, serviceCidrs } = this.#options;
    return routeReconciler(
      netlink,
      {
        desired: () => {
          if (this.#facts === undefined) return new Map();
          const { hostIfindex, mtu } = this.#facts;
          const target = { hostIfindex, podMtu: mtu, routerAddresses: this.#routerAddresses };
          return desiredRoutes(this.nodes.list(), serviceCidrs.list(), target);
        },
        initialized: () => this.#facts !== undefined && nodeObjects.initialized && serviceCidrs.initialized,
      },
      this.#common(),
    );
  }

  #add(added: AnyReconciler): void {
    this.reconcilers.push(added);
    added.start();
  }

  #watch(): void {
    const { netlink, nodeObjects, serviceCidrs } = this.#options;
    const soon = (): void => this.#refreshSoon();
    this.#resources.use(nodeObjects.subscribe(soon));
    this.#resources.use(serviceCidrs.subscribe(soon));
    this.#resources.use(
      netlink.subscribe({
        topics: ['links', 'addresses', 'routes', 'settings'],
        onChanges: soon,
        onError: (error) => this.#log.error({ error }, 'watching the kernel failed'),
      }),
    );
  }

  #refreshSoon(): void {
    this.#settling ??= this.#clock.setTimeout(() => {
      this.#settling = undefined;
      this.#controller.trigger();
    }, this.#settleMs);
  }

  /** Looks at everything, makes what is missing; what it throws is counted, and it is tried again. */
  #refresh(): void {
    const beganNs = this.#clock.monotonicNs();
    try {
      const observed = this.#observe();
      this.#deriveNodes(observed);
      this.#ensure(this.#describe(observed));
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      // A route that somebody took away is put back by comparing, not by remembering.
      for (const each of this.reconcilers) each.trigger();
      this.reconcilers[0]?.triggerFull();
      const tookMs = Number(this.#clock.monotonicNs() - beganNs) / 1e6;
      this.#settleMs = Math.min(settleMsMax, Math.max(settleMs, restPerLook * tookMs));
    }
  }

  #deriveNodes(observed: Observation): void {
    const { nodeObjects, nodeName, lastKnown } = this.#options;
    const serviceCidrs = this.#options.serviceCidrs.list().flatMap(({ cidrs }) => cidrs);
    // A Node object that went away does not take its node's network away: what we had stays.
    const own = this.nodes.get(nodeName) ?? lastKnown;
    const routed = routedPrefixes(observed);
    const isInUse = (podCidr: Prefix): boolean => routed.has(formatPrefix(podCidr));
    const known = { name: nodeName, lastKnown: own, serviceCidrs, networks: localNetworks(observed), isInUse };
    const rows = deriveNodes(nodeObjects.list(), known).map((node) => withMtu(this.#enabledFamilies(node), observed));
    const before = new Map(this.nodes.list().map((row) => [row.name, row]));
    this.nodes.replaceAll(rows.map((row) => withStatus(row, before.get(row.name), this.#clock.now())));
    for (const { name, problems } of rows) {
      const told = before.get(name)?.problems ?? [];
      for (const problem of problems) if (!told.includes(problem)) this.#log.warn({ node: name }, problem);
    }
    if (nodeObjects.initialized) this.nodes.markInitialized('kubernetes');
  }

  #enabledFamilies(node: Node): Node {
    const { ipv4 = true, ipv6 = true } = this.#options.values;
    const isEnabled = (address: Address): boolean => (familyOf(address) === 4 ? ipv4 : ipv6);
    const podCidrs = node.podCidrs.filter((prefix) => isEnabled(prefix.address));
    return { ...node, podCidrs, routerAddresses: node.routerAddresses.filter(isEnabled) };
  }

  #observe(): Observation {
    const { netlink } = this.#options;
    return { links: netlink.links.list(), addresses: netlink.addresses.list(), routes: netlink.routes.list() };
  }

  #describe(observed: Observation): Device[] {
    const { values } = this.#options;
    const nodeAddresses = this.#local()?.addresses ?? [];
    const devices = describeDevices(observed, { patterns: values.devices, nodeAddresses });
    this.devices.replaceAll(devices);
    this.devices.markInitialized('netlink');
    this.addresses.replaceAll(addressRows(observed));
    this.addresses.markInitialized('netlink');
    this.#warnUnmatched(unmatchedPatterns(devices, values.devices));
    return devices;
  }

  #warnUnmatched(unmatched: readonly string[]): void {
    for (const pattern of unmatched) {
      if (!this.#unmatched.includes(pattern)) this.#log.warn({ devices: pattern }, 'no device has this name');
    }
    this.#unmatched = unmatched;
  }

  #local(): Node | undefined {
    return this.nodes.get(this.#options.nodeName);
  }

  #ensure(devices: readonly Device[]): void {
    const local = this.#local();
    this.#problem = missing(this.#options.nodeName, local) ?? this.#whyWaiting();
    if (local === undefined || this.#problem !== undefined) return;
    const { netlink, nodeName, values, proc = '/proc' } = this.#options;
    const mtu = deriveMtu({ devices, tunnelSource: tunnelSource(local), configured: values.mtu });
    const { routerAddresses } = local;
    const { tunnelPort } = values;
    const { reservedPorts } = this.#options.values;
    const common = { netlink, proc, nodeName, mtu, tunnelPort, routerAddresses, log: this.#log };
    const made = ensureNodeDevices({ ...common, ...(reservedPorts && { reservedPorts }) });
    this.#routerAddresses = routerAddresses;
    this.#publish({
      ...made,
      gatewayIpv4: firstOf(routerAddresses, 4),
      gatewayIpv6: firstOf(routerAddresses, 6),
      mtu: mtu.pod,
      nodeIpv4: firstOf(local.addresses, 4),
      nodeIpv6: firstOf(local.addresses, 6),
    });
  }

  #whyWaiting(): string | undefined {
    const { lastKnown, serviceCidrs } = this.#options;
    const isNew = this.#facts === undefined && lastKnown === undefined;
    return isNew && this.#servicesAwaited && !serviceCidrs.initialized
      ? 'waiting for the ServiceCIDR objects: no pod may be where services are'
      : undefined;
  }

  #publish(facts: NodeFacts): void {
    const first = this.#facts === undefined;
    if (first || !sameValue(this.#facts, facts)) {
      this.#log.info({ ...facts }, first ? 'node is ready' : 'node has changed');
      this.#facts = facts;
    }
    if (first) this.#announced = facts;
    this.#resolveReady(facts);
    this.#announce(this.#facts ?? facts);
  }

  /** A listener that fails is called again at the next look, so that no change is lost. */
  #announce(facts: NodeFacts): void {
    if (this.#announced === facts) return;
    for (const listener of this.#listeners) listener(facts);
    this.#announced = facts;
  }

  #hostEndpoints(): ReadonlyMap<string, EndpointValue> {
    if (this.#facts === undefined) return new Map();
    const { nodePortAddresses } = this.#options.values;
    const host = { ...this.#facts, ...(nodePortAddresses && { nodePortAddresses }) };
    return desiredHostEndpoints(this.#local(), this.devices.list(), host);
  }
}

function missing(nodeName: string, local: Node | undefined): string | undefined {
  if (local === undefined) return `waiting for the Node object ${nodeName}`;
  if (local.addresses.length === 0) return `Node ${nodeName} has no InternalIP: the kubelet or the cloud must set it`;
  const refused = local.problems.filter((problem) => problem.startsWith('pod CIDR'));
  if (local.podCidrs.length === 0 && refused.length > 0) {
    return `Node ${nodeName} has no pod CIDR that can be used: ${refused.join('; ')}`;
  }
  if (local.podCidrs.length === 0) {
    return `Node ${nodeName} has no pod CIDR yet: the operator (or the controller manager) gives it one`;
  }
  return undefined;
}

/** Where our routes lead: what an earlier process took stands there, too. */
function routedPrefixes({ routes }: Observation): Set<string> {
  const ours = routes.filter(({ protocol }) => protocol === routeProtocol.sluice);
  return new Set(ours.map(({ destination }) => formatPrefix(destination)));
}

function withMtu(node: Node, observed: Observation): Node {
  const { tunnelEndpoint } = node;
  const mtu = tunnelEndpoint && pathMtu(observed, tunnelEndpoint);
  return tunnelEndpoint === undefined || mtu === undefined
    ? node
    : { ...node, podMtu: tunneledMtu(mtu, tunnelEndpoint) };
}

/** A node is done when nothing of it was refused. */
function withStatus(node: Node, before: NodeRow | undefined, at: number): NodeRow {
  const error = node.problems.join('; ');
  const state = node.problems.length > 0 ? 'error' : node.podCidrs.length === 0 ? 'pending' : 'done';
  const unchanged = before?.status.state === state && (before.status.error ?? '') === error;
  const status = { state, at: unchanged ? before.status.at : at, ...(error !== '' && { error }) } as const;
  return { ...node, status };
}

function addressRows({ links, addresses }: Observation): DeviceAddress[] {
  const names = new Map(links.map((link) => [link.ifindex, link.name]));
  const marks = ['tentative', 'duplicate', 'deprecated', 'temporary'] as const;
  return addresses.flatMap((row) => {
    const device = names.get(row.ifindex);
    const { address, length, scope } = row;
    return device === undefined ? [] : [{ device, address, length, scope, marks: marks.filter((mark) => row[mark]) }];
  });
}
