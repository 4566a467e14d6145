/** The agent's own work: recurring jobs, reconcilers, tables, start and log. */

import { counter, gauge, histogram, type Metric, processMetrics } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import { allReconcilers } from '../modules.ts';
import type { MetricsSource } from './source.ts';

type Source = MetricsSource;

const byReconciler = ['reconciler'];
const byTable = ['table'];

export const agentWorkMetrics: readonly Metric<Source>[] = [
  gauge<Source>('cilium_version', 'The version that runs.', ['version', 'arch'], ({ agent }) => [
    [agent.version, process.arch, 1],
  ]),
  counter<Source>(
    'cilium_errors_warnings_total',
    'Lines of the log at level warning and above.',
    ['level'],
    function* ({ agent }) {
      for (const { labels, value } of agent.tallies.logged.samples()) {
        const [level = ''] = labels;
        if (level === 'warn') yield ['warning', value];
        else if (level === 'error' || level === 'fatal') yield [level, value];
      }
    },
  ),
  counter<Source>('cilium_controllers_runs_total', 'Runs of recurring jobs by outcome.', ['status'], ({ agent }) =>
    runsOf(agent.controllers),
  ),
  counter<Source>(
    'cilium_controllers_group_runs_total',
    'Runs of each recurring job by outcome.',
    ['group_name', 'status'],
    ({ agent }) => groupRunsOf(agent.controllers),
  ),
  gauge<Source>(
    'cilium_controllers_failing',
    'Recurring jobs whose last run failed, or does not end.',
    [],
    ({ agent: { controllers } }) => [[controllers.total - controllers.healthy]],
  ),
  gauge<Source>(
    'cilium_agent_bootstrap_seconds',
    'How long each part took to start; overall: until the agent was ready.',
    ['scope', 'outcome'],
    ({ agent }) =>
      [...agent.tallies.started].map(([part, { seconds, isGood }]) => [part, isGood ? 'success' : 'fail', seconds]),
  ),
  histogram<Source>(
    'cilium_api_process_time_seconds',
    'Answers of the local API, by path, method and status; streams are not in it.',
    ['path', 'method', 'return_code'],
    ({ agent }) => agent.tallies.localApi.samples(),
  ),
  gauge<Source>('sluice_module_state', 'The state of each part of the agent (1).', ['module', 'state'], ({ modules }) =>
    modules.map(({ name, state }) => [name, state, 1]),
  ),
  gauge<Source>(
    'sluice_reconciler_rows',
    'What a reconciler keeps: rows that are wanted, those that wait, those that failed.',
    ['reconciler', 'state'],
    ({ agent }) =>
      summaries(agent).flatMap(({ name, desired, pending, errors }) => [
        [name, 'desired', desired] as const,
        [name, 'pending', pending] as const,
        [name, 'error', errors] as const,
      ]),
  ),
  counter<Source>(
    'sluice_reconciler_operations_total',
    'What a reconciler has done: updates, deletions, and those that failed.',
    ['reconciler', 'operation'],
    ({ agent }) =>
      summaries(agent).flatMap(({ name, updates, deletes, failures }) => [
        [name, 'update', updates] as const,
        [name, 'delete', deletes] as const,
        [name, 'failure', failures] as const,
      ]),
  ),
  counter<Source>(
    'sluice_reconciler_repairs_total',
    'Rows that somebody else had changed or removed, and that were made right again.',
    byReconciler,
    ({ agent }) => summaries(agent).map(({ name, repairs }) => [name, repairs]),
  ),
  gauge<Source>('sluice_table_rows', "Rows of each of the agent's tables.", byTable, ({ agent }) =>
    agent.tables().map(({ name, size }) => [name, size]),
  ),
  ...processMetrics('cilium_'),
];

function summaries(agent: Source['agent']) {
  return allReconcilers(agent).map((each) => each.summary());
}

/** Both outcomes of all jobs. */
function runsOf(controllers: Controllers): [string, number][] {
  const list = controllers.list();
  return [
    ['success', list.reduce((sum, { successCount }) => sum + successCount, 0)],
    ['failure', list.reduce((sum, { failureCount }) => sum + failureCount, 0)],
  ];
}

function groupRunsOf(controllers: Controllers): [string, string, number][] {
  return controllers.list().flatMap(({ name, successCount, failureCount }): [string, string, number][] => [
    [name, 'success', successCount],
    [name, 'failure', failureCount],
  ]);
}
