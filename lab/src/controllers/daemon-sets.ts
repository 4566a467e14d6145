import type { DaemonSet, Node, Pod, Store, Toleration } from '../apiserver/index.ts';
import { dropRevisions, hashOf, keepRevision, revisionHashLabel } from './controller-revisions.ts';
import { type DaemonNode, planDaemons } from './daemon-set-plan.ts';
import { recordEvent } from './events.ts';
import { Loop, stopAll } from './loop.ts';
import { controllerOf, controllerReference, fromKey, isPodOver, isPodReady, keyOf } from './objects.ts';
import { availableInMs, podsOf } from './replica-sets.ts';
import { isSelected, isTolerated } from './scheduler.ts';

const component = 'daemonset-controller';
/** A pod that is over is replaced, but not faster than this: it may fail again at once. */
const failedPodMs = 5_000;

/** One pod of a set on every node that fits; pods of an older template are replaced as the update strategy says. */
export function startDaemonSetController(store: Store, log: (message: string) => void): Disposable {
  const loop: Loop = new Loop('daemon set controller', (key) => reconcile(store, loop, key), log);
  const sets = store.watch('daemonsets.apps', ({ type, object }) => {
    if (type !== 'DELETED') loop.mark(keyOf(object));
  });
  const pods = store.watch('pods', ({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === 'DaemonSet') loop.mark(`${object.metadata.namespace}/${owner.name}`);
  });
  const nodes = store.watch('nodes', ({ type, object, previous }) => {
    const isSame =
      type === 'MODIFIED' &&
      previous &&
      JSON.stringify([object.spec, object.metadata.labels]) ===
        JSON.stringify([previous.spec, previous.metadata.labels]);
    if (!isSame) for (const set of store.list('daemonsets.apps')) loop.mark(keyOf(set));
  });
  return stopAll([loop, sets, pods, nodes]);
}

function reconcile(store: Store, loop: Loop, key: string): void {
  const { namespace, name } = fromKey(key);
  const set = store.get('daemonsets.apps', name, namespace);
  if (!set || set.metadata.deletionTimestamp) return;
  const hash = hashOf(keepRevision(store, set));
  removeFailed(store, loop, set);
  const { create, remove } = planDaemons(set, {
    nodes: nodesOf(store, set),
    isUpdated: (pod) => isOfHash(pod, hash),
    isAvailable: (pod) => isAvailable(pod, set),
  });
  for (const pod of remove) removePod(store, set, pod);
  for (const node of create) createPod(store, set, { node, hash });
  dropRevisions(store, set, podsOf(store, set.metadata.uid));
  updateStatus(store, loop, set, hash);
}

function isOfHash({ metadata }: Pod, hash: string): boolean {
  return metadata.labels?.[revisionHashLabel] === hash;
}

function isAvailable(pod: Pod, { spec }: DaemonSet): boolean {
  return isPodReady(pod) && availableInMs(pod, spec.minReadySeconds ?? 0) <= 0;
}

function nodesOf(store: Store, set: DaemonSet): DaemonNode[] {
  const byNode = Map.groupBy(
    podsOf(store, set.metadata.uid).filter((pod) => !isPodOver(pod)),
    (pod) => pod.spec.nodeName ?? '',
  );
  return store.list('nodes').map((node) => ({
    name: node.metadata.name,
    pods: (byNode.get(node.metadata.name) ?? []).sort(byAge),
    ...fit(node, set),
  }));
}

function byAge(a: Pod, b: Pod): number {
  const [first, second] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return first === second
    ? Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion)
    : first < second
      ? -1
      : 1;
}

