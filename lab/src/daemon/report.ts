import type { Pod, Store } from '../apiserver/index.ts';
import type { Kubelet } from '../kubelet/kubelet.ts';
import type { LabLayout } from '../layout.ts';
import type { LabTopology } from '../topology.ts';
import type { LabReport, NodeReport, PodCount } from './control.ts';
import type { Supervised } from './supervisor.ts';

const notReadyShown = 5; // of a namespace

export interface ReportSources {
  readonly stage: string;
  readonly build: string;
  readonly layout: LabLayout;
  readonly topology: LabTopology;
  readonly store: Store | undefined;
  readonly kubelets: ReadonlyMap<string, Kubelet>;
  readonly supervised: readonly Supervised[];
}

/** What there is at this moment, from the cluster's objects. */
export function labReport({ stage, build, layout, topology, store, kubelets, supervised }: ReportSources): LabReport {
  const pods = store?.list('pods') ?? [];
  const current = pods.filter(({ metadata, status }) => !metadata.deletionTimestamp && status?.phase !== 'Succeeded');
  const namespaces: Readonly<Record<string, Pod[]>> = Object.groupBy(
    current,
    ({ metadata }) => metadata.namespace ?? 'default',
  ) as Record<string, Pod[]>;
  return {
    stage,
    build,
    kubeconfig: layout.kubeconfig,
    nodes: topology.nodes.map(({ name }) => nodeReport(name, store, kubelets.get(name), pods)),
    pods: {
      ...count(current),
      byNamespace: Object.fromEntries(Object.entries(namespaces).map(([name, group]) => [name, count(group)])),
      notReady: Object.entries(namespaces).flatMap(([namespace, group]) =>
        group
          .filter((pod) => !isReady(pod))
          .slice(0, notReadyShown)
          .map((pod) => ({ namespace, text: whyNotReady(pod) })),
      ),
    },
    services: store?.list('services').length ?? 0,
    namespaces: store?.list('namespaces').length ?? 0,
    processes: supervised.map(({ name, pid, restartCount, lastExit }) => ({ name, pid, restartCount, lastExit })),
  };
}

function count(pods: readonly Pod[]): PodCount {
  return { total: pods.length, ready: pods.filter(isReady).length };
}

function nodeReport(
  name: string,
  store: Store | undefined,
  kubelet: Kubelet | undefined,
  pods: readonly Pod[],
): NodeReport {
  const node = store?.get('nodes', name);
  const ready = node?.status?.conditions?.find(({ type }) => type === 'Ready');
  const isReady = ready?.status === 'True';
  const why = isReady ? kubelet?.problem : (ready?.message ?? 'it has not registered yet');
  return {
    name,
    addresses: node?.status?.addresses?.filter(({ type }) => type === 'InternalIP').map(({ address }) => address) ?? [],
    podCidrs: node?.spec?.podCIDRs ?? [],
    pods: pods.filter(({ spec }) => spec.nodeName === name).length,
    ready: why === undefined,
    why,
  };
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}

function whyNotReady({ metadata, spec, status }: Pod): string {
  const container = status?.containerStatuses?.find(({ ready }) => !ready);
  const waiting = container?.state?.waiting;
  const reason =
    waiting?.message ?? waiting?.reason ?? status?.conditions?.find(({ status: value }) => value === 'False')?.message;
  const where = spec.nodeName ? ` on ${spec.nodeName}` : '';
  return `${metadata.namespace}/${metadata.name}${where}: ${reason ?? (spec.nodeName ? 'starting' : 'not scheduled yet')}`;
}
