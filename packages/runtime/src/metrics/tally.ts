import type { HistogramSample, Sample } from './metric.ts';

/** Label values come from a few words each; should outside text come in, it must not fill the memory. */
const seriesMax = 1_000;
const separator = '\u0000';
/** The label's value of all that came after. */
const more = 'more';

/** Counts events by labels. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(labels: readonly string[], count = 1): void {
    const key = seriesKey(this.#counts, labels);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  *samples(): Generator<Sample> {
    for (const [key, value] of this.#counts) yield { labels: labelsOf(key), value };
  }

  /** The labels' values, then the count. */
  *rows(): Generator<[...string[], number]> {
    for (const [key, value] of this.#counts) yield [...labelsOf(key), value];
  }
}

interface Series {
  readonly counts: Float64Array;
  sum: number;
  count: number;
}

/** From half a millisecond to ten seconds. */
export const durationBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** How long something took, or how large it was, by labels. */
export class Distribution {
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor(bounds: readonly number[] = durationBounds) {
    this.#bounds = bounds;
  }

  observe(labels: readonly string[], value: number): void {
    const series = this.#seriesOf(seriesKey(this.#series, labels));
    series.sum += value;
    series.count += 1;
    const index = this.#bounds.findIndex((bound) => value <= bound);
    if (index >= 0) series.counts[index] = (series.counts[index] ?? 0) + 1;
  }

  *samples(): Generator<HistogramSample> {
    for (const [key, { counts, sum, count }] of this.#series) {
      let below = 0;
      const buckets = this.#bounds.map((bound, index): [number, number] => {
        below += counts[index] ?? 0;
        return [bound, below];
      });
      yield { labels: labelsOf(key), buckets, sum, count };
    }
  }

  #seriesOf(key: string): Series {
    const found = this.#series.get(key);
    if (found !== undefined) return found;
    const series = { counts: new Float64Array(this.#bounds.length), sum: 0, count: 0 };
    this.#series.set(key, series);
    return series;
  }
}

function seriesKey(series: ReadonlyMap<string, unknown>, labels: readonly string[]): string {
  const key = labels.join(separator);
  return series.has(key) || series.size < seriesMax ? key : labels.map(() => more).join(separator);
}

function labelsOf(key: string): string[] {
  return key === '' ? [] : key.split(separator);
}
