/** What several measurements say: quantiles, and how sure a median is. */
import { seededRandom } from '@sluice/testing';

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Of an even count the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const [low = Number.NaN, high = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

export interface Estimate {
  readonly value: number;
  /** Where the true median lies in 95 of 100 cases, by bootstrap. */
  readonly interval: readonly [low: number, high: number];
}

const resamples = 2000;

/** The median with its interval. The same values give the same interval: the resampling has a seed. */
export function estimate(values: readonly number[], seed = 1): Estimate {
  const random = seededRandom(seed);
  const medians = Array.from({ length: resamples }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  );
  return { value: median(values), interval: [quantile(medians, 0.025), quantile(medians, 0.975)] };
}
