import type { Node, Pod, Store, Toleration } from '../apiserver/index.ts';
import { recordEvent } from './events.ts';
import { Loop, stopAll } from './loop.ts';
import { controllerOf, findCondition, fromKey, isPodOver, keyOf, nowText, withCondition } from './objects.ts';

const component = 'default-scheduler';

/** Gives pods without a node one: ready, wanted and tolerated, with the fewest pods of the same owner, then the fewest at all. */
export function startScheduler(store: Store, log: (message: string) => void): Disposable {
  const placements = new Placements();
  const waiting = new Set<string>();
  const loop = new Loop('scheduler', (key) => schedule(store, { key, placements, waiting }), log);
  const pods = store.watch('pods', ({ type, object, previous }) => {
    placements.observe(object, type === 'DELETED');
    const isUnplaced = type !== 'DELETED' && !object.spec.nodeName;
    if (!isUnplaced) waiting.delete(keyOf(object));
    else if (!previous || !waiting.has(keyOf(object))) loop.mark(keyOf(object));
  });
  const nodes = store.watch('nodes', ({ object, previous }) => {
    if (previous && isUsable(previous) === isUsable(object)) return;
    for (const key of waiting) loop.mark(key);
  });
  return stopAll([loop, pods, nodes]);
}

/** Pods per node, and of each owner per node. A pod just given a node counts at once, before its event comes. */
class Placements {
  readonly #counts = new Map<string, number>();
  readonly #keysOf = new Map<string, readonly string[]>();

  observe(pod: Pod, isGone = false): void {
    const { uid } = pod.metadata;
    for (const key of this.#keysOf.get(uid) ?? []) this.#change(key, -1);
    this.#keysOf.delete(uid);
    const node = pod.spec.nodeName;
    if (isGone || !node || isPodOver(pod)) return;
    const keys = [node, `${node}/${ownerUid(pod)}`];
    this.#keysOf.set(uid, keys);
    for (const key of keys) this.#change(key, 1);
  }

  /** The order in which nodes are preferred, the lowest first. */
  load(node: string, pod: Pod): [ofOwner: number, total: number] {
    return [this.#counts.get(`${node}/${ownerUid(pod)}`) ?? 0, this.#counts.get(node) ?? 0];
  }

  #change(key: string, difference: number): void {
    const count = (this.#counts.get(key) ?? 0) + difference;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}

function ownerUid(pod: Pod): string {
  return controllerOf(pod)?.uid ?? pod.metadata.namespace ?? '';
}

function schedule(
  store: Store,
  { key, placements, waiting }: { key: string; placements: Placements; waiting: Set<string> },
): void {
  const { namespace, name } = fromKey(key);
  const pod = store.get('pods', name, namespace);
  if (!pod || pod.spec.nodeName || pod.metadata.deletionTimestamp) return;
  const all = store.list('nodes');
  const candidates = all.filter((node) => isUsable(node) && isSelected(node, pod) && isTolerated(node, pod));
  const loads = candidates.map((node) => ({
    node: node.metadata.name,
    load: placements.load(node.metadata.name, pod),
  }));
  const [best] = loads.sort((a, b) => a.load[0] - b.load[0] || a.load[1] - b.load[1] || (a.node < b.node ? -1 : 1));
  if (!best) {
    waiting.add(key);
    refuse(store, pod, all.length);
    return;
  }
  const bound = store.modify('pods', pod.metadata, (draft) => {
    draft.spec.nodeName = best.node;
  });
  if (!bound) return;
  placements.observe(bound);
  const condition = { type: 'PodScheduled', status: 'True' as const };
  store.modify(
    'pods',
    pod.metadata,
    (draft) => {
      const others = (draft.status.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
      draft.status.conditions = withCondition(others, condition);
    },
    { subresource: 'status' },
  );
  recordEvent(store, component, bound, {
    reason: 'Scheduled',
    message: `Successfully assigned ${key} to ${best.node}`,
  });
}

function refuse(store: Store, pod: Pod, nodeCount: number): void {
  const message =
    nodeCount === 0
      ? 'no nodes available to schedule pods'
      : `0/${nodeCount} nodes are available: none is ready, selected and tolerated by this pod.`;
  if (findCondition(pod.status.conditions, 'PodScheduled')?.message === message) return;
  store.modify(
    'pods',
    pod.metadata,
    (draft) => {
      draft.status.conditions = withCondition(draft.status.conditions, {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message,
        lastProbeTime: nowText(),
      });
    },
    { subresource: 'status' },
  );
  recordEvent(store, component, pod, { type: 'Warning', reason: 'FailedScheduling', message });
}

export function isNodeReady(node: Node): boolean {
  return findCondition(node.status.conditions, 'Ready')?.status === 'True';
}

function isUsable(node: Node): boolean {
  return isNodeReady(node) && !node.spec.unschedulable && !node.metadata.deletionTimestamp;
}

export function isSelected(node: Node, { spec }: Pick<Pod, 'spec'>): boolean {
  const labels = node.metadata.labels ?? {};
  return Object.entries(spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
}

export function isTolerated(node: Node, { spec }: Pick<Pod, 'spec'>): boolean {
  const hard = (node.spec.taints ?? []).filter((taint) => taint.effect !== 'PreferNoSchedule');
  return hard.every((taint) => (spec.tolerations ?? []).some((toleration) => tolerates(toleration, taint)));
}

function tolerates(
  { key, operator, value, effect }: Toleration,
  taint: { key: string; value?: string; effect: string },
): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === 'Exists' || (key !== undefined && (value ?? '') === (taint.value ?? ''));
}
