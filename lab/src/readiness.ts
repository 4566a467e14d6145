import type { LabReport } from './daemon/control.ts';
import type { NodeOff } from './faults.ts';
import { nameOption } from './layout.ts';

/** The lab's own pods; those of its users may be as they like. */
const ownNamespaces: readonly string[] = ['kube-system'];

/**
 * Whether what the lab itself consists of is up, and the pods of namespaces that the caller waits for. What somebody has broken on
 * purpose is as it should be.
 */
export function isReady({ stage, nodes, pods, processes }: LabReport, namespaces = ownNamespaces): boolean {
  return (
    stage === 'running' &&
    nodes.every((node) => node.ready || node.isCutOff) &&
    processes.every(({ pid }) => pid !== undefined) &&
    namespaces.every((namespace) => {
      const { total, ready, out } = pods.byNamespace[namespace] ?? { total: 0, ready: 0, out: 0 };
      return total > 0 && ready + out === total;
    })
  );
}

/** Why `isReady` says no. */
export function problemLines(report: LabReport | undefined, namespaces = ownNamespaces): string[] {
  if (!report) return ['the daemon does not answer'];
  const { stage, nodes, pods, processes } = report;
  return [
    ...(stage === 'running' ? [] : [`still ${stage}`]),
    ...processes
      .filter(({ pid }) => pid === undefined)
      .map(
        ({ name, lastExit }) => `${name}: does not run${lastExit === undefined ? '' : `, last ended with ${lastExit}`}`,
      ),
    ...nodes
      .filter((node) => !node.ready && !node.isCutOff)
      .map(({ name, why }) => `node ${name} is not ready: ${why}`),
    ...namespaces.filter((name) => !pods.byNamespace[name]).map((name) => `namespace ${name} has no pods yet`),
    ...pods.notReady.filter(({ namespace }) => namespaces.includes(namespace)).map(({ text }) => `pod ${text}`),
  ];
}

/** What somebody has broken, and how to mend it. */
export function faultLines({ nodes }: LabReport, labName: string): string[] {
  const option = nameOption(labName);
  return nodes.flatMap(({ name, off, cut }) => [
    ...(off ? [`${name} is ${offText(off)}; switch it on: sluice lab node start ${name}${option}`] : []),
    ...(cut.length > 0 ? [`${name}: ${cutText(cut)}; mend it: sluice lab link heal ${name}${option}`] : []),
  ]);
}

export function offText({ how, since }: NodeOff): string {
  return `off since ${since.slice(11, 19)} UTC (${how})`;
}

export function cutText(devices: readonly string[]): string {
  return `the cable of ${devices.join(' and of ')} is cut`;
}
