/** What the API server tells, and how it answers. */
import { counter, gauge, histogram } from '@sluice/runtime';
import type { MetricsSource } from './source.ts';

type Source = MetricsSource;

const byKind = ['kind'];

export const kubernetesMetrics = [
  counter<Source>(
    'cilium_kubernetes_events_total',
    'Watch events by kind, action and whether the object could be used (failed: not, or not wholly).',
    ['scope', 'action', 'status'],
    ({ agent }) =>
      changes(agent).flatMap(({ kind, action, good, bad }) => [
        [kind, action, 'success', good] as const,
        [kind, action, 'failed', bad] as const,
      ]),
  ),
  gauge<Source>(
    'cilium_event_ts',
    'When the last watch event came, in seconds since the epoch.',
    ['source', 'scope', 'action'],
    ({ agent }) => changes(agent).map(({ kind, action, lastAt = 0 }) => ['k8s', kind, action, lastAt / 1000]),
  ),
  counter<Source>(
    'cilium_k8s_client_api_calls_total',
    'Requests to the API server; return_code <error>: no answer came.',
    ['host', 'method', 'return_code'],
    ({ agent }) => agent.tallies.apiCalls.rows(),
  ),
  histogram<Source>(
    'cilium_k8s_client_api_latency_time_seconds',
    'Seconds to the head of the answer of the API server, by path without names, and method.',
    ['path', 'method'],
    ({ agent }) => agent.tallies.apiLatency.samples(),
  ),
  gauge<Source>('sluice_watch_synced', 'Whether the kind was ever listed whole (1).', byKind, ({ agent }) =>
    watches(agent).map(({ kind, synced }) => [kind, synced ? 1 : 0]),
  ),
  gauge<Source>('sluice_watch_objects', 'Objects of the kind that are known.', byKind, ({ agent }) =>
    watches(agent).map(({ kind, objects }) => [kind, objects]),
  ),
  counter<Source>('sluice_watch_lists_total', 'How often the kind was listed anew.', byKind, ({ agent }) =>
    watches(agent).map(({ kind, lists }) => [kind, lists]),
  ),
  counter<Source>('sluice_watch_failures_total', 'Lists and watches that failed.', byKind, ({ agent }) =>
    watches(agent).map(({ kind, failures }) => [kind, failures]),
  ),
];

function watches({ kubernetes }: Source['agent']) {
  return kubernetes.reflectors.map(({ kind, reflector, size }) => ({ kind, objects: size(), ...reflector.status() }));
}

function changes(agent: Source['agent']) {
  return watches(agent).flatMap(({ kind, changes: ofKind }) =>
    Object.entries(ofKind).flatMap(([action, count]) =>
      count.lastAt === undefined ? [] : [{ kind, action, ...count }],
    ),
  );
}
