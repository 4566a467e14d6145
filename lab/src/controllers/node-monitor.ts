import { isDeepStrictEqual } from 'node:util';
import type { Node, Pod, Store } from '../apiserver/index.ts';
import { recordEvent } from './events.ts';
import { Loop, stopAll } from './loop.ts';
import { findCondition, nowText, withCondition } from './objects.ts';

const component = 'node-controller';
const notReady = 'node.kubernetes.io/not-ready';
const unreachable = 'node.kubernetes.io/unreachable';
const effects = ['NoSchedule', 'NoExecute'];

export interface NodeMonitorOptions {
  /** A node whose lease was not renewed for so long is unknown. Default 40 s, as in Kubernetes. */
  graceMs?: number | undefined;
}

/**
 * Watches the nodes' leases: a node that stopped renewing becomes Unknown, is tainted, and its pods stop being ready and, after
 * their toleration, are deleted. Judges by when a renewal was seen, so clocks need not agree.
 */
export function startNodeMonitor(
  store: Store,
  log: (message: string) => void,
  { graceMs = 40_000 }: NodeMonitorOptions,
): Disposable {
  const seen = new Map<string, number>();
  const loop: Loop = new Loop('node monitor', (name) => reconcile(store, loop, { name, graceMs, seen }), log);
  const leases = store.watch('leases.coordination.k8s.io', ({ type, object }) => {
    if (object.metadata.namespace !== 'kube-node-lease' || type === 'DELETED') return;
    seen.set(object.metadata.name, performance.now());
  });
  const nodes = store.watch('nodes', ({ type, object, previous }) => {
    const { name } = object.metadata;
    if (type === 'DELETED') {
      seen.delete(name);
      for (const pod of podsOn(store, name)) store.delete('pods', pod.metadata, { gracePeriodSeconds: 0 });
      return;
    }
    if (!previous) seen.set(name, performance.now());
    const isSame =
      previous && isDeepStrictEqual([object.spec, readyOf(object)?.status], [previous.spec, readyOf(previous)?.status]);
    if (!isSame) loop.mark(name);
  });
  return stopAll([loop, leases, nodes]);
}

function readyOf({ status }: Node) {
  return findCondition(status.conditions, 'Ready');
}

function reconcile(
  store: Store,
  loop: Loop,
  { name, graceMs, seen }: { name: string; graceMs: number; seen: Map<string, number> },
): void {
  const node = store.get('nodes', name);
  if (!node) return;
  const silentMs = performance.now() - (seen.get(name) ?? 0);
  if (silentMs >= graceMs) markUnknown(store, node);
  else loop.markAfter(name, graceMs - silentMs + 1);
  const current = store.get('nodes', name);
  if (!current) return;
  taint(store, current);
  if (readyOf(current)?.status === 'Unknown' || readyOf(current)?.status === 'False') evict(store, loop, current);
}

function markUnknown(store: Store, node: Node): void {
  if (readyOf(node)?.status === 'Unknown') return;
  store.modify(
    'nodes',
    node.metadata,
    (draft) => {
      for (const { type } of draft.status.conditions ?? [{ type: 'Ready' }])
        draft.status.conditions = withCondition(draft.status.conditions, {
          type,
          status: 'Unknown',
          reason: 'NodeStatusUnknown',
          message: 'Kubelet stopped posting node status.',
        });
    },
    { subresource: 'status' },
  );
  recordEvent(store, component, node, {
    reason: 'NodeNotReady',
    message: `Node ${node.metadata.name} status is now: NodeNotReady`,
  });
}

/** The taints follow the Ready condition: none, not-ready or unreachable. */
function taint(store: Store, node: Node): void {
  const status = readyOf(node)?.status ?? 'Unknown';
  const wanted = status === 'True' ? undefined : status === 'Unknown' ? unreachable : notReady;
  const present = node.spec.taints ?? [];
  const others = present.filter(({ key }) => key !== notReady && key !== unreachable);
  const kept = present.filter(({ key }) => key === wanted);
  const added =
    wanted && kept.length === 0 ? effects.map((effect) => ({ key: wanted, effect, timeAdded: nowText() })) : kept;
  const taints = [...others, ...added];
  if (isDeepStrictEqual(taints, present)) return;
  store.modify('nodes', node.metadata, (draft) => {
    if (taints.length > 0) draft.spec.taints = taints;
    else delete draft.spec.taints;
  });
}

/** Pods there are no longer ready; those whose toleration ran out are deleted. */
function evict(store: Store, loop: Loop, node: Node): void {
  const since = Date.parse(readyOf(node)?.lastTransitionTime ?? '') || Date.now();
  const key = readyOf(node)?.status === 'Unknown' ? unreachable : notReady;
  for (const pod of podsOn(store, node.metadata.name)) {
    markPodNotReady(store, pod);
    const tolerations = (pod.spec.tolerations ?? []).filter((toleration) => !toleration.key || toleration.key === key);
    const seconds = Math.max(
      0,
      ...tolerations.map(({ tolerationSeconds }) => tolerationSeconds ?? Number.POSITIVE_INFINITY),
    );
    const leftMs = since + seconds * 1000 - Date.now();
    if (leftMs <= 0 && !pod.metadata.deletionTimestamp) store.delete('pods', pod.metadata);
    else if (Number.isFinite(leftMs) && leftMs > 0) loop.markAfter(node.metadata.name, leftMs + 1);
  }
}

function markPodNotReady(store: Store, pod: Pod): void {
  if (findCondition(pod.status.conditions, 'Ready')?.status !== 'True') return;
  store.modify(
    'pods',
    pod.metadata,
    (draft) => {
      draft.status.conditions = withCondition(draft.status.conditions, {
        type: 'Ready',
        status: 'False',
        reason: 'NodeNotReady',
        message: '',
      });
    },
    { subresource: 'status' },
  );
}

function podsOn(store: Store, node: string): Pod[] {
  return store.list('pods').filter((pod) => pod.spec.nodeName === node);
}
