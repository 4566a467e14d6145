import type { Condition, ContainerStatus, PodStatus } from '../apiserver/index.ts';

export interface PodObservation {
  readonly hostAddresses: readonly string[];
  readonly podAddresses: readonly string[];
  readonly containers: readonly ContainerStatus[];
  /** Statuses with which containers ended for good; undefined for one that has not. */
  readonly finalExitCodes: readonly (number | undefined)[];
  readonly startTime: string;
  /** The node goes down. A pod that is only being removed stays ready while it answers, as a real kubelet has it: KEP-1669 asks for it. */
  readonly isStopping: boolean;
}

/** The status that a kubelet reports. `previous` gives the times of conditions that have not changed. */
export function podStatus(previous: PodStatus, observed: PodObservation): PodStatus {
  const { hostAddresses, podAddresses, containers, startTime } = observed;
  const phase = podPhase(observed);
  const isReady = phase === 'Running' && !observed.isStopping && containers.every(({ ready }) => ready);
  const unready = containers.filter(({ ready }) => !ready).map(({ name }) => name);
  const why = isReady
    ? {}
    : phase === 'Succeeded'
      ? { reason: 'PodCompleted' }
      : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
  const wanted: Condition[] = [
    { type: 'PodReadyToStartContainers', status: podAddresses.length > 0 ? 'True' : 'False' },
    { type: 'Initialized', status: 'True' },
    { type: 'Ready', status: isReady ? 'True' : 'False', ...why },
    { type: 'ContainersReady', status: isReady ? 'True' : 'False', ...why },
    { type: 'PodScheduled', status: 'True' },
  ];
  return {
    ...previous,
    phase,
    conditions: wanted.map((condition) => withTime(condition, previous.conditions)),
    hostIP: hostAddresses[0] ?? '',
    hostIPs: hostAddresses.map((ip) => ({ ip })),
    ...(podAddresses[0] && { podIP: podAddresses[0], podIPs: podAddresses.map((ip) => ({ ip })) }),
    startTime,
    qosClass: previous.qosClass ?? 'BestEffort',
    containerStatuses: [...containers],
  };
}

function podPhase({ containers, finalExitCodes }: PodObservation): NonNullable<PodStatus['phase']> {
  const hasEnded = finalExitCodes.length > 0 && finalExitCodes.every((code) => code !== undefined);
  if (hasEnded) return finalExitCodes.every((code) => code === 0) ? 'Succeeded' : 'Failed';
  const hasStarted = containers.some(
    ({ state, restartCount }) => state?.running || state?.terminated || restartCount > 0,
  );
  return hasStarted ? 'Running' : 'Pending';
}

function withTime(condition: Condition, previous: readonly Condition[] = []): Condition {
  const before = previous.find(({ type }) => type === condition.type);
  const isSame = before?.status === condition.status && before.lastTransitionTime;
  const lastTransitionTime = isSame ? before.lastTransitionTime : new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  return { ...condition, ...(lastTransitionTime && { lastTransitionTime }) };
}
