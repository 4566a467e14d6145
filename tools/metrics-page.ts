// docs/metrics.md, from what the agent and the operator export.
import { agentMetrics } from '../packages/agent/src/metrics/agent-metrics.ts';
import { operatorMetrics } from '../packages/operator/src/metrics/operator-metrics.ts';
import { describeMetrics } from '../packages/runtime/src/index.ts';

export const METRICS_PAGE = 'docs/metrics.md';

export function metricsPage(): string {
  return `<!-- Generated from packages/agent and packages/operator by "npm run generate": do not edit. -->

# Metrics

Agents and the operator serve metrics to Prometheus over plain HTTP, on all addresses of their nodes:

| process | path | option | default |
| --- | --- | --- | --- |
| agent, one a node | \`:9962/metrics\` | \`prometheus.enabled\`, \`prometheus.port\` | off |
| operator | \`:9963/metrics\` | \`operator.prometheus.enabled\`, \`operator.prometheus.port\` | on |

\`sluice metrics list\` shows those of a node's agent without any port, \`--match\` narrows them down. Who asks for OpenMetrics in the
header \`Accept\` gets that, all others Prometheus' text format. What is read is read when somebody asks, from the kernel and the
tables: a scrape takes some milliseconds and keeps nothing. A connection has one answer, and five seconds to ask for it and to read on; there is
room for 32 at a time.

A name that begins with \`cilium_\` means what the incumbent's metric of that name means, so that its dashboards and alerts find it; where a label
of the incumbent is not here, we do not distinguish what it does. Reasons of drops are ours, as \`sluice monitor\` names them. What only Sluice has
begins with \`sluice_\`. A metric without a value at the moment, such as runs of programs while nobody has them counted, is left out.
Counters of packets live in the kernel: they go on while the agent is away.

To scrape all nodes:

\`\`\`yaml
scrape_configs:
  - job_name: sluice
    kubernetes_sd_configs: [{ role: node }]
    relabel_configs:
      - { source_labels: [__address__], regex: '(.+):\\d+', target_label: __address__, replacement: '$1:9962' }
\`\`\`

Worth an alert: \`cilium_unreachable_nodes > 0\`, \`cilium_controllers_failing > 0\`, \`cilium_bpf_map_pressure > 0.9\`,
\`sluice_module_state{state="degraded"}\`, \`increase(sluice_reconciler_repairs_total[1h]) > 0\` (somebody else writes to our maps),
\`rate(sluice_untracked_packets_total[5m]) > 0\`, \`rate(sluice_event_loop_active_seconds_total[5m]) > 0.5\`.

## Of the agent

${describeMetrics(agentMetrics)}
## Of the operator

${describeMetrics(operatorMetrics)}`;
}
