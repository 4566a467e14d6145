import { type Backoff, backoff } from '@sluice/runtime';

export interface RetriesOptions {
  readonly minMs?: number;
  readonly maxMs?: number;
  readonly random?: () => number;
}

interface Retry {
  readonly delays: Backoff;
  dueMs: number | undefined;
}

/** Keys that failed, each with its own growing delay. */
export class Retries {
  readonly #options: RetriesOptions;
  readonly #retries = new Map<string, Retry>();

  constructor(options: RetriesOptions) {
    this.#options = options;
  }

  /** Notes a failure; returns the delay until the key is due again. */
  add(key: string, nowMs: number): number {
    const delayMs = this.delay(key);
    this.#retry(key).dueMs = nowMs + delayMs;
    return delayMs;
  }

  /** The next, longer delay of a key that somebody else schedules. */
  delay(key: string): number {
    return this.#retry(key).delays.next();
  }

  forget(key: string): void {
    this.#retries.delete(key);
  }

  /** The keys that are due; they keep their delay until `forget`. */
  takeDue(nowMs: number): string[] {
    const keys: string[] = [];
    for (const [key, retry] of this.#retries) {
      if (retry.dueMs === undefined || retry.dueMs > nowMs) continue;
      retry.dueMs = undefined;
      keys.push(key);
    }
    return keys;
  }

  nextDueMs(): number | undefined {
    let next: number | undefined;
    for (const { dueMs } of this.#retries.values()) {
      if (dueMs !== undefined && (next === undefined || dueMs < next)) next = dueMs;
    }
    return next;
  }

  #retry(key: string): Retry {
    const known = this.#retries.get(key);
    if (known) return known;
    const retry: Retry = { delays: backoff({ ...this.#options }), dueMs: undefined };
    this.#retries.set(key, retry);
    return retry;
  }
}
