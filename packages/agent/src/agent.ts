import { join } from 'node:path';
import { defaultValues, readValues, type SluiceValues } from '@sluice/config';
import { type Datapath, type Events, expeditedGracePeriods, openDatapath } from '@sluice/datapath';
import { type Endpoints, podDevices, startEndpoints } from '@sluice/endpoint';
import { NodeAddresses } from '@sluice/ipam';
import { kubeConfiguration, serversOf } from '@sluice/kube';
import {
  externalIpRules,
  type HostPortNode,
  type HostPortSource,
  type LoadBalancer,
  maglevRowsForAll,
} from '@sluice/loadbalancer';
import { type Netlink, openNetlink } from '@sluice/netlink';
import { type NodeFacts, type NodesFeature, startNodes } from '@sluice/nodes';
import {
  type Clock,
  HealthServer,
  installationRoot,
  installedVersion,
  type Lifecycle,
  type Logger,
  lifecycle,
  systemClock,
  type Tally,
} from '@sluice/runtime';
import { Controllers } from '@sluice/state';
import { Acceleration } from './acceleration.ts';
import { AddressConflicts } from './address-conflicts.ts';
import { agentAnswers, agentStreams } from './answers.ts';
import { ApiFacts } from './api-facts.ts';
import { cgroupRoot } from './cgroup-root.ts';
import { CniPart } from './cni-part.ts';
import { Connections } from './connections.ts';
import { datapathConfiguration } from './datapath-configuration.ts';
import { EndedSockets } from './ended-sockets.ts';
import { type ForeignPrograms, foreignPrograms, foreignProgramsAt } from './foreign/foreign-programs.ts';
import { shownFrontends } from './frontend-list.ts';
import { Healthz } from './healthz.ts';
import { hookedDevices } from './hooked-devices.ts';
import { hostPortNode, hostPortSource } from './host-ports.ts';
import { Installation } from './installation.ts';
import { KernelDropsPart } from './kernel-drops.ts';
import { type Kubernetes, kubernetes } from './kubernetes.ts';
import { LastingSocket } from './lasting-socket.ts';
import { Links } from './links.ts';
import { type ApiAnswer, startLocalApi } from './local-api.ts';
import { LocalIdentities } from './local-identities.ts';
import { MetricsPart } from './metrics/metrics-part.ts';
import { countServices } from './metrics/service-tallies.ts';
import { Tallies } from './metrics/tallies.ts';
import { createMonitor } from './monitor.ts';
import { type NameOf, nameAddresses, nameEndpoints } from './names.ts';
import { natPortsBeside, scarcePorts } from './nat-ports.ts';
import { nodePortLoopback, reservedPorts } from './node-ports.ts';
import { ObjectEvents } from './object-events.ts';
import type { AgentOptions } from './options.ts';
import { OwnNodeFile } from './own-node.ts';
import { PublisherPart } from './publisher-part.ts';
import { NodeReachability } from './reachability.ts';
import { apiSocketIn, cniSocketIn } from './run-directory.ts';
import { Services } from './services.ts';
import { type ShownTable, shownTable } from './table-reports.ts';
import { withdrawnPods } from './withdrawn-pods.ts';

const garbageIntervalMs = 60_000;

/** What the process gives the agent besides its options. */
export interface AgentSurroundings {
  readonly log: Logger;
  /** Where the lines of the log are counted. */
  readonly logged?: Tally;
  readonly clock?: Clock;
}

/**
 * One node's agent: everything wired, in the order in which it can start. Until our Node object has pod CIDRs (known from
 * an earlier run, or told by the API server) only the local API answers; then the kernel's side, the endpoints and CNI.
 */