/** A taint against new pods lets those stay that are there; one against all does not. */
function fit(node: Node, set: DaemonSet): Pick<DaemonNode, 'shouldRun' | 'mayStay'> {
  const { spec } = set.spec.template;
  const pod = { spec: { ...spec, tolerations: tolerationsOf(set) } };
  if (!isSelected(node, pod)) return { shouldRun: false, mayStay: false };
  const evicting = (node.spec.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
  return {
    shouldRun: isTolerated(node, pod),
    mayStay: isTolerated({ ...node, spec: { ...node.spec, taints: evicting } }, pod),
  };
}

/** Those of the template, and what every daemon tolerates (Kubernetes' documentation of DaemonSets). */
function tolerationsOf({ spec }: DaemonSet): Toleration[] {
  const { tolerations = [], hostNetwork } = spec.template.spec;
  const toleration = (name: string, effect: string): Toleration => ({
    key: `node.kubernetes.io/${name}`,
    operator: 'Exists',
    effect,
  });
  const always = [
    ...['not-ready', 'unreachable'].map((name) => toleration(name, 'NoExecute')),
    ...['disk-pressure', 'memory-pressure', 'pid-pressure', 'unschedulable'].map((name) =>
      toleration(name, 'NoSchedule'),
    ),
    ...(hostNetwork ? [toleration('network-unavailable', 'NoSchedule')] : []),
  ];
  const isNamed = ({ key, effect }: Toleration) => tolerations.some((own) => own.key === key && own.effect === effect);
  return [...tolerations, ...always.filter((each) => !isNamed(each))];
}

function createPod(store: Store, set: DaemonSet, { node, hash }: { node: string; hash: string }): void {
  const { metadata, spec } = set.spec.template;
  const pod = store.create('pods', {
    metadata: {
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace ?? '',
      labels: { ...metadata?.labels, [revisionHashLabel]: hash },
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(set)],
    },
    spec: { ...spec, nodeName: node, tolerations: tolerationsOf(set) },
  });
  recordEvent(store, component, set, { reason: 'SuccessfulCreate', message: `Created pod: ${pod.metadata.name}` });
}

function removePod(store: Store, set: DaemonSet, { metadata }: Pod): void {
  store.delete('pods', metadata);
  recordEvent(store, component, set, { reason: 'SuccessfulDelete', message: `Deleted pod: ${metadata.name}` });
}

function removeFailed(store: Store, loop: Loop, set: DaemonSet): void {
  for (const pod of podsOf(store, set.metadata.uid).filter(isPodOver)) {
    const leftMs = Date.parse(pod.metadata.creationTimestamp) + failedPodMs - Date.now();
    if (leftMs > 0) loop.markAfter(keyOf(set), leftMs);
    else if (!pod.metadata.deletionTimestamp) {
      const { name, namespace } = pod.metadata;
      const message = `Found failed daemon pod ${namespace}/${name} on node ${pod.spec.nodeName}, will try to kill it`;
      store.delete('pods', pod.metadata);
      recordEvent(store, component, set, { type: 'Warning', reason: 'FailedDaemonPod', message });
    }
  }
}

/** Of each node the oldest pod counts. */
function updateStatus(store: Store, loop: Loop, set: DaemonSet, hash: string): void {
  const nodes = nodesOf(store, set);
  const wanted = nodes.filter(({ shouldRun }) => shouldRun);
  const pods = wanted.flatMap(({ pods: [oldest] }) => oldest ?? []);
  const soonest = Math.min(
    ...pods
      .filter(isPodReady)
      .map((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0))
      .filter((ms) => ms > 0),
  );
  if (Number.isFinite(soonest)) loop.markAfter(keyOf(set), soonest);
  const available = pods.filter((pod) => isAvailable(pod, set)).length;
  store.modify(
    'daemonsets.apps',
    set.metadata,
    (draft) => {
      draft.status = {
        currentNumberScheduled: pods.length,
        desiredNumberScheduled: wanted.length,
        numberMisscheduled: nodes.filter((node) => !node.shouldRun && node.pods.length > 0).length,
        numberReady: pods.filter(isPodReady).length,
        numberAvailable: available,
        numberUnavailable: wanted.length - available,
        updatedNumberScheduled: pods.filter((pod) => isOfHash(pod, hash)).length,
        observedGeneration: set.metadata.generation ?? 1,
      };
    },
    { subresource: 'status' },
  );
}
