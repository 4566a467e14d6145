/** Many clients of one target (bench/c/bench-load/crowd.c): flows that are kept, and new connections all the time. */
import type { Place } from './inside.ts';
import { benchLoad, type Target } from './load.ts';
import { startTeller } from './teller.ts';

export interface CrowdOptions {
  readonly kept: number;
  /** From an answer to the next question over the same flow; 0: at once. */
  readonly intervalUs?: number;
  /** New connections a second. */
  readonly rate?: number;
  /** Default 0. */
  readonly cpu?: number;
  /** So many addresses from the first on, in turn; default: as the kernel chooses. */
  readonly sources?: { readonly first: string; readonly count: number };
}

type Failures = Readonly<Record<'refused' | 'reset' | 'timeout' | 'closed' | 'wrongAnswer' | 'other', number>>;
type ByToken = Readonly<Record<string, number>>;

/** How they fared since they were looked at before. */
export interface CrowdWindow {
  readonly seconds: number;
  /** Answers over kept flows, each of them the question byte by byte. */
  readonly asked: number;
  readonly answerP50Ns?: number;
  readonly answerP99Ns?: number;
  readonly answerMaxNs?: number;
  readonly begun: number;
  readonly connectP50Ns?: number;
  readonly connectP99Ns?: number;
  readonly connectMaxNs?: number;
  /** Flows that are there, by who serves them. */
  readonly kept: ByToken;
  /** Of those that were: the ones that failed in this window. */
  readonly lost: ByToken;
  /** To connections that were begun in this window; and how many to ones from before. */
  readonly answers: ByToken;
  readonly late: number;
  readonly failedKept: Failures;
  readonly failedNew: Failures;
}

export interface Crowd extends AsyncDisposable {
  look(): Promise<CrowdWindow>;
}

/** Returns when all flows that are to be kept are there; new connections begin then. */
export async function startCrowd(
  place: Place,
  { address, port }: Omit<Target, 'token'>,
  { kept, intervalUs = 0, rate = 0, cpu = 0, sources }: CrowdOptions,
): Promise<Crowd> {
  const numbers = {
    ...{ '--kept': kept, '--interval-us': intervalUs, '--rate': rate, '--cpu': cpu },
    ...(sources && { '--source': sources.first, '--sources': sources.count }),
  };
  const words = Object.entries(numbers).flatMap(([name, value]) => [name, String(value)]);
  const teller = await startTeller<CrowdWindow>(place, [benchLoad, 'crowd', address, String(port), ...words]);
  return { look: () => teller.ask(), [Symbol.asyncDispose]: () => teller[Symbol.asyncDispose]() };
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** A note about each way in which connections of these windows failed; none: none did. */
export function failureNotes(what: string, windows: readonly CrowdWindow[]): string[] {
  return (['failedKept', 'failedNew'] as const).flatMap((kind) => {
    const names = Object.keys(windows[0]?.[kind] ?? {}) as (keyof Failures)[];
    const counts = names.flatMap((name) => {
      const count = windows.reduce((sum, window) => sum + window[kind][name], 0);
      return count > 0 ? [`${count} ${name}`] : [];
    });
    return counts.length > 0
      ? [`${what}, ${kind === 'failedKept' ? 'flows' : 'new connections'} that failed: ${counts.join(', ')}.`]
      : [];
  });
}
