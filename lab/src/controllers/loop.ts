/** Longest and first wait before a key that failed is tried again. */
const backoffMs = { first: 20, max: 10_000 };

/**
 * Works off keys that were marked as changed, each once a round, after the events of the current turn have come in.
 * What throws is tried again later with growing waits.
 */
export class Loop implements Disposable {
  readonly #name: string;
  readonly #reconcile: (key: string) => void;
  readonly #log: (message: string) => void;
  #marked = new Set<string>();
  #scheduled: NodeJS.Immediate | undefined;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #failures = new Map<string, number>();

  constructor(name: string, reconcile: (key: string) => void, log: (message: string) => void) {
    this.#name = name;
    this.#reconcile = reconcile;
    this.#log = log;
  }

  mark(key: string): void {
    this.#marked.add(key);
    this.#scheduled ??= setImmediate(() => this.#round());
  }

  /** Marks the key after a while; an earlier wait for it is replaced. */
  markAfter(key: string, milliseconds: number): void {
    clearTimeout(this.#timers.get(key));
    const fire = () => {
      this.#timers.delete(key);
      this.mark(key);
    };
    this.#timers.set(key, setTimeout(fire, milliseconds));
  }

  [Symbol.dispose](): void {
    if (this.#scheduled) clearImmediate(this.#scheduled);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#marked.clear();
  }

  #round(): void {
    this.#scheduled = undefined;
    const keys = this.#marked;
    this.#marked = new Set();
    for (const key of keys) {
      try {
        this.#reconcile(key);
        this.#failures.delete(key);
      } catch (error) {
        this.#fail(key, error);
      }
    }
  }

  #fail(key: string, error: unknown): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.#log(`${this.#name} ${key}: ${error instanceof Error ? error.message : String(error)}`);
    this.markAfter(key, Math.min(backoffMs.first * 2 ** failures, backoffMs.max));
  }
}

/** Stops all of them, the last started first. */
export function stopAll(parts: readonly Disposable[]): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const part of parts.toReversed()) part[Symbol.dispose]();
    },
  };
}
