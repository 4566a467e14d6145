import type { ContainerStatus, Pod } from '../kinds/types.ts';
import { age, ageColumn, type Column, column, nameColumn } from './column.ts';

export const podColumns: readonly Column[] = [
  nameColumn,
  column<Pod>('Ready', (pod) => {
    const ready = (pod.status.containerStatuses ?? []).filter((status) => status.ready && status.state?.running);
    return `${ready.length}/${pod.spec.containers.length}`;
  }),
  column<Pod>('Status', podReason),
  column<Pod>('Restarts', restarts),
  ageColumn,
  column<Pod>('IP', (pod) => pod.status.podIPs?.[0]?.ip ?? pod.status.podIP ?? '<none>', { wide: true }),
  column<Pod>('Node', (pod) => pod.spec.nodeName || '<none>', { wide: true }),
  column<Pod>('Nominated Node', () => '<none>', { wide: true }),
  column<Pod>('Readiness Gates', () => '<none>', { wide: true }),
];

/** The word in the STATUS column: the most telling reason there is. */
function podReason(pod: Pod): string {
  if (pod.metadata.deletionTimestamp) return pod.status.reason === 'NodeLost' ? 'Unknown' : 'Terminating';
  let reason = pod.status.reason ?? pod.status.phase ?? 'Unknown';
  for (const { state } of pod.status.containerStatuses ?? []) {
    if (state?.waiting?.reason) reason = state.waiting.reason;
    else if (state?.terminated) reason = state.terminated.reason ?? exitReason(state.terminated);
  }
  const isRunning = (pod.status.containerStatuses ?? []).some((status) => status.ready && status.state?.running);
  if (reason === 'Completed' && isRunning) {
    const ready = pod.status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True');
    return ready ? 'Running' : 'NotReady';
  }
  return reason;
}

function exitReason({ signal, exitCode }: { signal?: number; exitCode: number }): string {
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

function restarts(pod: Pod): string {
  const statuses = pod.status.containerStatuses ?? [];
  const count = statuses.reduce((sum, status) => sum + status.restartCount, 0);
  const last = lastRestart(statuses);
  return count > 0 && last ? `${count} (${age(last)} ago)` : String(count);
}

function lastRestart(statuses: readonly ContainerStatus[]): string | undefined {
  return statuses
    .map((status) => status.lastState?.terminated?.finishedAt)
    .filter((time) => time !== undefined)
    .sort()
    .at(-1);
}
