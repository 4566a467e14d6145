import type { Deployment, IntOrString, ReplicaSet } from '../apiserver/index.ts';

export interface Step {
  set: ReplicaSet;
  replicas: number;
}

/** How many replicas each set gets now. Pure: called again whenever a set's status changes, until nothing is left to do. */
export function planRollout(
  deployment: Deployment,
  { current, old, oldPodsLeft }: { current: ReplicaSet; old: readonly ReplicaSet[]; oldPodsLeft: boolean },
): Step[] {
  const wanted = deployment.spec.replicas ?? 1;
  if (deployment.spec.strategy?.type === 'Recreate') {
    const down = old.map((set) => ({ set, replicas: 0 }));
    return oldPodsLeft ? down : [...down, { set: current, replicas: wanted }];
  }
  const bounds = rollingBounds(deployment);
  const oldTotal = old.reduce((sum, set) => sum + (set.spec.replicas ?? 0), 0);
  const have = current.spec.replicas ?? 0;
  const room = wanted + bounds.surge - oldTotal - have;
  const replicas = have > wanted ? wanted : Math.min(wanted, have + Math.max(0, room));
  return [
    { set: current, replicas },
    ...shrink(old, { wanted, total: oldTotal + have, current, maxUnavailable: bounds.unavailable }),
  ];
}

/** First old pods that are not available anyway, then as many others as the minimum of available pods allows. */
function shrink(
  old: readonly ReplicaSet[],
  {
    wanted,
    total,
    current,
    maxUnavailable,
  }: { wanted: number; total: number; current: ReplicaSet; maxUnavailable: number },
): Step[] {
  const minAvailable = wanted - maxUnavailable;
  const newUnavailable = (current.spec.replicas ?? 0) - (current.status.availableReplicas ?? 0);
  let spare = Math.max(0, total - minAvailable - newUnavailable);
  const steps = new Map<ReplicaSet, number>();
  for (const set of old) {
    const unhealthy = Math.max(0, (set.spec.replicas ?? 0) - (set.status.availableReplicas ?? 0));
    const taken = Math.min(unhealthy, spare);
    spare -= taken;
    steps.set(set, (set.spec.replicas ?? 0) - taken);
  }
  const available = [current, ...old].reduce((sum, set) => sum + (set.status.availableReplicas ?? 0), 0);
  let surplus = Math.min(spare, Math.max(0, available - minAvailable));
  for (const [set, replicas] of steps) {
    const taken = Math.min(replicas, surplus);
    surplus -= taken;
    steps.set(set, replicas - taken);
  }
  return [...steps].map(([set, replicas]) => ({ set, replicas }));
}

/** Percentages round up for the surge and down for what may be missing; never both zero. */
export function rollingBounds(deployment: Deployment): { surge: number; unavailable: number } {
  const wanted = deployment.spec.replicas ?? 1;
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {};
  const surge = absolute(maxSurge, wanted, Math.ceil);
  const unavailable = Math.min(absolute(maxUnavailable, wanted, Math.floor), wanted);
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

function absolute(value: IntOrString, of: number, round: (value: number) => number): number {
  return typeof value === 'number' ? value : round((Number.parseFloat(value) / 100) * of);
}
