import type { Pod, ReplicaSet, Store } from '../apiserver/index.ts';
import { recordEvent } from './events.ts';
import { Loop, stopAll } from './loop.ts';
import {
  controllerOf,
  controllerReference,
  findCondition,
  fromKey,
  isPodActive,
  isPodReady,
  keyOf,
} from './objects.ts';

const component = 'replicaset-controller';
/** Pods made or deleted in one round of a set. */
const burstMax = 500;

/** Keeps as many pods of a set as it wants, and its status true. */
export function startReplicaSetController(store: Store, log: (message: string) => void): Disposable {
  const loop: Loop = new Loop('replica set controller', (key) => reconcile(store, loop, key), log);
  const sets = store.watch('replicasets.apps', ({ type, object }) => {
    if (type !== 'DELETED') loop.mark(keyOf(object));
  });
  const pods = store.watch('pods', ({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === 'ReplicaSet') loop.mark(`${object.metadata.namespace}/${owner.name}`);
  });
  return stopAll([loop, sets, pods]);
}

function reconcile(store: Store, loop: Loop, key: string): void {
  const { namespace, name } = fromKey(key);
  const set = store.get('replicasets.apps', name, namespace);
  if (!set) return;
  const owned = podsOf(store, set.metadata.uid).filter(isPodActive);
  const wanted = set.spec.replicas ?? 1;
  if (!set.metadata.deletionTimestamp) {
    for (let missing = Math.min(wanted - owned.length, burstMax); missing > 0; missing--) createPod(store, set);
    if (owned.length > wanted) for (const pod of surplus(owned, owned.length - wanted)) deletePod(store, set, pod);
  }
  updateStatus(store, set, loop);
}

export function podsOf(store: Store, ownerUid: string): Pod[] {
  return store.ownedBy(ownerUid).filter((object): object is Pod => object.kind === 'Pod');
}

function createPod(store: Store, set: ReplicaSet): void {
  const { metadata, spec } = set.spec.template;
  const pod = store.create('pods', {
    metadata: {
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace ?? '',
      ...(metadata?.labels && { labels: metadata.labels }),
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(set)],
    },
    spec,
  });
  recordEvent(store, component, set, { reason: 'SuccessfulCreate', message: `Created pod: ${pod.metadata.name}` });
}

function deletePod(store: Store, set: ReplicaSet, pod: Pod): void {
  store.delete('pods', pod.metadata);
  recordEvent(store, component, set, { reason: 'SuccessfulDelete', message: `Deleted pod: ${pod.metadata.name}` });
}

/** Pods to give up first: without a node, not ready, on the node with most of them, the youngest. */
function surplus(pods: readonly Pod[], count: number): Pod[] {
  const perNode = new Map<string, number>();
  for (const { spec } of pods) perNode.set(spec.nodeName ?? '', (perNode.get(spec.nodeName ?? '') ?? 0) + 1);
  const rank = (pod: Pod) => [
    pod.spec.nodeName ? 1 : 0,
    isPodReady(pod) ? 1 : 0,
    -(perNode.get(pod.spec.nodeName ?? '') ?? 0),
    -Date.parse(pod.metadata.creationTimestamp),
  ];
  const ranked = pods.map((pod) => ({ pod, rank: rank(pod) }));
  ranked.sort(
    (a, b) => a.rank.map((value, index) => value - (b.rank[index] ?? 0)).find((difference) => difference !== 0) ?? 0,
  );
  return ranked.slice(0, count).map(({ pod }) => pod);
}

function updateStatus(store: Store, set: ReplicaSet, loop: Loop): void {
  const pods = podsOf(store, set.metadata.uid).filter(isPodActive);
  const ready = pods.filter(isPodReady);
  const waits = ready.map((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0));
  const soonest = Math.min(...waits.filter((wait) => wait > 0));
  if (Number.isFinite(soonest)) loop.markAfter(keyOf(set), soonest);
  store.modify(
    'replicasets.apps',
    set.metadata,
    (draft) => {
      draft.status = {
        replicas: pods.length,
        fullyLabeledReplicas: pods.length,
        readyReplicas: ready.length,
        availableReplicas: waits.filter((wait) => wait <= 0).length,
        observedGeneration: set.metadata.generation ?? 1,
      };
    },
    { subresource: 'status' },
  );
}

/** How long until a ready pod counts as available; 0 or less when it does. */
export function availableInMs(pod: Pod, minReadySeconds: number): number {
  if (minReadySeconds === 0) return 0;
  const since = Date.parse(findCondition(pod.status.conditions, 'Ready')?.lastTransitionTime ?? '');
  return Number.isNaN(since) ? minReadySeconds * 1000 : since + minReadySeconds * 1000 - Date.now();
}
