import { createHash } from 'node:crypto';
import type { DaemonSet, Node, Pod, Store } from '../apiserver/index.ts';
import { Loop, stopAll } from './loop.ts';
import { controllerOf, controllerReference, fromKey, isPodActive, isPodReady, keyOf } from './objects.ts';
import { availableInMs, podsOf } from './replica-sets.ts';
import { isSelected, isTolerated } from './scheduler.ts';

const hashLabel = 'controller-revision-hash';

/** One pod of a set on every node that fits; pods of an older template are replaced, one node at a time. */
export function startDaemonSetController(store: Store, log: (message: string) => void): Disposable {
  const loop = new Loop('daemon set controller', (key) => reconcile(store, key), log);
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

function reconcile(store: Store, key: string): void {
  const { namespace, name } = fromKey(key);
  const set = store.get('daemonsets.apps', name, namespace);
  if (!set) return;
  const nodes = store.list('nodes').filter((node) => fits(node, set));
  const hash = createHash('sha256').update(JSON.stringify(set.spec.template)).digest('hex').slice(0, 10);
  if (!set.metadata.deletionTimestamp) place(store, set, { nodes, hash });
  updateStatus(store, set, { nodes, hash });
}

/** Daemons also run on nodes that are cordoned or not ready: they are what makes a node ready. */
function fits(node: Node, set: DaemonSet): boolean {
  const always = ['not-ready', 'unreachable', 'unschedulable', 'network-unavailable'].map((name) => ({
    key: `node.kubernetes.io/${name}`,
    operator: 'Exists' as const,
  }));
  const { spec } = set.spec.template;
  return (
    isSelected(node, { spec }) &&
    isTolerated(node, { spec: { ...spec, tolerations: [...(spec.tolerations ?? []), ...always] } })
  );
}

function place(store: Store, set: DaemonSet, { nodes, hash }: { nodes: readonly Node[]; hash: string }): void {
  const all = podsOf(store, set.metadata.uid);
  const wanted = new Set(nodes.map((node) => node.metadata.name));
  const kept = new Map<string, Pod>();
  for (const pod of all.filter(isPodActive)) {
    const node = pod.spec.nodeName ?? '';
    if (!wanted.has(node) || kept.has(node)) store.delete('pods', pod.metadata);
    else kept.set(node, pod);
  }
  const busy = new Set(all.map((pod) => pod.spec.nodeName ?? ''));
  for (const node of wanted) if (!busy.has(node)) createPod(store, set, { node, hash });
  const outdated = [...kept.values()].find((pod) => pod.metadata.labels?.[hashLabel] !== hash);
  const isSettled = kept.size === wanted.size && [...kept.values()].every((pod) => pod === outdated || isPodReady(pod));
  if (outdated && isSettled) store.delete('pods', outdated.metadata);
}

function createPod(store: Store, set: DaemonSet, { node, hash }: { node: string; hash: string }): void {
  const { metadata, spec } = set.spec.template;
  store.create('pods', {
    metadata: {
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace ?? '',
      labels: { ...metadata?.labels, [hashLabel]: hash },
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(set)],
    },
    spec: { ...spec, nodeName: node },
  });
}

function updateStatus(store: Store, set: DaemonSet, { nodes, hash }: { nodes: readonly Node[]; hash: string }): void {
  const pods = podsOf(store, set.metadata.uid).filter(isPodActive);
  const available = pods.filter(
    (pod) => isPodReady(pod) && availableInMs(pod, set.spec.minReadySeconds ?? 0) <= 0,
  ).length;
  store.modify(
    'daemonsets.apps',
    set.metadata,
    (draft) => {
      draft.status = {
        currentNumberScheduled: pods.length,
        desiredNumberScheduled: nodes.length,
        numberMisscheduled: 0,
        numberReady: pods.filter(isPodReady).length,
        numberAvailable: available,
        numberUnavailable: nodes.length - available,
        updatedNumberScheduled: pods.filter((pod) => pod.metadata.labels?.[hashLabel] === hash).length,
        observedGeneration: set.metadata.generation ?? 1,
      };
    },
    { subresource: 'status' },
  );
}
