import { setImmediate } from 'node:timers/promises';
import type { ServiceAlgorithm, ServiceForwardingMode, ServiceObject, TrafficPolicy } from '@sluice/kube';
import { type Clock, type Logger, systemClock, type Timer } from '@sluice/runtime';
import {
  type Change,
  type Controllers,
  type Operations,
  type Reconciler,
  type RowStatus,
  reconciler,
  Table,
} from '@sluice/state';
import type { Viewpoint } from './desired.ts';
import {
  conflictKey,
  conflictText,
  deriveServices,
  type FrontendConflict,
  guardedViewpoint,
  type ServiceSources,
} from './desired-services.ts';
import type { DesiredFrontend, FrontendType } from './frontend.ts';
import { frontendEndpoints } from './frontend-endpoints.ts';
import { type HealthCheckRow, startHealthChecks } from './health-check-servers.ts';
import { KernelServices, type ServiceMaps } from './kernel-services.ts';
import { Lag } from './lag.ts';
import type { MaglevSettings } from './maglev-tables.ts';
import { sourceRangeTexts } from './source-ranges.ts';
import { isServedProtocol, unservedFrontends } from './unserved.ts';
import type { SeenEndpoint } from './unused.ts';

/** One line of `sluice service list`. */
export interface FrontendRow {
  readonly key: string;
  /** Also the rev-NAT index; 0 while the kernel does not have it. */
  readonly id: number;
  readonly type: FrontendType | 'HealthCheck';
  readonly service: string;
  readonly portName: string;
  /** Only these clients are served; undefined: all. */
  readonly sourceRanges: readonly string[] | undefined;
  /** Whether processes of this node are among them. */
  readonly isNodeAllowed: boolean;
  /** How clients from outside get a backend. */
  readonly algorithm: ServiceAlgorithm;
  /** Why that is at random, where Maglev is asked for; undefined: it is not. */
  readonly whyRandom: string | undefined;
  /** Of clients from outside whose backend is on another node; undefined: there are none. */
  readonly forwarding: ServiceForwardingMode | undefined;
  /** Whose endpoints: of all nodes, or of this one. */
  readonly policy: TrafficPolicy;
  /** 0: no session affinity. */
  readonly affinitySeconds: number;
  readonly backends: readonly FrontendBackend[];
  /** `1 not ready, 2 on another node`: endpoints that are no backends here; undefined: none. */
  readonly unused: string | undefined;
  /** `off`: accepted, and `reason` says why nothing serves it. */
  readonly state: RowStatus['state'] | 'off';
  readonly reason: string | undefined;
}

/** Of a desired backend, as which it is kept: there are too many for rows of their own. */
export interface FrontendBackend {
  readonly key: string;
  readonly state: string;
  readonly nodeName: string | undefined;
  readonly zone: string | undefined;
}

export interface LoadBalancerOptions extends ServiceSources {
  readonly maps: ServiceMaps;
  readonly maglev: MaglevSettings;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly controllers?: Controllers;
}

export interface LoadBalancer extends AsyncDisposable {
  readonly frontends: Table<FrontendRow>;
  readonly conflicts: Table<FrontendConflict>;
  readonly reconciler: Reconciler<DesiredFrontend>;
  /** As `frontendEndpoints`. */
  endpointsOf(row: FrontendRow): SeenEndpoint[];
  /** What is answered at healthCheckNodePorts. */
  readonly healthChecks: Table<HealthCheckRow>;
  readonly lag: Lag;
  /** Compares the maps with what they should be, now. */
  compare(): Promise<void>;
}

/** Frontends that are desired are written to the kernel; what the API has not told of yet is left as it is found. */
export function startLoadBalancer(options: LoadBalancerOptions): LoadBalancer {
  const { clock = systemClock, log } = options;
  const desired = deriveServices(options);
  const nowMs = () => Number(clock.monotonicNs() / 1_000_000n);
  const kernel = new KernelServices({ maps: options.maps, maglev: options.maglev, nowMs });
  const rows = frontendTable();
  const lag = new Lag(clock);
  const kept = keepFrontends(kernel, { timer: graceTimer({ clock, log, kernel }), rows, lag });
  const reconcile = reconciler<DesiredFrontend>({
    name: 'frontends',
    desired: desired.frontends,
    clock,
    log,
    ...(options.controllers && { controllers: options.controllers }),
    operations: kept.operations,
    isSlow: (row) => kernel.wantsTable(row),
    onStatus: (key, status) => {
      lag.note(key, status.state === 'done');
      const frontend = desired.frontends.get(key);
      if (frontend === undefined) return;
      // A row that only refuses is shown as what is not served.
      if (isServedProtocol(frontend) || status.state === 'error')
        rows.upsert(servedRow(frontend, status, kept.told(frontend)));
      else rows.delete(key);
    },
  });
  const unserved = showUnserved(options, desired.conflicts, rows);
  const healthChecks = startHealthChecks({
    ...{ services: options.services, endpointSlices: options.endpointSlices, clock, log },
    nodeName: options.viewpoint.nodeName,
    isHealthy: () => lag.isHealthy,
  });
  const failedChecks = showFailedChecks(healthChecks.checks, rows);
  const whole = desired.frontends.subscribe(() => {
    if (desired.frontends.initialized) rows.markInitialized('kubernetes');
  });
  if (desired.frontends.initialized) rows.markInitialized('kubernetes');
  reconcile.start();
  return {
    frontends: rows,
    conflicts: desired.conflicts,
    reconciler: reconcile,
    endpointsOf: (row) => frontendEndpoints(row, { ...options, nodeName: options.viewpoint.nodeName }),
    healthChecks: healthChecks.checks,
    lag,
    compare: async () => {
      reconcile.triggerFull();
      await reconcile.flush();
    },
    [Symbol.asyncDispose]: async () => {
      desired[Symbol.dispose]();
      unserved[Symbol.dispose]();
      whole[Symbol.dispose]();
      await healthChecks[Symbol.asyncDispose]();
      failedChecks[Symbol.dispose]();
      await reconcile.stop();
      kept[Symbol.dispose]();
    },
  };
}

