import { basename } from 'node:path';
import type { LinkStatus } from '@sluice/datapath';
import type { Reconciler } from '@sluice/state';
import type { Agent } from './agent.ts';
import { natPortsProblem } from './nat-ports.ts';
import type { StatusReport } from './report.ts';

type ModuleReport = StatusReport['modules'][number];

/** Each part of the agent: works, is off and why, or works only in part and why. */
export function moduleReports(
  agent: Agent,
  { links, maps }: { readonly links: readonly LinkStatus[]; readonly maps: StatusReport['maps'] },
): ModuleReport[] {
  return [
    datapathModule(agent, links),
    nodesModule(agent),
    addressesModule(agent),
    ipcacheModule(agent),
    endpointsModule(agent),
    identitiesModule(agent),
    servicesModule(agent),
    healthzModule(agent),
    mapsModule(maps),
    conntrackModule(agent),
    natPortsModule(agent),
    accelerationModule(agent),
    kernelDropsModule(agent),
    metricsModule(agent),
    eventsModule(agent),
    ...reconcilerModules(agent),
    ...offModules(agent),
  ];
}

function ok(name: string): ModuleReport {
  return { name, state: 'ok', why: undefined };
}

function off(name: string, why: string): ModuleReport {
  return { name, state: 'off', why };
}

/** Degraded when there is a reason. */
function judged(name: string, why: string | undefined): ModuleReport {
  return why ? { name, state: 'degraded', why } : ok(name);
}

function datapathModule(agent: Agent, links: readonly LinkStatus[]): ModuleReport {
  if (!agent.datapath) return judged('datapath', agent.nodes.problem ?? 'starting');
  const problems = agent.links.problems(links).map(({ name, why }) => `${name}: ${why}`);
  const unpinned = agent.datapath.unpinned();
  if (unpinned.length > 0)
    problems.push(`${unpinned.length} pins are gone and made again within 10 s (${unpinned[0]}, …)`);
  const more = problems.length > linksNamedMax ? [`and ${problems.length - linksNamedMax} more`] : [];
  return judged('datapath', [...problems.slice(0, linksNamedMax), ...more].join('; '));
}

function nodesModule({ nodes }: Agent): ModuleReport {
  const problems = nodes.nodes.list().flatMap((node) => node.problems.map((problem) => `${node.name}: ${problem}`));
  return judged('nodes', nodes.problem ?? [...problems, ...nodes.contradictions].join('; '));
}

function addressesModule({ addressConflicts }: Agent): ModuleReport {
  return judged('addresses', addressConflicts.list().join('; '));
}

const problemsNamedMax = 3;

/** Slices that say what they may not, or cannot be read; what is refused is known by the prefix of its node alone. */
function ipcacheModule({ nodes }: Agent): ModuleReport {
  const problems = nodes.ipcache.table
    .list()
    .flatMap((share) => share.problems.map((text) => `${share.name}: ${text}`));
  const more = problems.length - problemsNamedMax;
  const named = problems.slice(0, problemsNamedMax).join('; ');
  return judged('ipcache', more > 0 ? `${named}; and ${more} more, see \`sluice table ipcache\`` : named);
}

function endpointsModule({ endpoints, nodes }: Agent): ModuleReport {
  if (!endpoints) return judged('endpoints', nodes.problem ?? 'starting');
  const failing = endpoints.table
    .list()
    .map((row) => ({ row, status: endpoints.statusOf(endpoints.table.key(row)) }))
    .filter(({ status }) => status?.state === 'error')
    .map(({ row, status }) => `${row.hostName}: ${status?.error}`);
  const damaged = endpoints.restored.damaged
    .filter((file) => endpoints.table.by('device', basename(file.path, '.json')).length > 0)
    .map((file) => `${file.path} was damaged and is now ${file.movedTo}: its pod goes on, without a name`);
  return judged('endpoints', [...failing, ...damaged].join('; '));
}

const podsNamedMax = 3;
const patienceMs = 10_000;

/** A pod may wait for the operator for a moment; what waits longer is told. */
function identitiesModule({ endpoints, kubernetes }: Agent): ModuleReport {
  const since = Date.now() - patienceMs;
  const waiting = endpoints?.table.list().filter((row) => (row.identityPendingSince ?? since) < since) ?? [];
  if (waiting.length === 0) return ok('identities');
  const names = waiting.slice(0, podsNamedMax).map(({ pod }) => `${pod?.namespace}/${pod?.name}`);
  const why = kubernetes.identities.initialized ? 'does the operator run?' : 'the API server has not told of any';
  return judged('identities', `${waiting.length} pods wait for their identity (${names.join(', ')}): ${why}`);
}