export class Agent {
  readonly options: AgentOptions;
  readonly values: SluiceValues;
  readonly warnings: readonly string[];
  /** Options that the file sets, with their lines. */
  readonly given: ReadonlyMap<string, number>;
  readonly version = installedVersion();
  readonly startedAt: number;
  readonly kubernetes: Kubernetes;
  readonly nodes: NodesFeature;
  readonly addresses: NodeAddresses;
  readonly controllers: Controllers;
  readonly tallies: Tallies;
  readonly metrics: MetricsPart;
  readonly cniSocket: string;
  readonly monitor;
  readonly nameOf: NameOf;
  datapath: Datapath | undefined;
  endpoints: Endpoints | undefined;
  events: Events | undefined;
  readonly publishing: PublisherPart;
  readonly apiFacts: ApiFacts;
  readonly identities: LocalIdentities;
  readonly links: Links;
  readonly services: Services;
  readonly healthz: Healthz;
  readonly cni: CniPart;
  readonly connections: Connections;
  readonly endedSockets: EndedSockets;
  readonly kernelDrops: KernelDropsPart;
  readonly reachability: NodeReachability;
  readonly objectEvents: ObjectEvents;
  readonly addressConflicts: AddressConflicts;
  readonly acceleration: Acceleration;
  /** Undefined: nobody has installed us on the node. */
  readonly installation: Installation | undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #netlink: Netlink;
  readonly #ownNode: OwnNodeFile;
  readonly #lifecycle: Lifecycle;
  readonly #stopping = new AbortController();
  /** Pod CIDRs that were complained of. */
  #tooSmall = '';
  #isReady = false;

