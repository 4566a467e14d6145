// Backends that are replaced all the time: which of them a connection may meet. Times are microseconds of CLOCK_MONOTONIC.
import type { FrontendRow } from '@sluice/loadbalancer';
import type { MetBackend } from './crowds.ts';

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** One frontend's backends, from the first ones on. A time of asking is taken before it, a time of an answer after it. */
export class Replacements {
  /** Each with the pods from then on. */
  readonly #asked: { readonly atUs: number; readonly pods: ReadonlySet<string> }[] = [];
  /** Since when the kernel is known to have the change of this number, or a later one. */
  readonly #known: { readonly atUs: number; readonly change: number }[] = [];

  ask(pods: readonly string[]): void {
    this.#asked.push({ atUs: nowUs(), pods: new Set(pods) });
  }

  /** The agent's row says what the kernel has; while it is pending it says nothing. */
  acknowledge({ state, backends }: FrontendRow, podOf: ReadonlyMap<string, string>): void {
    if (state !== 'done') return;
    const pods = backends.map(({ key }) => podOf.get(key) ?? key);
    const change = this.#asked.findLastIndex(
      (each) => each.pods.size === pods.length && pods.every((pod) => each.pods.has(pod)),
    );
    if (change > (this.#known.at(-1)?.change ?? -1)) this.#known.push({ atUs: nowUs(), change });
  }

  /** Asked for, and not known to be in the kernel. */
  get open(): number {
    return this.#asked.length - 1 - (this.#known.at(-1)?.change ?? -1);
  }

  get acknowledgements(): number {
    return this.#known.length;
  }

  /** Pods that were backends at some time from a connection's begin to its answer, as far as anybody can know. */
  allowed({ begunUs, answeredUs }: MetBackend): ReadonlySet<string> {
    const first = this.#known.findLast(({ atUs }) => atUs <= begunUs)?.change ?? 0;
    const last = this.#asked.findLastIndex(({ atUs }) => atUs <= answeredUs);
    return new Set(this.#asked.slice(first, last + 1).flatMap(({ pods }) => [...pods]));
  }
}
