export interface BackoffOptions {
  /** First delay; default 100 ms. */
  readonly minMs?: number;
  /** Longest delay; default 60 s. */
  readonly maxMs?: number;
  /** Growth from one delay to the next; default 2. */
  readonly factor?: number;
  /** Share of each delay that is random, 0 to 1, so that a thousand nodes do not come back together; default 0.5. */
  readonly jitter?: number;
  /** Numbers in [0, 1); default Math.random. */
  readonly random?: () => number;
}

/** Growing delays between attempts at one thing. */
export interface Backoff {
  /** The delay to wait now; the next one is longer. */
  next(): number;
  /** Begin again with the shortest delay: the thing worked. */
  reset(): void;
  /** How many delays were given since the last reset. */
  readonly attempts: number;
}

export function backoff(options: BackoffOptions = {}): Backoff {
  const { minMs = 100, maxMs = 60_000, factor = 2, jitter = 0.5, random = Math.random } = options;
  let attempts = 0;
  return {
    next() {
      const fullMs = Math.min(maxMs, minMs * factor ** attempts);
      attempts++;
      return Math.round(fullMs * (1 - jitter * random()));
    },
    reset() {
      attempts = 0;
    },
    get attempts() {
      return attempts;
    },
  };
}
