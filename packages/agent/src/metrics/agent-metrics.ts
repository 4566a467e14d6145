/** Every metric of the agent. A name with `cilium_` means what the incumbent's of that name means. */
import type { Metric } from '@sluice/runtime';
import { conntrackMetrics, mapMetrics, packetMetrics, programMetrics } from './datapath-metrics.ts';
import { kubernetesMetrics } from './kubernetes-metrics.ts';
import { addressMetrics, endpointMetrics, identityMetrics, nodeMetrics, serviceMetrics } from './node-metrics.ts';
import type { MetricsSource } from './source.ts';
import { agentWorkMetrics } from './work-metrics.ts';

export const agentMetrics: readonly Metric<MetricsSource>[] = [
  ...packetMetrics,
  ...conntrackMetrics,
  ...mapMetrics,
  ...programMetrics,
  ...endpointMetrics,
  ...addressMetrics,
  ...identityMetrics,
  ...serviceMetrics,
  ...nodeMetrics,
  ...kubernetesMetrics,
  ...agentWorkMetrics,
];
