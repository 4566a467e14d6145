import type { StatusReport } from '@sluice/agent';

/** What is on and does not work, each in a few words; empty: all is well. */
export function problemsOf(report: StatusReport): string[] {
  const { kubernetes, cni, masquerading, controllers, modules, nodes } = report;
  const failing = controllers.list.filter(({ consecutiveFailures }) => consecutiveFailures > 0);
  const unnamed = controllers.total - controllers.healthy - failing.length;
  return [
    ...(kubernetes.state === 'ok' ? [] : [`API server: ${kubernetes.lastError ?? kubernetes.state}`]),
    ...(cni.state === 'degraded' ? [`CNI: ${cni.why}`] : []),
    ...(masquerading.state === 'degraded' ? [`masquerading: ${masquerading.why}`] : []),
    ...failing.map(({ name, lastError }) => `controller ${name}: ${lastError}`),
    ...(unnamed > 0 ? [`${unnamed} of ${controllers.total} controllers do not work`] : []),
    ...modules.filter(({ state }) => state === 'degraded').map(({ name, why }) => `${name}: ${why}`),
    ...nodes
      .filter(({ state }) => state === 'unreachable')
      .map(({ name, why }) => `node ${name} is unreachable${why === undefined ? '' : `: ${why}`}`),
  ];
}

export function isHealthy(report: StatusReport): boolean {
  return problemsOf(report).length === 0;
}

/** What `--wait` waits for: what does not work, and nodes of which it is not known whether they can be reached, nor why. */
export function awaitedOf(report: StatusReport): string[] {
  const unknown = report.nodes.filter(({ state, why }) => state === 'unknown' && why === undefined);
  return [...problemsOf(report), ...unknown.map(({ name }) => `an answer of node ${name}`)];
}