  constructor(options: AgentOptions, { log, logged, clock = systemClock }: AgentSurroundings) {
    const { values, warnings, given } = options.config
      ? readValues(options.config)
      : { values: defaultValues(), warnings: [], given: new Map<string, number>() };
    for (const warning of warnings) log.info(warning);
    this.options = options;
    this.values = values;
    this.warnings = warnings;
    this.given = given;
    this.startedAt = clock.now();
    this.cniSocket = cniSocketIn(options.runDir);
    this.controllers = new Controllers(clock);
    this.tallies = new Tallies(logged);
    this.addresses = new NodeAddresses({ ipv4: values.ipv4.enabled, ipv6: values.ipv6.enabled, clock });
    this.#clock = clock;
    this.#log = log;
    this.#netlink = openNetlink();
    this.#ownNode = new OwnNodeFile(join(options.stateDir, 'node.json'), log);
    this.#lifecycle = lifecycle({ log, clock, onStart: ({ part, ...start }) => this.tallies.started.set(part, start) });
    const configuration = kubeConfiguration({ kubeconfig: options.kubeconfig, servers: serversOf(values) });
    const onCall = this.tallies.onApiCall;
    this.kubernetes = kubernetes({ configuration, nodeName: options.nodeName, log, clock, onCall });
    countServices(this.kubernetes.services, this.tallies);
    this.nodes = this.#startNodes();
    this.apiFacts = new ApiFacts(this.kubernetes.client, this.controllers);
    this.identities = new LocalIdentities({ kubernetes: this.kubernetes, values, controllers: this.controllers });
    const common = { controllers: this.controllers, clock, log };
    const datapath = () => this.#opened();
    const enabled = values.kubeProxyReplacement;
    const endpoints = () => this.endpoints;
    this.links = new Links({
      ...common,
      datapath,
      endpoints,
      facts: () => this.#facts(),
      devices: this.nodes.devices,
      sockets: enabled,
    });
    const { kubernetes: objects, links, tallies } = this;
    const viewpoint = {
      nodeName: options.nodeName,
      externalIps: values.externalIPs.enabled,
      followsHints: values.loadBalancer.serviceTopology,
      nodePortLoopback: nodePortLoopback(values.nodePort.addresses),
      nodePortRange: values.nodePort.range,
      algorithm: values.loadBalancer.algorithm,
      forwarding: this.values.loadBalancer.mode,
    };
    const { tableSize, hashSeed } = values.maglev;
    const hostPorts = () => this.#hostPorts();
    this.services = new Services({
      ...common,
      viewpoint,
      maglev: { tableSize, seed: hashSeed.table },
      externalIpRules: externalIpRules({
        allowed: values.externalIPs.allowed,
        isMitigated: !values.bpf.disableExternalIPMitigation,
        servers: serversOf(values),
      }),
      networks: this.nodes.addresses,
      hostPorts,
      withdrawn: () => this.endpoints && withdrawnPods(this.endpoints.table, options.nodeName),
      datapath,
      enabled,
      kubernetes: objects,
      links,
      tallies,
    });
    this.healthz = new Healthz({
      ...common,
      address: enabled ? values.kubeProxyReplacementHealthzBindAddr : { host: '', port: 0 },
      nodeName: options.nodeName,
      nodes: objects.nodes,
      loadBalancer: () => this.loadBalancer,
    });
    this.cni = new CniPart({
      ...common,
      socket: this.cniSocket,
      handler: () => this.#restored(),
      configFile: options.cniConfig,
      isExclusive: options.cniExclusive,
      onAnswer: this.tallies.onCniAnswer,
    });
    const natPorts = natPortsBeside(values.nodePort.range);
    this.connections = new Connections({ ...common, maps: () => this.#opened().maps, tallies, natPorts });
    this.endedSockets = new EndedSockets({
      ...common,
      enabled,
      ofPods: values.socketLB.terminatePodConnections,
      ofTcp: values.socketLB.terminateAllProtocols,
      kubernetes: objects,
      datapath,
      endpoints,
    });
    this.kernelDrops = new KernelDropsPart({ ...common, datapath, endpoints, nodes: () => this.nodes });
    this.reachability = new NodeReachability({ ...common, nodes: this.nodes.nodes, tallies });
    this.addressConflicts = new AddressConflicts({ ...common, nodes: this.nodes, netlink: this.#netlink });
    this.acceleration = new Acceleration({
      ...common,
      datapath,
      facts: () => this.#facts(),
      devices: this.nodes.devices,
      netlink: this.#netlink,
      wanted: values.loadBalancer.acceleration,
    });
    this.publishing = new PublisherPart({
      ...common,
      nodeName: options.nodeName,
      kubernetes: this.kubernetes,
      nodes: this.nodes,
      endpoints: () => this.#restored(),
      facts: () => this.#facts(),
    });
    this.metrics = new MetricsPart(this, { log, clock });
    this.nameOf = nameAddresses(this);
    const { daemonSet, cniConfig: configFile, cniPlugin: pluginFile } = options;
    const { client } = this.kubernetes;
    this.installation = daemonSet && new Installation({ daemonSet, configFile, pluginFile, client, clock, log });
    this.objectEvents = new ObjectEvents({
      ...common,
      nodeName: options.nodeName,
      kubernetes: this.kubernetes,
      nodes: this.nodes,
      endpoints,
      loadBalancer: () => this.loadBalancer,
      tooSmall: () => this.#tooSmall,
      hostPorts: () => (enabled ? this.#hostPortNode() : undefined),
      scarcePorts: () => scarcePorts(this.connections.takenPorts ?? []),
    });
    this.monitor = createMonitor({
      nameOf: this.nameOf,
      interfaceOf: (ifindex) => this.interfaceOf(ifindex),
      kernelReason: (reason, name) =>
        this.kernelDrops.drops?.describe(reason, name) ?? { text: `kernel reason ${reason}`, hint: '' },
      kernelReasons: () => this.kernelDrops.drops?.texts ?? [],
      endpointName: nameEndpoints(this),
      othersAt: foreignProgramsAt(() => this.foreignPrograms(), clock),
    });
  }

  /** Its name now, or `if12` when it is gone. */
  interfaceOf(ifindex: number): string {
    return this.#netlink.links.get(ifindex)?.name ?? `if${ifindex}`;
  }

  foreignPrograms(): ForeignPrograms {
    const { own, shared } = hookedDevices(this.nodes, this.endpoints);
    const ifindexes = new Set([...own, ...shared]);
    return foreignPrograms({ datapath: this.datapath, netlink: this.#netlink, ifindexes });
  }

  /** Resolves when everything runs; rejects when it cannot. */
  async start(): Promise<void> {
    const parts = this.#lifecycle;
    if (this.options.healthPort !== undefined) parts.add(this.#health(this.options.healthPort));
    parts.add(this.#localApi());
    // Early: who looks from outside sees what the agent waits for.
    parts.add(this.metrics);
    parts.add(this.healthz);
    parts.add({ name: 'kubernetes', start: () => this.kubernetes.start(), stop: () => this.kubernetes.stop() });
    parts.add(this.apiFacts);
    parts.add(this.identities);
    // Before the node is ready: what keeps it from that is told, too.
    parts.add(this.objectEvents);
    parts.add({ name: 'nodes', start: () => this.#nodesReady(), stop: () => this.nodes.close() });
    parts.add({ name: 'datapath', start: () => this.#openDatapath(), stop: () => this.#closeDatapath() });
    parts.add(this.#endpointsPart());
    parts.add(this.publishing);
    parts.add(this.services);
    parts.add(this.cni);
    parts.add(this.links);
    parts.add(this.acceleration);
    parts.add(this.connections);
    parts.add(this.endedSockets);
    parts.add(this.kernelDrops);
    parts.add(this.reachability);
    parts.add(this.addressConflicts);
    await parts.start();
    this.#isReady = true;
    const milliseconds = this.#clock.now() - this.startedAt;
    this.tallies.started.set('overall', { seconds: milliseconds / 1000, isGood: true });
    this.#log.info({ endpoints: this.endpoints?.table.size, milliseconds }, 'agent is ready');
  }

  /** Resolves when the services that the API server listed first are in the kernel; rejects when stopped before. */
  async caughtUp(): Promise<void> {
    await this.kubernetes.listed('Node', 'Service', 'EndpointSlice');
    await this.loadBalancer?.reconciler.flush();
  }

  /** Traffic goes on: links and maps stay pinned. */
  async stop(): Promise<void> {
    this.#isReady = false;
    this.#stopping.abort();
    await this.#lifecycle.stop();
    this.#netlink[Symbol.dispose]();
  }

  get loadBalancer(): LoadBalancer | undefined {
    return this.services.loadBalancer;
  }

  tables(): ShownTable[] {
    const { services, endpointSlices, nodes, pods, serviceCidrs, namespaces, slices } = this.kubernetes;
    return [
      shownTable(this.nodes.nodes),
      shownTable(this.nodes.devices),
      shownTable(this.acceleration.table),
      shownTable(this.nodes.addresses),
      shownTable(this.nodes.ipcache.table),
      ...(this.endpoints ? [shownTable(this.endpoints.table)] : []),
      ...(this.loadBalancer
        ? [
            shownFrontends({
              ...{ services, loadBalancer: this.loadBalancer },
              nodePortAddresses: () => this.nodes.nodePortAddresses(),
            }),
            shownTable(this.loadBalancer.conflicts),
            shownTable(this.loadBalancer.healthChecks),
          ]
        : []),
      shownTable(services),
      shownTable(endpointSlices),
      shownTable(nodes),
      shownTable(pods),
      shownTable(serviceCidrs),
      shownTable(namespaces),
      shownTable(slices),
    ];
  }

  #health(port: number): HealthServer {
    const unready = () => (this.#isReady ? undefined : (this.nodes.problem ?? 'starting'));
    return new HealthServer({ port, unready, log: this.#log, clock: this.#clock });
  }

  #localApi() {
    const common = { path: apiSocketIn(this.options.runDir), log: this.#log, clock: this.#clock };
    const onAnswer = ({ path, method, status, seconds }: ApiAnswer) =>
      this.tallies.localApi.observe([path, method, String(status)], seconds);
    const open = () => startLocalApi({ ...common, answers: agentAnswers(this), streams: agentStreams(this), onAnswer });
    const socket = new LastingSocket({ name: 'local-api-socket', open, controllers: this.controllers, log: this.#log });
    return { name: 'local-api', start: () => socket.start(), stop: () => socket.stop() };
  }

  #startNodes(): NodesFeature {
    const { options, values, kubernetes } = this;
    return startNodes({
      netlink: this.#netlink,
      nodeName: options.nodeName,
      nodeObjects: kubernetes.nodes,
      serviceCidrs: kubernetes.serviceCidrs,
      slices: kubernetes.slices,
      values: {
        devices: values.devices,
        mtu: values.MTU,
        tunnelPort: values.tunnelPort,
        ipv4: values.ipv4.enabled,
        ipv6: values.ipv6.enabled,
        nodePortAddresses: values.nodePort.addresses,
        reservedPorts: reservedPorts(values),
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
    const tooSmall = this.addresses.setPrefixes(own.podCidrs).join(', ');
    if (tooSmall !== '' && tooSmall !== this.#tooSmall)
      this.#log.warn({ tooSmall }, 'pod CIDRs without room for a pod are not used');
    this.#tooSmall = tooSmall;
    this.#ownNode.save({ name: own.name, addresses: own.addresses, podCidrs: own.podCidrs });
  }

  #openDatapath(): void {
    const { options, nodes, values } = this;
    const facts = this.#facts();
    const datapath = openDatapath({
      bpffs: options.bpffs,
      cgroupPath: cgroupRoot(options.cgroupRoot),
      objectsDirectory: join(installationRoot(), 'bpf/build'),
      configuration: datapathConfiguration(values, facts),
      mapSizes: values.loadBalancer.algorithm === 'maglev' ? { maglev: maglevRowsForAll } : {},
      log: this.#log,
      logDirectory: join(options.stateDir, 'verifier'),
      expedite: expeditedGracePeriods({
        sysPath: options.sys,
        markerPath: join(options.runDir, 'expedited'),
        log: this.#log,
      }),
    });
    this.datapath = datapath;
    this.links.attach();
    nodes.serveMaps(datapath.maps);
    nodes.onFactsChange((changed) => {
      datapath.reconfigure(datapathConfiguration(values, changed));
      this.links.attach();
    });
    this.events = datapath.events((event) => this.monitor.onEvent(event));
  }

  #closeDatapath(): void {
    this.events?.[Symbol.dispose]();
    this.datapath?.[Symbol.dispose]();
  }

  #hostPortNode(): HostPortNode {
    const { values, nodes, kubernetes } = this;
    const servers = kubernetes.client.servers().map(({ url }) => url);
    return hostPortNode({ ...this.options, values, nodes, servers });
  }

  #hostPorts(): HostPortSource {
    if (!this.endpoints) throw new Error('host ports are asked for before there are endpoints');
    return hostPortSource({
      node: () => this.#hostPortNode(),
      nodes: this.nodes,
      endpoints: this.endpoints.table,
    });
  }

  #endpointsPart() {
    const jobs = new AsyncDisposableStack();
    return {
      name: 'endpoints',
      start: () => {
        const endpoints = this.#startEndpoints();
        jobs.use(
          this.controllers.start({
            name: 'endpoint-garbage',
            intervalMs: garbageIntervalMs,
            run: () => endpoints.collectGarbage(),
          }),
        );
        jobs.use(
          this.controllers.start({
            name: 'state-files',
            intervalMs: garbageIntervalMs,
            run: () => {
              endpoints.keepFiles();
              this.#learnOwnNode();
            },
          }),
        );
      },
      stop: async () => {
        await jobs.disposeAsync();
        await this.endpoints?.stop();
      },
    };
  }

  #startEndpoints(): Endpoints {
    const datapath = this.#opened();
    const endpoints = startEndpoints({
      stateFolder: join(this.options.stateDir, 'endpoints'),
      addresses: this.addresses,
      maps: datapath.maps,
      programs: datapath,
      devices: podDevices({ netlink: this.#netlink, procPath: this.options.proc }),
      nodeMac: this.#facts().hostMac,
      mtu: () => ({ device: this.#facts().mtu, route: this.#facts().mtu }),
      identities: this.identities,
      log: this.#log,
      clock: this.#clock,
      controllers: this.controllers,
    });
    this.endpoints = endpoints;
    this.identities.follow(endpoints);
    return endpoints;
  }

  #facts(): NodeFacts {
    if (this.nodes.facts) return this.nodes.facts;
    throw new Error('the node is not ready');
  }

  #restored(): Endpoints {
    if (this.endpoints) return this.endpoints;
    throw new Error('endpoints come before what asks for them');
  }

  #opened(): Datapath {
    if (this.datapath) return this.datapath;
    throw new Error('the datapath is not open');
  }
}
