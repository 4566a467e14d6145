import type { DaemonSet, IntOrString, Pod } from '../apiserver/index.ts';

/** The pods of a set on one node, the oldest first, without those that are over. */
export interface DaemonNode {
  readonly name: string;
  readonly pods: readonly Pod[];
  /** New pods may be placed there. */
  readonly shouldRun: boolean;
  /** Pods that are there may stay. */
  readonly mayStay: boolean;
}

export interface DaemonPlan {
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
}

export interface DaemonState {
  readonly nodes: readonly DaemonNode[];
  /** Of the template as it is now. */
  readonly isUpdated: (pod: Pod) => boolean;
  readonly isAvailable: (pod: Pod) => boolean;
}

/** What is to be done next for one pod of the newest template on each node. Pure; called again after each change. */
export function planDaemons(set: DaemonSet, state: DaemonState): DaemonPlan {
  const placement = state.nodes.map((node) => place(node, set, state));
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {};
  const update = type === 'OnDelete' ? nothing : planUpdate(state, rollingUpdate);
  const all = [...placement, update];
  return {
    create: [...new Set(all.flatMap(({ create }) => create))],
    remove: [...new Set(all.flatMap(({ remove }) => remove))],
  };
}

const nothing: DaemonPlan = { create: [], remove: [] };

function place(node: DaemonNode, set: DaemonSet, { isUpdated, isAvailable }: DaemonState): DaemonPlan {
  const alive = node.pods.filter(isAlive);
  if (!node.mayStay) return { create: [], remove: alive };
  if (node.pods.length === 0) return node.shouldRun ? { create: [node.name], remove: [] } : nothing;
  if (!allowsSurge(set)) return { create: [], remove: alive.slice(1) };
  // For the time of an update two may be there: an old one that serves, and a new one that does not yet.
  const [oldOne, newOne] = [alive.find((pod) => !isUpdated(pod)), alive.find(isUpdated)];
  const kept = oldOne && newOne && !(isAvailable(oldOne) && !isAvailable(newOne)) ? [newOne] : [oldOne, newOne];
  return { create: [], remove: alive.filter((pod) => !kept.includes(pod)) };
}

function allowsSurge({ spec }: DaemonSet): boolean {
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  return type === 'RollingUpdate' && Number.parseFloat(String(rollingUpdate?.maxSurge ?? 0)) > 0;
}

type Bounds = NonNullable<NonNullable<DaemonSet['spec']['updateStrategy']>['rollingUpdate']>;

/** Both kinds of rolling update: old pods go first, as many as may be missing; or new ones come first, as many as may be extra. */
function planUpdate(state: DaemonState, { maxUnavailable = 1, maxSurge = 0 }: Bounds = {}): DaemonPlan {
  const nodes = state.nodes.filter(({ shouldRun }) => shouldRun);
  const surge = absolute(maxSurge, nodes.length);
  if (surge > 0) return planSurge(nodes, state, surge);
  return planReplacement(nodes, state, Math.max(1, absolute(maxUnavailable, nodes.length)));
}

function planReplacement(
  nodes: readonly DaemonNode[],
  { isUpdated, isAvailable }: DaemonState,
  maxUnavailable: number,
): DaemonPlan {
  let unavailable = 0;
  const broken: Pod[] = [];
  const serving: Pod[] = [];
  for (const { pods } of nodes) {
    const [pod, ...more] = pods.filter(isAlive);
    if (!pod || more.length > 0) unavailable++;
    else if (isUpdated(pod)) unavailable += isAvailable(pod) ? 0 : 1;
    else if (isAvailable(pod)) serving.push(pod);
    // Replacing it takes nothing away from anybody.
    else broken.push(pod);
  }
  return { create: [], remove: [...broken, ...serving.slice(0, Math.max(0, maxUnavailable - unavailable))] };
}

function planSurge(
  nodes: readonly DaemonNode[],
  { isUpdated, isAvailable }: DaemonState,
  maxSurge: number,
): DaemonPlan {
  let extra = 0;
  const [broken, serving, remove]: [string[], string[], Pod[]] = [[], [], []];
  for (const { name, pods } of nodes) {
    const alive = pods.filter(isAlive);
    const [oldOne, newOne] = [alive.find((pod) => !isUpdated(pod)), alive.find(isUpdated)];
    if (!oldOne) continue;
    if (newOne) {
      if (isAvailable(newOne)) remove.push(oldOne);
      else extra++;
    } else if (isAvailable(oldOne)) serving.push(name);
    else broken.push(name);
  }
  return { create: [...broken, ...serving.slice(0, Math.max(0, maxSurge - extra))], remove };
}

function isAlive({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp === undefined;
}

/** Percentages of the nodes, rounded up. */
function absolute(value: IntOrString, of: number): number {
  return typeof value === 'number' ? value : Math.ceil((Number.parseFloat(value) / 100) * of);
}