interface KeptFrontends extends Disposable {
  readonly operations: Operations<DesiredFrontend>;
  /** What only the kernel's side knows; the id is 0 while it does not have the frontend. */
  told(frontend: DesiredFrontend): Pick<FrontendRow, 'id' | 'whyRandom'>;
}

/** What the reconciler does to the kernel; after each change the timer looks when the old generation may go. */
function keepFrontends(
  kernel: KernelServices,
  { timer, rows, lag }: { readonly timer: GraceTimer; readonly rows: Table<FrontendRow>; readonly lag: Lag },
): KeptFrontends {
  const ids = new Map<string, number>();
  const write = (row: DesiredFrontend): void => {
    ids.set(row.key, kernel.update(row));
    timer.arm();
  };
  return {
    told: (frontend) => ({ id: ids.get(frontend.key) ?? 0, whyRandom: kernel.whyRandom(frontend) }),
    operations: {
      // A table is made in a turn of its own: nobody in the agent waits for more than one.
      update: (row) => (kernel.wantsTable(row) ? setImmediate().then(() => write(row)) : write(row)),
      delete: (key) => {
        kernel.delete(key);
        lag.note(key, true);
        ids.delete(key);
        rows.delete(key);
        timer.arm();
      },
      prune: (wanted) => {
        const { count } = kernel.compare();
        const foreign = kernel.keys().filter((key) => !wanted.has(key));
        for (const key of foreign) kernel.delete(key);
        timer.arm();
        return count + foreign.length;
      },
    },
    [Symbol.dispose]: () => timer[Symbol.dispose](),
  };
}

function frontendTable(): Table<FrontendRow> {
  return new Table<FrontendRow>({
    name: 'frontends',
    key: rowKey,
    indexes: { service: (row) => [row.service] },
    columns: {
      // Letters sort behind numbers: what is served stands first.
      ID: (row) => (row.id === 0 ? 'none' : String(row.id)),
      Frontend: (row) => row.key,
      'Service Type': (row) => row.type,
      Mode: (row) => row.forwarding ?? '',
      Service: (row) => `${row.service}${row.portName === '' ? '' : `:${row.portName}`}`,
      Backends: (row) => row.backends.map(backendText).join(', '),
      'Not Used': (row) => row.unused ?? '',
      Status: statusText,
    },
  });
}

/** A place stands there once for the service that has it, and for each one that asks for it in vain. */
function rowKey({ key, service, state }: Pick<FrontendRow, 'key' | 'service' | 'state'>): string {
  const inVain = ` of ${service}`;
  return state !== 'off' || key.endsWith(inVain) ? key : `${key}${inVain}`;
}

function backendText({ key, state, nodeName, zone }: FrontendBackend): string {
  return `${key} (${[state, nodeName, zone].filter(Boolean).join(', ')})`;
}

function statusText(row: FrontendRow): string {
  const { state, reason, backends, policy, affinitySeconds, type } = row;
  if (reason !== undefined) return `${state}: ${reason}`;
  return [
    state,
    ...(backends.length === 0 ? ['no backends'] : []),
    ...(policy === 'Local' && type !== 'HostPort' ? ['policy Local'] : []),
    ...(affinitySeconds > 0 ? [`affinity ${affinitySeconds} s`] : []),
    ...clientsText(row),
    ...algorithmTexts(row),
  ].join(', ');
}

function clientsText({ sourceRanges, isNodeAllowed }: FrontendRow): string[] {
  if (sourceRanges === undefined) return [];
  if (sourceRanges.length === 0) return ['for nobody'];
  return [`only for ${sourceRanges.join(', ')}`, `this node ${isNodeAllowed ? 'included' : 'not'}`];
}

function algorithmTexts({ algorithm, whyRandom }: FrontendRow): string[] {
  if (algorithm === 'random') return [];
  return [whyRandom === undefined ? algorithm : `at random instead of by ${algorithm}: ${whyRandom}`];
}

