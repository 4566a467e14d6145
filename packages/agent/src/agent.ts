import { join } from 'node:path';
import { type CniServer, startCniServer, writeCniConfiguration } from '@sluice/cni';
import { defaultValues, readValues, type SluiceValues } from '@sluice/config';
import {
  type CollectionCounts,
  type Configuration,
  collectConnections,
  type Datapath,
  type LinkStatus,
  openDatapath,
} from '@sluice/datapath';
import { type Endpoints, startEndpoints } from '@sluice/endpoint';
import { NodeAddresses } from '@sluice/ipam';
import { isRecord, kubeConfiguration, serverUrl } from '@sluice/kube';
import { type LoadBalancer, startLoadBalancer } from '@sluice/loadbalancer';
import { reservedIdentities } from '@sluice/model';
import type { Address } from '@sluice/net';
import { type Netlink, openNetlink } from '@sluice/netlink';
import { type NodeFacts, type NodeRow, type NodesFeature, startNodes } from '@sluice/nodes';
import {
  type Clock,
  installationRoot,
  type Lifecycle,
  type Logger,
  lifecycle,
  readMounts,
  systemClock,
} from '@sluice/runtime';
import { Controllers } from '@sluice/state';
import { countStoredKinds, type StoredKind } from './custom-resources.ts';
import { type Kubernetes, kubernetes } from './kubernetes.ts';
import { missingLinks } from './links.ts';
import { startLocalApi } from './local-api.ts';
import { mapUsage } from './map-usage.ts';
import { createMonitor } from './monitor.ts';
import { nameAddresses } from './names.ts';
import type { AgentOptions } from './options.ts';
import { OwnNodeFile } from './own-node.ts';
import { type Prober, startProber } from './probe.ts';
import { apiSocketIn, cniSocketIn } from './run-directory.ts';
import { installedVersion, statusReport } from './status.ts';
import { type ShownTable, shownTable } from './table-reports.ts';

const collectionIntervalMs = 10_000;
const probeIntervalMs = 5_000;
const garbageIntervalMs = 60_000;
const apiIntervalMs = 60_000;
const statusPatienceMs = 300;
const linksIntervalMs = 10_000;
/** Addresses asked in a round; the nodes beyond stay "unknown". */
const probesMax = 256;

/**
 * One node's agent: everything wired, in the order in which it can start. Until our Node object has pod CIDRs (known from
 * an earlier run, or told by the API server) only the local API answers; then the kernel's side, the endpoints and CNI.
 */
export class Agent {
  readonly options: AgentOptions;
  readonly values: SluiceValues;
  readonly warnings: readonly string[];
  readonly version = installedVersion();
  readonly startedAt: number;
  readonly kubernetes: Kubernetes;
  readonly nodes: NodesFeature;
  readonly addresses: NodeAddresses;
  readonly controllers: Controllers;
  readonly cniSocket: string;
  readonly monitor;
  datapath: Datapath | undefined;
  endpoints: Endpoints | undefined;
  loadBalancer: LoadBalancer | undefined;
  prober: Prober | undefined;
  drops: ReturnType<Datapath['events']> | undefined;
  kubernetesVersion: string | undefined;
  storedKinds: readonly StoredKind[] = [];
  /** Of the last collection. */
  collection: CollectionCounts | undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #netlink: Netlink;
  readonly #ownNode: OwnNodeFile;
  readonly #lifecycle: Lifecycle;
  readonly #stopping = new AbortController();

  constructor(options: AgentOptions, log: Logger, clock: Clock = systemClock) {
    const { values, warnings } = options.config
      ? readValues(options.config)
      : { values: defaultValues(), warnings: [] };
    for (const warning of warnings) log.info(warning);
    this.options = options;
    this.values = values;
    this.warnings = warnings;
    this.startedAt = clock.now();
    this.cniSocket = cniSocketIn(options.runDir);
    this.controllers = new Controllers(clock);
    this.addresses = new NodeAddresses({ ipv4: values.ipv4.enabled, ipv6: values.ipv6.enabled, clock });
    this.#clock = clock;
    this.#log = log;
    this.#netlink = openNetlink();
    this.#ownNode = new OwnNodeFile(join(options.stateDir, 'node.json'), log);
    this.#lifecycle = lifecycle({ log, clock });
    const configuration = kubeConfiguration({ kubeconfig: options.kubeconfig, servers: apiServers(values) });
    this.kubernetes = kubernetes({ configuration, nodeName: options.nodeName, log, clock });
    this.nodes = this.#startNodes();
    this.monitor = createMonitor({
      nameOf: nameAddresses(this),
      interfaceOf: (ifindex) => this.#netlink.links.get(ifindex)?.name ?? `if${ifindex}`,
    });
  }

