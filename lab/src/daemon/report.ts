import type { Pod, Store } from '../apiserver/index.ts';
import { type Faults, isCutOff } from '../faults.ts';
import type { LabLayout } from '../layout.ts';
import { offText } from '../readiness.ts';
import type { LabNode, LabTopology } from '../topology.ts';
import type { LabReport, NodeReport, PodCount } from './control.ts';
import type { Machines } from './machines.ts';
import type { Supervised } from './supervisor.ts';

const notReadyShown = 5; // of a namespace

export interface ReportSources {
  readonly stage: string;
  readonly build: string;
  readonly layout: LabLayout;
  readonly topology: LabTopology;
  readonly faults: Faults;
  readonly store?: Store;
  readonly machines?: Machines;
  readonly internet?: Supervised;
}

/** What there is at this moment, from the cluster's objects. */
export function labReport(sources: ReportSources): LabReport {
  const { stage, build, layout, topology, store, machines, internet, faults } = sources;
  const pods = store?.list('pods') ?? [];
  const current = pods.filter(({ metadata, status }) => !metadata.deletionTimestamp && status?.phase !== 'Succeeded');
  const namespaces: Readonly<Record<string, Pod[]>> = Object.groupBy(
    current,
    ({ metadata }) => metadata.namespace ?? 'default',
  ) as Record<string, Pod[]>;
  const out = new Set(topology.nodes.filter((node) => isCutOff(faults, node)).map(({ name }) => name));
  const supervised = [...(machines?.supervised ?? []), ...(internet ? [internet] : [])];
  return {
    stage,
    build,
    kubeconfig: layout.kubeconfig,
    nodes: topology.nodes.map((node) => nodeReport(node, sources, pods)),
    pods: {
      ...count(current, out),
      byNamespace: Object.fromEntries(Object.entries(namespaces).map(([name, group]) => [name, count(group, out)])),
      notReady: Object.entries(namespaces).flatMap(([namespace, group]) =>
        group
          .filter((pod) => !isReady(pod) || out.has(pod.spec.nodeName ?? ''))
          .slice(0, notReadyShown)
          .map((pod) => ({ namespace, text: whyNotReady(pod, out) })),
      ),
    },
    services: store?.list('services').length ?? 0,
    namespaces: store?.list('namespaces').length ?? 0,
    processes: supervised.map(({ name, pid, restartCount, lastExit }) => ({ name, pid, restartCount, lastExit })),
  };
}

/** `out`: nodes that somebody has switched off or cut off. */
function count(pods: readonly Pod[], out: ReadonlySet<string>): PodCount {
  const there = pods.filter(({ spec }) => !out.has(spec.nodeName ?? ''));
  return { total: pods.length, ready: there.filter(isReady).length, out: pods.length - there.length };
}

function nodeReport(
  { name, devices }: LabNode,
  { store, machines, faults }: ReportSources,
  pods: readonly Pod[],
): NodeReport {
  const node = store?.get('nodes', name);
  const ready = node?.status?.conditions?.find(({ type }) => type === 'Ready');
  const kubelet = machines?.named(name)?.kubelet;
  const isReady = ready?.status === 'True';
  const off = faults.off[name];
  const own = off ? offText(off) : (kubelet?.unreachable ?? kubelet?.problem);
  const why = isReady ? own : (ready?.message ?? 'it has not registered yet');
  return {
    name,
    addresses: node?.status?.addresses?.filter(({ type }) => type === 'InternalIP').map(({ address }) => address) ?? [],
    podCidrs: node?.spec?.podCIDRs ?? [],
    pods: pods.filter(({ spec }) => spec.nodeName === name).length,
    ready: why === undefined,
    why,
    off,
    cut: faults.cut[name] ?? [],
    isCutOff: isCutOff(faults, { name, devices }),
  };
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}

function whyNotReady({ metadata, spec, status }: Pod, out: ReadonlySet<string>): string {
  const container = status?.containerStatuses?.find(({ ready }) => !ready);
  const waiting = container?.state?.waiting;
  const condition = status?.conditions?.find(({ status: value }) => value === 'False');
  const reason = out.has(spec.nodeName ?? '')
    ? 'the node is switched off or cut off'
    : (waiting?.message ?? waiting?.reason ?? (condition?.message || condition?.reason));
  const where = spec.nodeName ? ` on ${spec.nodeName}` : '';
  return `${metadata.namespace}/${metadata.name}${where}: ${reason ?? (spec.nodeName ? 'starting' : 'not scheduled yet')}`;
}
