/** Many clients of one target (bench/c/bench-load/crowd.c): flows that are kept, and new connections all the time. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Place, startInside } from './inside.ts';
import { benchLoad, type Target } from './load.ts';

export interface CrowdOptions {
  readonly kept: number;
  /** From an answer to the next question over the same flow; 0: at once. */
  readonly intervalUs?: number;
  /** New connections a second. */
  readonly rate?: number;
  /** Default 0. */
  readonly cpu?: number;
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
  /** To new connections. */
  readonly answers: ByToken;
  readonly failedKept: Failures;
  readonly failedNew: Failures;
}

export interface Crowd extends AsyncDisposable {
  look(): Promise<CrowdWindow>;
}

const lookTimeoutMs = 10_000;

/** Returns when all flows that are to be kept are there; new connections begin then. */
export async function startCrowd(
  place: Place,
  { address, port }: Omit<Target, 'token'>,
  { kept, intervalUs = 0, rate = 0, cpu = 0 }: CrowdOptions,
): Promise<Crowd> {
  const windows: CrowdWindow[] = [];
  const numbers = { '--kept': kept, '--interval-us': intervalUs, '--rate': rate, '--cpu': cpu };
  const words = Object.entries(numbers).flatMap(([name, value]) => [name, String(value)]);
  const standing = await startInside(place, [benchLoad, 'crowd', address, String(port), ...words], {
    onLine: (line) => windows.push(JSON.parse(line)),
  });
  windows.length = 0;
  return {
    async look() {
      standing.child.kill('SIGUSR1');
      for (const end = performance.now() + lookTimeoutMs; performance.now() < end; await delay(2)) {
        const window = windows.shift();
        if (window) return window;
        if (standing.hasEnded()) break;
      }
      throw new Error(`the crowd of ${address}:${port} does not tell how it fares`);
    },
    [Symbol.asyncDispose]: () => standing[Symbol.asyncDispose](),
  };
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
