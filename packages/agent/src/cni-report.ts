import type { Agent } from './agent.ts';
import type { StatusReport } from './report.ts';
import { stateFolderProblem } from './state-folder.ts';

/** Whether a pod that comes now would be connected, and otherwise why not. */
export function cniReport(agent: Agent): StatusReport['cni'] {
  const problems = agent.endpoints ? problemsOf(agent) : [agent.nodes.problem ?? 'starting'];
  return {
    state: problems.length === 0 ? 'ok' : 'degraded',
    socket: agent.cniSocket,
    configFile: agent.options.cniConfig,
    why: problems.length === 0 ? undefined : problems.join('; '),
  };
}

function problemsOf({ addresses, options, cni }: Agent): string[] {
  const refusals = [addresses.exhausted()?.message, stateFolderProblem(options.stateDir)];
  return [...cni.problems(), ...refusals.flatMap((why) => (why === undefined ? [] : [`new pods are refused: ${why}`]))];
}