function servedRow(
  frontend: DesiredFrontend,
  status: RowStatus,
  told: Pick<FrontendRow, 'id' | 'whyRandom'>,
): FrontendRow {
  return {
    ...told,
    key: frontend.key,
    algorithm: frontend.algorithm,
    type: frontend.type,
    service: frontend.service,
    portName: frontend.portName,
    sourceRanges: frontend.sourceRanges && sourceRangeTexts(frontend.sourceRanges),
    isNodeAllowed: frontend.isNodeAllowed,
    forwarding: frontend.forwarding,
    policy: frontend.policy,
    affinitySeconds: frontend.affinitySeconds,
    unused: frontend.unused,
    backends: frontend.backends,
    state: status.state,
    reason: status.error,
  };
}

/** What a Service asks for and nothing serves stands in the table too, with the reason. */
function showUnserved(
  { services, externalIpGuard, ...sources }: Pick<ServiceSources, 'services' | 'viewpoint' | 'externalIpGuard'>,
  conflicts: Table<FrontendConflict>,
  rows: Table<FrontendRow>,
): Disposable {
  const viewpoint = guardedViewpoint(sources.viewpoint, externalIpGuard);
  const shown = new Map<string, ReadonlySet<string>>();
  const show = (names: Iterable<string>): void => {
    for (const name of names) {
      const service = services.get(name);
      const wanted = [
        ...(service === undefined ? [] : unservedRows(service, viewpoint)),
        ...conflicts.by('service', name).map(conflictRow),
      ];
      const keys = new Set(wanted.map(rowKey));
      for (const key of shown.get(name) ?? []) if (!keys.has(key)) rows.delete(key);
      for (const row of wanted) rows.upsert(row);
      if (keys.size > 0) shown.set(name, keys);
      else shown.delete(name);
    }
  };
  const onServices = services.subscribe((changes) => show(changes.map(({ key }) => key)));
  const onOwners = externalIpGuard?.subscribe(show);
  const onConflicts = conflicts.subscribe((changes) => show(new Set(changes.flatMap(claimants))));
  show(services.keys());
  return {
    [Symbol.dispose]: () => {
      onServices[Symbol.dispose]();
      onOwners?.[Symbol.dispose]();
      onConflicts[Symbol.dispose]();
    },
  };
}

function claimants({ before, after }: Change<FrontendConflict>): string[] {
  return [before, after].flatMap((conflict) => conflict?.service ?? []);
}

const atRandom = { algorithm: 'random', whyRandom: undefined } as const;
const unmade = {
  id: 0,
  portName: '',
  sourceRanges: undefined,
  isNodeAllowed: true,
  forwarding: undefined,
  policy: 'Cluster',
  affinitySeconds: 0,
  backends: [],
  unused: undefined,
  ...atRandom,
} as const;

/** Nothing has failed: whose it is is told on the Service. */
function conflictRow(conflict: FrontendConflict): FrontendRow {
  const { service, type, portName } = conflict;
  const what = { key: conflictKey(conflict), type, portName, service };
  return { ...unmade, ...what, state: 'off', reason: conflictText(conflict) };
}

/** A health check that nobody can ask stands beside the service's frontends. */
function showFailedChecks(checks: Table<HealthCheckRow>, rows: Table<FrontendRow>): Disposable {
  const keyOf = ({ service, port }: HealthCheckRow) => `*:${port}/TCP health check of ${service}`;
  return checks.subscribe((changes) => {
    for (const { before, after } of changes) {
      if (before !== undefined) rows.delete(keyOf(before));
      if (after?.problem === undefined || after.problem === 'starting') continue;
      const { service, problem } = after;
      rows.upsert({ ...unmade, key: keyOf(after), type: 'HealthCheck', service, state: 'error', reason: problem });
    }
  });
}

function unservedRows(service: ServiceObject, viewpoint: Viewpoint): FrontendRow[] {
  const name = `${service.namespace}/${service.name}`;
  return unservedFrontends(service, viewpoint).map((frontend) => ({
    ...unmade,
    ...frontend,
    service: name,
    state: 'off',
  }));
}

interface GraceTimer extends Disposable {
  /** Sees to it that the timer fires when the next old generation falls due. */
  arm(): void;
}

const COLLECT_INTERVAL_MS = 10;

/** One timer for all that waits for its grace to pass. A failure is logged: the next comparison removes what stayed. */
function graceTimer(parts: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly kernel: KernelServices;
}): GraceTimer {
  const { clock, log, kernel } = parts;
  let timer: Timer | undefined;
  const arm = (): void => {
    timer?.cancel();
    const dueMs = kernel.nextCollectionMs;
    timer = dueMs === undefined ? undefined : clock.setTimeout(collect, Math.max(dueMs, COLLECT_INTERVAL_MS));
  };
  const collect = (): void => {
    try {
      kernel.collect();
    } catch (error) {
      log.warn({ error }, 'delete what an old generation of a service used: failed, left to the next comparison');
    }
    arm();
  };
  return { arm, [Symbol.dispose]: () => timer?.cancel() };
}
