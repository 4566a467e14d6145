/** What the agent says of its own work, in metrics of its local API. */
import type { Gathered } from '@sluice/runtime';
import type { BenchAgent } from './agent.ts';

export interface Sample {
  readonly labels: readonly string[];
  readonly value: number;
}

/** The samples of each metric, all of one moment. */
export async function agentMetrics(agent: BenchAgent): Promise<(name: string) => readonly Sample[]> {
  const { values } = await agent.get<Gathered>('/metrics');
  return (name) => {
    const metric = values.find((one) => one.name === name);
    if (metric === undefined || metric.type === 'histogram') throw new Error(`the agent has no numbers of ${name}`);
    return metric.samples.map(({ labels, value }) => ({ labels, value: Number(value) }));
  };
}

/** Rows that it has updated or deleted since its start, by the map's name; maps where it has none are not there. */
export async function mapWrites(agent: BenchAgent): Promise<ReadonlyMap<string, number>> {
  const metrics = await agentMetrics(agent);
  const writes = new Map<string, number>();
  for (const { labels, value } of metrics('cilium_bpf_map_ops_total')) {
    const [map = '', operation, outcome] = labels;
    if (operation === 'lookup' || outcome !== 'success' || value === 0) continue;
    writes.set(map, (writes.get(map) ?? 0) + value);
  }
  return writes;
}

/** Whether it has looked at all of so many services since its start, and each is in the kernel as it should be. */
export async function isInStep(agent: BenchAgent, services: number): Promise<boolean> {
  const metrics = await agentMetrics(agent);
  const frontends = (name: string, what: string) =>
    metrics(name).find(({ labels }) => labels[0] === 'frontends' && labels[1] === what)?.value ?? 0;
  const desired = frontends('sluice_reconciler_rows', 'desired');
  const isAllDone = frontends('sluice_reconciler_operations_total', 'update') >= desired;
  return desired >= services && isAllDone && frontends('sluice_reconciler_rows', 'pending') === 0;
}