function servicesModule({ loadBalancer, values, nodes }: Agent): ModuleReport {
  if (!values.kubeProxyReplacement) return off('services', 'kubeProxyReplacement is false');
  if (!loadBalancer) return judged('services', nodes.problem ?? 'starting');
  const failing = loadBalancer.frontends.list().filter((row) => row.state === 'error');
  return judged('services', failing.map((row) => `${row.key} of ${row.service}: ${row.reason}`).join('; '));
}

function healthzModule({ healthz, values }: Agent): ModuleReport {
  if (healthz.isOn) return judged('healthz', healthz.problem);
  return off(
    'healthz',
    values.kubeProxyReplacement ? 'kubeProxyReplacementHealthzBindAddr is empty' : 'kubeProxyReplacement is false',
  );
}

const linksNamedMax = 10;

const fillMax = 0.9;

/** Of those that refuse new entries; conntrack has a module of its own. */
function mapsModule(maps: StatusReport['maps']): ModuleReport {
  const full = maps.flatMap(({ name, type, entries, maxEntries }) => {
    if (entries === undefined || maxEntries === 0 || type.includes('lru') || name === 'conntrack') return [];
    return entries < fillMax * maxEntries ? [] : [`${name} has ${entries} of ${maxEntries} entries`];
  });
  return judged('maps', full.length > 0 ? `${full.join(', ')}; beyond that new ones are refused` : undefined);
}

function conntrackModule({ connections }: Agent): ModuleReport {
  return judged('conntrack', connections.problem);
}

function natPortsModule({ connections }: Agent): ModuleReport {
  return judged('nat-ports', natPortsProblem(connections.takenPorts ?? []));
}

function eventsModule({ objectEvents }: Agent): ModuleReport {
  return judged('events', objectEvents.problem);
}

function accelerationModule({ acceleration, values }: Agent): ModuleReport {
  if (values.loadBalancer.acceleration === 'disabled')
    return off('acceleration', 'loadBalancer.acceleration is disabled');
  return judged('acceleration', acceleration.problem);
}

function kernelDropsModule({ kernelDrops }: Agent): ModuleReport {
  return { name: kernelDrops.name, state: kernelDrops.state, why: kernelDrops.why };
}

function metricsModule({ metrics }: Agent): ModuleReport {
  if (!metrics.isOn)
    return off('metrics', 'prometheus.enabled is false; `sluice metrics list` shows them all the same');
  return judged('metrics', metrics.problem);
}

type Summarized = Pick<Reconciler<unknown>, 'name' | 'summary'>;

export function allReconcilers({
  endpoints,
  publishing: { publisher },
  nodes,
  loadBalancer,
}: Agent): readonly Summarized[] {
  return [
    ...nodes.reconcilers,
    ...(endpoints?.reconcilers ?? []),
    ...(publisher ? [publisher.reconciler] : []),
    ...(loadBalancer ? [loadBalancer.reconciler] : []),
  ];
}

function reconcilerModules(agent: Agent): ModuleReport[] {
  return allReconcilers(agent).map((each) => {
    const { name, errors, lastError } = each.summary();
    return judged(`reconcile-${name}`, errors > 0 ? `${errors} rows fail: ${lastError}` : undefined);
  });
}

function offModules({ values, apiFacts: { storedKinds } }: Agent): ModuleReport[] {
  const stored = (kind: string) => {
    const found = storedKinds.find((entry) => entry.kind === kind);
    if (!found) return 'not known yet';
    return found.count === undefined
      ? `the kind ${kind} is not installed`
      : `${found.count} ${kind} stored, nothing acts on them yet`;
  };
  return [
    off('load-balancer-ipam', stored('CiliumLoadBalancerIPPool')),
    off(
      'l2-announcements',
      values.l2announcements.enabled ? stored('CiliumL2AnnouncementPolicy') : 'l2announcements.enabled is false',
    ),
    off('network-policy', 'policies are stored, none is enforced yet'),
    off(
      'gateway-api',
      values.gatewayAPI.enabled ? 'Gateways are stored, nothing acts on them yet' : 'gatewayAPI.enabled is false',
    ),
    off('l7-proxy', 'no proxy runs yet'),
    off('hubble', 'flows are not served yet; `sluice monitor --type all` shows drops and connections'),
  ];
}
