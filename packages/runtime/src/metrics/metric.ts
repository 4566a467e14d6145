/** Metrics in the words of Prometheus: what they are called is known without a process, their values only when asked. */

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** One value, with the values of the metric's labels in their order. */
export interface Sample {
  readonly labels: readonly string[];
  readonly value: number | bigint;
}

export interface HistogramSample {
  readonly labels: readonly string[];
  /** How many were at most as large as each bound; the bounds grow, `count` stands for the last, infinite one. */
  readonly buckets: readonly (readonly [bound: number, count: number])[];
  readonly sum: number;
  readonly count: number;
}

interface Described {
  readonly name: string;
  /** A sentence: what is counted, in which unit. */
  readonly help: string;
  readonly labels: readonly string[];
}

/** A metric, and where its values come from. */
export type Metric<Source> =
  | (Described & { readonly type: 'counter' | 'gauge'; readonly collect: (source: Source) => Iterable<Sample> })
  | (Described & { readonly type: 'histogram'; readonly collect: (source: Source) => Iterable<HistogramSample> });

/** The values of one moment. */
export type MetricValues = Described &
  (
    | { readonly type: 'counter' | 'gauge'; readonly samples: readonly Sample[] }
    | { readonly type: 'histogram'; readonly samples: readonly HistogramSample[] }
  );

type Values<Source> = (source: Source) => Iterable<readonly [...labels: string[], value: number | bigint]>;

/** The labels' values, then the value itself. */
export function gauge<Source>(
  name: string,
  help: string,
  labels: readonly string[],
  values: Values<Source>,
): Metric<Source> {
  return { type: 'gauge', name, help, labels, collect: (source) => samplesOf(values(source)) };
}

/** Never goes down while the process runs, or while the kernel's map is pinned. */
export function counter<Source>(
  name: string,
  help: string,
  labels: readonly string[],
  values: Values<Source>,
): Metric<Source> {
  return { type: 'counter', name, help, labels, collect: (source) => samplesOf(values(source)) };
}

export function histogram<Source>(
  name: string,
  help: string,
  labels: readonly string[],
  collect: (source: Source) => Iterable<HistogramSample>,
): Metric<Source> {
  return { type: 'histogram', name, help, labels, collect };
}

function* samplesOf(rows: ReturnType<Values<never>>): Generator<Sample> {
  for (const row of rows) {
    const labels = row.slice(0, -1) as string[];
    yield { labels, value: row.at(-1) as number | bigint };
  }
}
