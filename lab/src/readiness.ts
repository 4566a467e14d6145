import type { LabReport } from './daemon/control.ts';

/** The lab's own pods; those of its users may be as they like. */
const ownNamespaces: readonly string[] = ['kube-system'];

/** Whether what the lab itself consists of is up, and the pods of namespaces that the caller waits for. */
export function isReady({ stage, nodes, pods, processes }: LabReport, namespaces = ownNamespaces): boolean {
  return (
    stage === 'running' &&
    nodes.every(({ ready }) => ready) &&
    processes.every(({ pid }) => pid !== undefined) &&
    namespaces.every((namespace) => {
      const { total, ready } = pods.byNamespace[namespace] ?? { total: 0, ready: 0 };
      return total > 0 && ready === total;
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
    ...nodes.filter(({ ready }) => !ready).map(({ name, why }) => `node ${name} is not ready: ${why}`),
    ...namespaces.filter((name) => !pods.byNamespace[name]).map((name) => `namespace ${name} has no pods yet`),
    ...pods.notReady.filter(({ namespace }) => namespaces.includes(namespace)).map(({ text }) => `pod ${text}`),
  ];
}
