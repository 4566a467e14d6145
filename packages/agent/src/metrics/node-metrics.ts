/** What this node has: endpoints, addresses, identities, services, and the other nodes as it sees them. */
import { reservedIdentities } from '@sluice/model';
import { counter, gauge, histogram } from '@sluice/runtime';
import type { MetricsSource } from './source.ts';

type Source = MetricsSource;

export const endpointMetrics = [
  gauge<Source>('cilium_endpoint', 'Pods of this node that Sluice connects.', [], ({ agent: { endpoints } }) =>
    endpoints ? [[endpoints.table.size]] : [],
  ),
  gauge<Source>(
    'cilium_endpoint_state',
    'Those pods by state: ready, regenerating (maps are being written), not-ready (that failed), waiting-for-identity.',
    ['endpoint_state'],
    ({ agent }) => endpointStates(agent),
  ),
  histogram<Source>(
    'sluice_cni_request_duration_seconds',
    'How long requests of the container runtime took, by command and code of the answer (0: success).',
    ['command', 'code'],
    ({ agent }) => agent.tallies.cni.samples(),
  ),
];

function endpointStates({ endpoints }: Source['agent']): [string, number][] {
  if (!endpoints) return [];
  const counts: Record<string, number> = { ready: 0, regenerating: 0, 'not-ready': 0, 'waiting-for-identity': 0 };
  const states = { done: 'ready', pending: 'regenerating', error: 'not-ready' };
  for (const row of endpoints.table.list()) {
    const made = states[endpoints.statusOf(endpoints.table.key(row))?.state ?? 'pending'];
    const state = made === 'ready' && row.identityPendingSince !== undefined ? 'waiting-for-identity' : made;
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return Object.entries(counts);
}

const byFamily = ['family'];

export const addressMetrics = [
  gauge<Source>('cilium_ipam_capacity', "Addresses of this node's pod CIDRs.", byFamily, ({ agent }) =>
    agent.addresses.usage().map(({ family, capacity }) => [`ipv${family}`, Number(capacity)]),
  ),
  gauge<Source>('cilium_ip_addresses', 'Addresses that pods have.', byFamily, ({ agent }) =>
    agent.addresses.usage().map(({ family, allocated }) => [`ipv${family}`, allocated]),
  ),
  counter<Source>(
    'cilium_ipam_events_total',
    'Addresses given to pods (allocate) and given back (release).',
    ['action', 'family'],
    ({ agent }) =>
      agent.addresses
        .usage()
        .flatMap(({ family, given, returned }) => [
          ['allocate', `ipv${family}`, given] as const,
          ['release', `ipv${family}`, returned] as const,
        ]),
  ),
];

export const identityMetrics = [
  gauge<Source>(
    'cilium_identity',
    'Identities that this node knows, by type.',
    ['type'],
    ({ agent: { kubernetes } }) => [
      ['cluster_local', kubernetes.identities.size],
      ['reserved', Object.keys(reservedIdentities).length],
    ],
  ),
];

export const serviceMetrics = [
  counter<Source>(
    'cilium_services_events_total',
    'Services that came, changed and went, by action.',
    ['action'],
    ({ agent }) => agent.tallies.serviceEvents.rows(),
  ),
  histogram<Source>(
    'cilium_service_implementation_delay',
    "Seconds from a change of a service or its pods being known to the frontend's being written to the kernel.",
    ['action'],
    ({ agent }) => agent.tallies.serviceDelay.samples(),
  ),
  gauge<Source>(
    'sluice_frontends',
    'Frontends of services by state; `off`: accepted, but nothing serves them.',
    ['state'],
    ({ agent: { loadBalancer } }) => {
      if (!loadBalancer) return [];
      const counts: Record<string, number> = { done: 0, pending: 0, error: 0, off: 0 };
      for (const { state } of loadBalancer.frontends.list()) counts[state] = (counts[state] ?? 0) + 1;
      return Object.entries(counts);
    },
  ),
];

const nodeLabels = ['source_cluster', 'source_node_name', 'type'];

export const nodeMetrics = [
  gauge<Source>('cilium_unreachable_nodes', 'Nodes that do not answer at their own addresses.', [], ({ agent }) => [
    [agent.reachability.count('node', 'unreachable')],
  ]),
  gauge<Source>(
    'cilium_unreachable_health_endpoints',
    'Nodes that do not answer through the tunnel.',
    [],
    ({ agent }) => [[agent.reachability.count('endpoint', 'unreachable')]],
  ),
  gauge<Source>(
    'cilium_node_health_connectivity_status',
    'Other nodes by whether they answer ICMP echo: type node at their own addresses, type endpoint through the tunnel.',
    [...nodeLabels, 'status'],
    ({ agent }) =>
      (['node', 'endpoint'] as const).flatMap((type) =>
        (['reachable', 'unreachable', 'unknown'] as const).map(
          (status) => [...sourceOf(agent), type, status, agent.reachability.count(type, status)] as const,
        ),
      ),
  ),
  histogram<Source>(
    'cilium_node_health_connectivity_latency_seconds',
    'Round trips of ICMP echo to other nodes.',
    [...nodeLabels, 'address_type', 'protocol'],
    function* ({ agent }) {
      for (const { labels, ...sample } of agent.tallies.nodeLatency.samples()) {
        yield { ...sample, labels: [...sourceOf(agent), ...labels, 'icmp'] };
      }
    },
  ),
];

const sourceOf = ({ values, options }: Source['agent']) => [values.cluster.name, options.nodeName] as const;
