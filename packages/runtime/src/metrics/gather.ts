import { setImmediate } from 'node:timers/promises';
import type { Metric, MetricValues } from './metric.ts';

/** A metric whose values could not be had; the others stand. */
export interface MetricFailure {
  readonly name: string;
  readonly error: string;
}

export interface Gathered {
  readonly values: readonly MetricValues[];
  readonly failures: readonly MetricFailure[];
}

/** For so long we work without a pause for the rest of the process. */
const sliceMs = 5;

/** The values of all metrics, now. */
export async function gather<Source>(metrics: readonly Metric<Source>[], source: Source): Promise<Gathered> {
  const values: MetricValues[] = [];
  const failures: MetricFailure[] = [];
  let pausedAt = performance.now();
  for (const metric of metrics) {
    try {
      values.push(read(metric, source));
    } catch (error) {
      failures.push({ name: metric.name, error: error instanceof Error ? error.message : String(error) });
    }
    if (performance.now() - pausedAt < sliceMs) continue;
    await setImmediate();
    pausedAt = performance.now();
  }
  return { values, failures };
}

function read<Source>(metric: Metric<Source>, source: Source): MetricValues {
  const { name, help, labels } = metric;
  if (metric.type === 'histogram') {
    return { name, help, labels, type: metric.type, samples: [...metric.collect(source)] };
  }
  return { name, help, labels, type: metric.type, samples: [...metric.collect(source)] };
}
