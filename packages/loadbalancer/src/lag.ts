import type { Clock } from '@sluice/runtime';

/** As long as kube-proxy takes itself for healthy with a change that it has not made. */
const healthyMs = 60_000;

/** For how long the kernel has lacked something that is desired. */
export class Lag {
  readonly #clock: Clock;
  readonly #since = new Map<string, number>();
  #inStepAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#inStepAt = clock.now();
  }

  note(key: string, isDone: boolean): void {
    if (isDone) this.#since.delete(key);
    else if (!this.#since.has(key)) this.#since.set(key, this.#nowMs());
    if (this.#since.size === 0) this.#inStepAt = this.#clock.now();
  }

  /** When the kernel last had all of it; milliseconds since the epoch. */
  get inStepAt(): number {
    return this.#since.size === 0 ? this.#clock.now() : this.#inStepAt;
  }

  get isHealthy(): boolean {
    // The first that came is the one that waits longest.
    const [oldest] = this.#since.values();
    return oldest === undefined || this.#nowMs() - oldest < healthyMs;
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}
