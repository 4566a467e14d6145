import { randomBytes } from 'node:crypto';
import type { LabelRules } from '@sluice/identity';
import { createKubeClient, eventRecorder, type KubeConfiguration, leaderElection, operatorLease } from '@sluice/kube';
import type { ExternalIpRules } from '@sluice/loadbalancer';
import { type AddressFamily, familyOf, type Prefix, prefixOf } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import {
  type Clock,
  gather,
  HealthServer,
  installedVersion,
  type Logger,
  MetricsServer,
  systemClock,
  type Tally,
} from '@sluice/runtime';
import { type Change, Controllers } from '@sluice/state';
import { watchCluster } from './cluster.ts';
import { definitions } from './custom-resources/definitions.ts';
import { definitionFiles } from './custom-resources/files.ts';
import { installDefinitions } from './custom-resources/install.ts';
import { startIdentityJobs } from './identities/identity-jobs.ts';
import type { LabelledPod } from './identities/labelled-pod.ts';
import { operatorMetrics } from './metrics/operator-metrics.ts';
import { OperatorTallies } from './metrics/operator-tallies.ts';
import { NodeMarks } from './node-marks/node-marks.ts';
import { assignPodCidrs } from './pod-cidrs.ts';
import type { Pool, PoolPlan } from './pools.ts';
import { type ServiceEvents, startServiceEvents } from './service-events.ts';
import { SliceGarbage } from './slice-garbage.ts';

export interface OperatorOptions {
  readonly kube: KubeConfiguration;
  readonly pools: readonly Pool[];
  readonly families: readonly AddressFamily[];
  /** Which labels make an identity. */
  readonly labels: LabelRules;
  /** How often identities are looked over, and for how long one stays that nobody uses; an interval of 0: for ever. */
  readonly identityGarbage: { readonly intervalMs: number; readonly graceMs: number };
  /** Of the Lease, and of the agents. */
  readonly namespace: string;
  /** Whose name the events bear. */
  readonly host: string;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Whether to tell what of Services is not served: not where somebody else serves them. */
  readonly services: boolean;
  /** `externalIPs.enabled` */
  readonly externalIps: boolean;
  /** `nodePort.range`: at others no node looks for a NodePort. */
  readonly nodePortRange: { readonly first: number; readonly last: number };
  readonly externalIpRules: ExternalIpRules;
  /** TCP port of the metrics; undefined: none. */
  readonly metricsPort?: number | undefined;
  /** TCP on 127.0.0.1, for the kubelet's probes; undefined: none. */
  readonly healthPort?: number | undefined;
  /** Where the lines of the log are counted. */
  readonly logged?: Tally;
  /** Default: those that netlink shows. */
  readonly lan?: () => readonly Prefix[];
}

export interface OperatorStatus {
  readonly leading: boolean;
  readonly leader: string;
  readonly plan: PoolPlan | undefined;
  readonly identities: number;
  readonly controllers: ReturnType<Controllers['list']>;
  /** What it cannot do, and why; undefined: all that it should. */
  readonly problem: string | undefined;
}

export interface Operator {
  status(): OperatorStatus;
  stop(): Promise<void>;
}

/** Of what it cannot do so much is told. */
const toldMax = 5;

