/** Every metric of the operator. A name with `cilium_operator_` means what the incumbent's of that name means. */
import { counter, gauge, histogram, type Metric, processMetrics } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import type { Cluster } from '../cluster.ts';
import type { OperatorStatus } from '../operator.ts';
import type { OperatorTallies } from './operator-tallies.ts';

export interface OperatorSource {
  readonly version: string;
  readonly status: OperatorStatus;
  readonly cluster: Cluster;
  readonly controllers: Controllers;
  readonly tallies: OperatorTallies;
}

type Source = OperatorSource;

const identityObjects = 'crd';

export const operatorMetrics: readonly Metric<Source>[] = [
  gauge<Source>('sluice_operator_version', 'The version that runs.', ['version', 'arch'], ({ version }) => [
    [version, process.arch, 1],
  ]),
  gauge<Source>('sluice_operator_leading', 'Whether this operator leads (1); the others wait.', [], ({ status }) => [
    [status.leading ? 1 : 0],
  ]),
  gauge<Source>('sluice_operator_identities', 'Identities of the cluster.', [], ({ cluster }) =>
    cluster.identities.initialized ? [[cluster.identities.size]] : [],
  ),
  gauge<Source>('sluice_operator_nodes', 'Nodes of the cluster.', [], ({ cluster }) =>
    cluster.nodes.initialized ? [[cluster.nodes.size]] : [],
  ),
  gauge<Source>('sluice_operator_pods', 'Pods of the cluster that labels are read of.', [], ({ cluster }) =>
    cluster.pods.initialized ? [[cluster.pods.size]] : [],
  ),
  gauge<Source>('sluice_operator_endpoint_slices', 'CiliumEndpointSlices that nodes publish.', [], ({ cluster }) =>
    cluster.slices.initialized ? [[cluster.slices.size]] : [],
  ),
  gauge<Source>(
    'sluice_operator_nodes_without_pod_cidr',
    'Nodes that the leader could give no pod CIDR.',
    [],
    ({ status: { plan } }) => (plan ? [[plan.unserved.length]] : []),
  ),
  gauge<Source>(
    'sluice_operator_pools_refused',
    'Pools of pod CIDRs that are not used, as they overlap something.',
    [],
    ({ status: { plan } }) => (plan ? [[plan.refusals.length]] : []),
  ),
  gauge<Source>(
    'cilium_operator_identity_gc_entries',
    'Identities that the last collection has left, and those that it deleted.',
    ['status', 'identity_type'],
    ({ tallies: { lastGarbage } }) =>
      lastGarbage
        ? [
            ['alive', identityObjects, lastGarbage.counts.alive],
            ['deleted', identityObjects, lastGarbage.counts.deleted],
          ]
        : [],
  ),
  gauge<Source>(
    'cilium_operator_identity_gc_runs',
    'Collections of identities by outcome.',
    ['outcome', 'identity_type'],
    function* ({ tallies }) {
      for (const { labels, value } of tallies.garbageRuns.samples()) yield [...labels, identityObjects, value];
    },
  ),
  gauge<Source>(
    'cilium_operator_identity_gc_latency',
    'Seconds that the last successful collection of identities took.',
    ['outcome', 'identity_type'],
    ({ tallies: { lastGarbage } }) => (lastGarbage ? [['success', identityObjects, lastGarbage.seconds]] : []),
  ),
  counter<Source>(
    'cilium_operator_controllers_group_runs_total',
    'Runs of each recurring job by outcome; a leader has more of them.',
    ['group_name', 'status'],
    ({ controllers }) =>
      controllers
        .list()
        .flatMap(({ name, successCount, failureCount }) => [
          [name, 'success', successCount] as const,
          [name, 'failure', failureCount] as const,
        ]),
  ),
  gauge<Source>(
    'sluice_operator_controllers_failing',
    'Recurring jobs whose last run failed, or does not end.',
    [],
    ({ controllers }) => [[controllers.total - controllers.healthy]],
  ),
  counter<Source>(
    'cilium_operator_k8s_client_api_calls_total',
    'Requests to the API server; return_code <error>: no answer came.',
    ['host', 'method', 'return_code'],
    ({ tallies }) => tallies.apiCalls.rows(),
  ),
  histogram<Source>(
    'cilium_operator_k8s_client_api_latency_time_seconds',
    'Seconds to the head of the answer of the API server, by path without names, and method.',
    ['path', 'method'],
    ({ tallies }) => tallies.apiLatency.samples(),
  ),
  counter<Source>(
    'cilium_operator_errors_warnings_total',
    'Lines of the log at level warning and above.',
    ['level'],
    function* ({ tallies }) {
      for (const { labels, value } of tallies.logged.samples()) {
        const [level = ''] = labels;
        if (level === 'warn') yield ['warning', value];
        else if (level === 'error' || level === 'fatal') yield [level, value];
      }
    },
  ),
  ...processMetrics('cilium_operator_'),
];