  /** Resolves when everything runs; rejects when it cannot. */
  async start(): Promise<void> {
    const parts = this.#lifecycle;
    parts.add(this.#localApi());
    parts.add({ name: 'kubernetes', start: () => this.kubernetes.start(), stop: () => this.kubernetes.stop() });
    parts.add({ name: 'api-questions', start: () => this.#askApi() });
    parts.add({ name: 'nodes', start: () => this.#nodesReady(), stop: () => this.nodes.close() });
    parts.add({ name: 'datapath', start: () => this.#openDatapath(), stop: () => this.#closeDatapath() });
    parts.add({ name: 'endpoints', start: () => this.#startEndpoints(), stop: () => this.endpoints?.stop() });
    parts.add({
      name: 'services',
      start: () => this.#startServices(),
      stop: async () => this.loadBalancer?.[Symbol.asyncDispose](),
    });
    parts.add(this.#cniServer());
    parts.add({
      name: 'background',
      start: () => this.#startBackground(),
      stop: () => this.prober?.[Symbol.dispose](),
    });
    await parts.start();
    this.#log.info(
      { endpoints: this.endpoints?.table.size, milliseconds: this.#clock.now() - this.startedAt },
      'agent is ready',
    );
  }

  /** Traffic goes on: links and maps stay pinned. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#lifecycle.stop();
    this.#netlink[Symbol.dispose]();
  }

  tables(): ShownTable[] {
    const { services, endpointSlices, nodes, pods, serviceCidrs } = this.kubernetes;
    return [
      shownTable(this.nodes.nodes),
      shownTable(this.nodes.devices),
      shownTable(this.nodes.addresses),
      ...(this.endpoints ? [shownTable(this.endpoints.table)] : []),
      ...(this.loadBalancer ? [shownTable(this.loadBalancer.frontends), shownTable(this.loadBalancer.conflicts)] : []),
      shownTable(services),
      shownTable(endpointSlices),
      shownTable(nodes),
      shownTable(pods),
      shownTable(serviceCidrs),
    ];
  }

  /** What is asked to know whether a node is there: its own address, and its router's through the tunnel. */
  readonly probeTargets = (node: NodeRow): { address: Address; what: string }[] => {
    const [address] = node.addresses;
    const [router] = node.routerAddresses;
    return [
      ...(address ? [{ address, what: 'the node' }] : []),
      ...(router ? [{ address: router, what: 'through the tunnel' }] : []),
    ];
  };

  #localApi() {
    let api: Awaited<ReturnType<typeof startLocalApi>> | undefined;
    return {
      name: 'local-api',
      start: async () => {
        api = await startLocalApi({
          path: apiSocketIn(this.options.runDir),
          log: this.#log,
          answers: {
            healthz: () => ({ ready: this.endpoints !== undefined, why: this.nodes.problem }),
            status: async () => {
              await this.#recountStoredKinds();
              return statusReport(this);
            },
            tables: (url) => this.#tableAnswer(url),
            maps: () => mapUsage(this.datapath),
            programs: () => this.datapath?.programUsage() ?? [],
            config: () => ({ values: this.values, warnings: this.warnings }),
            version: () => ({ version: this.version }),
          },
          streams: { monitor: (_, send) => this.monitor.follow(send) },
        });
      },
      stop: () => api?.close(),
    };
  }

  #tableAnswer(url: URL): unknown {
    const name = decodeURIComponent(url.pathname.split('/')[2] ?? '');
    const tables = this.tables();
    if (name === '') return tables.map((table) => ({ name: table.name, rows: table.size }));
    return tables.find((table) => table.name === name)?.report();
  }

  #startNodes(): NodesFeature {
    const { options, values, kubernetes } = this;
    return startNodes({
      netlink: this.#netlink,
      nodeName: options.nodeName,
      nodeObjects: kubernetes.nodes,
      serviceCidrs: kubernetes.serviceCidrs,
      values: {
        devices: values.devices,
        mtu: values.MTU,
        tunnelPort: values.tunnelPort,
        ipv4: values.ipv4.enabled,
        ipv6: values.ipv6.enabled,
      },
      lastKnown: this.#ownNode.load(options.nodeName),
      proc: options.proc,
      log: this.#log,
      clock: this.#clock,
      controllers: this.controllers,
    });
  }

  async #nodesReady(): Promise<void> {
    const stopped = Promise.withResolvers<never>();
    this.#stopping.signal.addEventListener('abort', () =>
      stopped.reject(new Error('stopped before the node was ready')),
    );
    await Promise.race([this.nodes.ready, stopped.promise]);
    this.#learnOwnNode();
    this.nodes.nodes.subscribe(() => this.#learnOwnNode());
  }

  #learnOwnNode(): void {
    const own = this.nodes.nodes.get(this.options.nodeName);
    if (!own || own.podCidrs.length === 0) return;
    this.addresses.setPrefixes(own.podCidrs);
    this.#ownNode.save({ name: own.name, addresses: own.addresses, podCidrs: own.podCidrs });
  }

  #openDatapath(): void {
    const { options, nodes } = this;
    const facts = this.#facts();
    const datapath = openDatapath({
      bpffs: options.bpffs,
      cgroupPath: options.cgroupRoot ?? cgroupMount(),
      objectsDirectory: join(installationRoot(), 'bpf/build'),
      configuration: this.#configuration(facts),
      log: this.#log,
      logDirectory: join(options.stateDir, 'verifier'),
    });
    this.datapath = datapath;
    datapath.attachOverlay(facts.overlayIfindex);
    datapath.attachHost(facts.netIfindex);
    nodes.serveMaps(datapath.maps);
    nodes.onFactsChange((changed) => {
      datapath.reconfigure(this.#configuration(changed));
      datapath.attachOverlay(changed.overlayIfindex);
      datapath.attachHost(changed.netIfindex);
    });
    this.drops = datapath.events((drop) => this.monitor.onDrop(drop));
  }

  #closeDatapath(): void {
    this.drops?.[Symbol.dispose]();
    this.datapath?.[Symbol.dispose]();
  }

  #configuration(facts: NodeFacts): Configuration {
    return {
      dryRun: 0,
      gatewayIpv4: facts.gatewayIpv4,
      gatewayIpv6: facts.gatewayIpv6,
      hostIfindex: facts.hostIfindex,
      hostMac: facts.hostMac,
      ipv4Enabled: this.values.ipv4.enabled ? 1 : 0,
      ipv6Enabled: this.values.ipv6.enabled ? 1 : 0,
      // What other nodes see our own traffic as.
      nodeIdentity: reservedIdentities['remote-node'],
      overlayIfindex: facts.overlayIfindex,
    };
  }

  #startEndpoints(): void {
    const { pods } = this.kubernetes;
    const datapath = this.#opened();
    const endpoints = startEndpoints({
      stateFolder: join(this.options.stateDir, 'endpoints'),
      addresses: this.addresses,
      maps: datapath.maps,
      programs: datapath,
      netlink: this.#netlink,
      procPath: this.options.proc,
      nodeMac: this.#facts().hostMac,
      mtu: () => ({ device: this.#facts().mtu, route: this.#facts().mtu }),
      labels: { labelsOf: (namespace, name) => pods.get(`${namespace}/${name}`)?.labels },
      log: this.#log,
      clock: this.#clock,
      controllers: this.controllers,
    });
    this.endpoints = endpoints;
    pods.subscribe((changes) => {
      for (const { after } of changes) if (after) endpoints.labelsChanged(after.namespace, after.name);
    });
    this.controllers.start({
      name: 'endpoint-garbage',
      intervalMs: garbageIntervalMs,
      run: () => endpoints.collectGarbage(),
    });
  }

  #startServices(): void {
    if (!this.values.kubeProxyReplacement) return;
    const { services, endpointSlices } = this.kubernetes;
    const datapath = this.#opened();
    datapath.attachSock();
    this.loadBalancer = startLoadBalancer({
      services,
      endpointSlices,
      maps: datapath.maps,
      log: this.#log,
      clock: this.#clock,
      controllers: this.controllers,
    });
  }

  #cniServer() {
    let server: CniServer | undefined;
    return {
      name: 'cni',
      start: async () => {
        if (!this.endpoints) throw new Error('endpoints come before CNI');
        server = await startCniServer({
          path: this.cniSocket,
          handler: this.endpoints,
          log: this.#log,
          clock: this.#clock,
        });
        const { cniConfig } = this.options;
        if (cniConfig) writeCniConfiguration(cniConfig, { agentSocket: this.cniSocket });
      },
      stop: () => server?.close(),
    };
  }

  #startBackground(): void {
    const { maps } = this.#opened();
    this.controllers.start({
      name: 'conntrack-collection',
      intervalMs: collectionIntervalMs,
      run: async (signal) => {
        this.collection = await collectConnections(maps, this.#clock, { signal });
      },
    });
    const prober = startProber({ clock: this.#clock, log: this.#log });
    this.prober = prober;
    const probing = this.controllers.start({
      name: 'node-probe',
      intervalMs: probeIntervalMs,
      run: () => prober.probe(this.#probedAddresses().slice(0, probesMax)),
    });
    this.nodes.nodes.subscribe(() => probing.trigger());
    this.controllers.start({ name: 'datapath-links', intervalMs: linksIntervalMs, run: () => this.#repairLinks() });
  }

  /** Links that ought to be there and are not, by the kernel's word. */
  missingLinks(links: readonly LinkStatus[]): string[] {
    const podDevices = this.endpoints?.table.list().map((row) => row.hostName) ?? [];
    return missingLinks(links, { sockets: this.values.kubeProxyReplacement, podDevices });
  }

  /** Somebody removed a pin, and the hook went with it. */
  #repairLinks(): void {
    const datapath = this.#opened();
    const missing = this.missingLinks(datapath.links());
    if (missing.length === 0) return;
    this.#log.warn({ missing }, 'links are gone, attaching anew');
    if (missing.includes('overlay')) datapath.attachOverlay(this.#facts().overlayIfindex);
    if (missing.includes('host')) datapath.attachHost(this.#facts().netIfindex);
    if (missing.some((name) => name.startsWith('sock_'))) datapath.attachSock();
    if (missing.some((name) => name.startsWith('pod_'))) {
      for (const each of this.endpoints?.reconcilers ?? []) each.triggerFull();
    }
  }

  #probedAddresses(): Address[] {
    const remote = this.nodes.nodes.list().filter((node) => !node.local);
    return remote.flatMap((node) => this.probeTargets(node).map((target) => target.address));
  }

  #askApi(): void {
    const { client } = this.kubernetes;
    this.controllers.start({
      name: 'kubernetes-version',
      intervalMs: apiIntervalMs,
      backoffMaxMs: 10_000,
      run: async (signal) => {
        const answer = await client.request({ method: 'GET', path: '/version', signal });
        this.kubernetesVersion =
          isRecord(answer) && typeof answer.gitVersion === 'string' ? answer.gitVersion : undefined;
      },
    });
    this.controllers.start({
      name: 'custom-resources',
      intervalMs: apiIntervalMs,
      backoffMaxMs: 10_000,
      run: async (signal) => {
        this.storedKinds = await countStoredKinds(client, signal);
      },
    });
  }

  /** For who asks now; where the API server does not answer at once, the last count stands. */
  async #recountStoredKinds(): Promise<void> {
    const signal = AbortSignal.timeout(statusPatienceMs);
    this.storedKinds = await countStoredKinds(this.kubernetes.client, signal).catch(() => this.storedKinds);
  }

  #facts(): NodeFacts {
    if (this.nodes.facts) return this.nodes.facts;
    throw new Error('the node is not ready');
  }

  #opened(): Datapath {
    if (this.datapath) return this.datapath;
    throw new Error('the datapath is not open');
  }
}

function apiServers(values: SluiceValues): string[] {
  const urls = [...values.k8s.apiServerURLs];
  if (urls.length > 0) return urls;
  return values.k8sServiceHost === '' ? [] : [serverUrl(values.k8sServiceHost, values.k8sServicePort)];
}

/** Where cgroup v2 is mounted: /sys/fs/cgroup, or elsewhere on machines that have v1 as well. */
function cgroupMount(): string {
  const mount = readMounts().find((candidate) => candidate.type === 'cgroup2');
  if (mount) return mount.path;
  throw new Error('cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup, or give --cgroup-root');
}