/** Without the API server it waits and tries again: nothing that runs depends on it. */
export function startOperator(options: OperatorOptions): Operator {
  const { log, clock = systemClock } = options;
  const tallies = new OperatorTallies(options.logged);
  const onCall = tallies.onApiCall;
  const client = createKubeClient({ ...options.kube, log, userAgent: 'sluice-operator', onCall });
  const controllers = new Controllers(clock);
  const events = eventRecorder({ client, component: 'sluice-operator', host: options.host, log, clock });
  const cluster = watchCluster({ client, rules: options.labels, namespace: options.namespace, log, clock });
  const { nodes, slices } = cluster;
  let plan: PoolPlan | undefined;
  let serviceEvents: ServiceEvents | undefined;
  const context = {
    client,
    nodes,
    pools: options.pools,
    families: options.families,
    lan: options.lan ?? localNetworks,
    events,
    log,
  };

  function lead(leading: AbortSignal): void {
    const jobs = new AsyncDisposableStack();
    const job = (name: string, intervalMs: number, run: (signal: AbortSignal) => Promise<void>) => {
      const untilEither = (stopped: AbortSignal) => run(AbortSignal.any([leading, stopped]));
      return jobs.use(controllers.start({ name, intervalMs, backoffMaxMs: 30_000, run: untilEither }));
    };
    const kinds = [...definitions, ...definitionFiles()];
    job('custom-resources', 300_000, (signal) => installDefinitions(kinds, { client, log }, signal));
    const podCidrs = job('pod-cidrs', 60_000, async (signal) => {
      plan = (await assignPodCidrs(context, signal)) ?? plan;
    });
    jobs.use(nodes.subscribe(() => podCidrs.trigger()));
    const marks = new NodeMarks({ client, nodes, pods: cluster.pods, log, clock });
    const nodeMarks = job('node-marks', 10_000, (signal) => marks.round(signal));
    jobs.use(nodes.subscribe(() => nodeMarks.trigger()));
    const concernsAgent = ({ before, after }: Change<LabelledPod>) => (before?.agent ?? after?.agent) !== undefined;
    jobs.use(cluster.pods.subscribe((changes) => void (changes.some(concernsAgent) && nodeMarks.trigger())));
    const sliceGarbage = new SliceGarbage({ client, slices, nodes, log });
    job('slice-garbage', 10_000, (signal) => sliceGarbage.round(signal));
    const { intervalMs: garbageIntervalMs, graceMs: garbageGraceMs } = options.identityGarbage;
    const onGarbageRound = tallies.onGarbageRound;
    const garbage = { garbageIntervalMs, garbageGraceMs, onGarbageRound };
    const identityOptions = { client, cluster, rules: options.labels, ...garbage };
    jobs.use(startIdentityJobs({ ...identityOptions, controllers, clock, log }));
    const { externalIps, nodePortRange } = options;
    const viewpoint = { nodeName: undefined, externalIps, nodePortRange };
    const told = { client, events, controllers, log, clock, viewpoint, nodes, rules: options.externalIpRules };
    if (options.services) serviceEvents = jobs.use(startServiceEvents(told));
    leading.addEventListener('abort', () => {
      serviceEvents = undefined;
      void jobs.disposeAsync();
    });
  }

  const problem = (): string | undefined => {
    const failing = controllers.list().filter(({ consecutiveFailures }) => consecutiveFailures > 0);
    const troubles = [
      ...(election.problem === undefined ? [] : [`Lease ${operatorLease.name}: ${election.problem}`]),
      ...cluster.troubles(),
      ...(serviceEvents?.troubles() ?? []),
      ...(events.problem === undefined ? [] : [`events: ${events.problem}`]),
      ...failing.map(({ name, lastError }) => `${name}: ${lastError}`),
    ];
    return troubles.length === 0 ? undefined : troubles.slice(0, toldMax).join('; ');
  };
  const election = leaderElection({
    client,
    namespace: options.namespace,
    name: operatorLease.name,
    annotations: () => ({ [operatorLease.problemAnnotation]: problem() }),
    identity: `${options.host}-${randomBytes(4).toString('hex')}`,
    onStartedLeading: lead,
    log,
    clock,
  });
  const status = (): OperatorStatus => ({
    leading: election.isLeader,
    leader: election.leader,
    plan,
    identities: cluster.identities.size,
    controllers: controllers.list(),
    problem: problem(),
  });
  const { metricsPort: port } = options;
  const version = installedVersion();
  const gatherAll = () => gather(operatorMetrics, { version, status: status(), cluster, controllers, tallies });
  const metrics = port === undefined ? undefined : new MetricsServer({ port, gather: gatherAll, log, clock });
  // Not ready is not restarted: without the API server it waits, which no restart would shorten.
  const { healthPort } = options;
  const health =
    healthPort === undefined ? undefined : new HealthServer({ port: healthPort, unready: problem, log, clock });
  cluster.start();
  election.start();
  void metrics?.start();
  void health?.start();
  return {
    status,
    async stop() {
      await health?.stop();
      await metrics?.stop();
      await election.stop();
      await cluster.stop();
      await events.stop();
      client.close();
    },
  };
}

/** Prefixes of this node's own devices; ours and the loopback's are no LAN. */
function localNetworks(): Prefix[] {
  using netlink = openNetlink();
  const names = new Map(netlink.links.list().map((link) => [link.ifindex, link.name]));
  return netlink.addresses.list().flatMap(({ ifindex, address, length }) => {
    const name = names.get(ifindex) ?? '';
    const isWide = length < (familyOf(address) === 4 ? 32 : 128);
    const isLan = isWide && !/^(lo$|sluice_|slc)/.test(name) && !address.startsWith('fe80:');
    return isLan ? [prefixOf(address, length)] : [];
  });
}
