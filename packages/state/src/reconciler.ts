import { type Clock, type Logger, silentLogger, systemClock, type Timer } from '@sluice/runtime';
import type { Controllers } from './controllers.ts';
import { type Desired, desiredFrom } from './desired.ts';
import { DirtyKeys } from './dirty-keys.ts';
import { sameValue } from './freeze.ts';
import { Retries } from './retries.ts';
import type { ReadableTable } from './table.ts';

/** How a reconciler acts on what it keeps. Every operation is idempotent. */
export interface Operations<Row> {
  /** Makes the object be as the row says, whether or not it is there. `last` is the row it was last made from, if known. */
  update(row: Row, key: string, last?: Row): void | Promise<void>;
  /** Removes the object; a missing one is success. `last` is the row it was last made from, where that is known. */
  delete(key: string, last: Row | undefined): void | Promise<void>;
  /** What is there, as rows. With it the periodic comparison writes only what differs. */
  list?(): Iterable<readonly [string, Row]> | Promise<Iterable<readonly [string, Row]>>;
  /** Whether what `list` found is what the row wants; default: deep equality. */
  equal?(desired: Row, actual: Row): boolean;
  /** Without `list`: removes all that is not wanted, returns how many; afterwards every row is updated anew. */
  prune?(desired: ReadonlyMap<string, Row>): number | Promise<number>;
}

/** How one row fares. `at`: milliseconds since the epoch, of the last attempt or of becoming pending. */
export interface RowStatus {
  readonly state: 'pending' | 'done' | 'error';
  readonly error?: string;
  readonly at: number;
}

export interface ReconcilerOptions<Row> {
  readonly name: string;
  /** A table, or a function that computes all that is wanted; then `trigger()` says that its inputs changed. */
  readonly desired: ReadableTable<Row> | (() => ReadonlyMap<string, Row>);
  /** For a function: whether its inputs are complete, so that what it does not return may be deleted. Default: yes. */
  readonly initialized?: () => boolean;
  readonly operations: Operations<Row>;
  readonly onStatus?: (key: string, status: RowStatus) => void;
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Counts rounds under `reconcile-NAME`. */
  readonly controllers?: Controllers;
  /** Shortest time from one round to the next; default 10 ms. */
  readonly minIntervalMs?: number;
  /** From one full comparison to the next; default 5 minutes. */
  readonly fullIntervalMs?: number;
  /** How many keys a round handles at most; default 500. */
  readonly limitPerRound?: number;
  /** Rows whose update takes long: all others go before them. */
  isSlow?(row: Row): boolean;
  /** Delays before a failed key is tried again; default 100 ms to 60 s. */
  readonly backoff?: { readonly minMs?: number; readonly maxMs?: number };
  readonly random?: () => number;
}

export interface ReconcilerSummary {
  readonly name: string;
  /** Keys that are wanted, and of all known keys those that wait and those that failed last time. */
  readonly desired: number;
  readonly pending: number;
  readonly errors: number;
  readonly initialized: boolean;
  readonly rounds: number;
  readonly updates: number;
  readonly deletes: number;
  readonly failures: number;
  /** Objects that were found to differ from what had been made, and that were made right again. */
  readonly repairs: number;
  /** Objects left by an earlier process that nobody wants any more. */
  readonly pruned: number;
  readonly lastFullAt: number | undefined;
  readonly lastError: string | undefined;
}

export function reconciler<Row>(options: ReconcilerOptions<Row>): Reconciler<Row> {
  return new Reconciler(options);
}

const loggedErrorsPerRound = 10;

/**
 * Makes what is there agree with what is wanted. Changes mark keys; a round looks at what is wanted of each marked key
 * *then*, within a limit. What failed is tried again with growing delays, key by key. Once all sources are initialised, and
 * from then on periodically, everything is compared: foreign objects go, differing ones are repaired and counted.
 * Fits `lifecycle().add()`.
 */
export class Reconciler<Row> {
  readonly name: string;
  readonly #options: ReconcilerOptions<Row>;
  readonly #desired: Desired<Row>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #dirty: DirtyKeys;
  readonly #retries: Retries;
  readonly #statuses = new Map<string, RowStatus>();
  readonly #failed = new Set<string>();
  readonly #made = new Map<string, Row>();
  readonly #counts = { rounds: 0, updates: 0, deletes: 0, failures: 0, repairs: 0, pruned: 0 };
  readonly #aborter = new AbortController();
  #subscription: Disposable | undefined;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #fullDueMs = 0;
  #restUntilMs = 0;
  #everPruned = false;
  #lastFullAt: number | undefined;
  #lastError: string | undefined;

  constructor(options: ReconcilerOptions<Row>) {
    this.name = options.name;
    this.#options = options;
    this.#desired = desiredFrom(options.desired, options.initialized);
    this.#dirty = new DirtyKeys((key) => this.#isSlow(key));
    this.#clock = options.clock ?? systemClock;
    this.#log = (options.log ?? silentLogger).child({ reconciler: options.name });
    this.#retries = new Retries({ ...options.backoff, ...(options.random && { random: options.random }) });
  }

  /** Marks everything that is wanted and begins; does not wait for the first round. */
  start(): void {
    if (this.#subscription) return;
    this.#subscription = this.#desired.subscribe((keys) => {
      for (const key of keys) this.#mark(key);
      if (this.#pruneIsDue()) this.#fullDueMs = 0;
      this.#schedule();
    });
    for (const key of this.#desired.keys()) this.#mark(key);
    this.#schedule();
  }

  /** Ends after the operation under way; what was made stays. */
  async stop(): Promise<void> {
    this.#aborter.abort();
    this.#subscription?.[Symbol.dispose]();
    this.#timer?.cancel();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Looks again at a computed `desired`, or at one key without waiting for its backoff. */
  trigger(key?: string): void {
    if (key === undefined) this.#desired.refresh();
    else {
      this.#retries.forget(key);
      this.#mark(key);
    }
    this.#schedule();
  }

  /** The next round compares everything: something outside has changed, such as a device that was replaced. */
  triggerFull(): void {
    this.#fullDueMs = 0;
    this.#schedule();
  }

  /** Works now until nothing is left but keys that wait after an error; does not throw for those. */
  async flush(): Promise<void> {
    this.#desired.refresh();
    while (!this.#aborter.signal.aborted && (this.#running || this.#hasWork())) {
      await this.#runOnce();
      await turn();
    }
  }

  status(key: string): RowStatus | undefined {
    return this.#statuses.get(key);
  }

  /** The keys that failed, with their errors. */
  errors(): (readonly [key: string, status: RowStatus])[] {
    return [...this.#statuses].filter(([key]) => this.#failed.has(key));
  }

  summary(): ReconcilerSummary {
    let pending = 0;
    for (const { state } of this.#statuses.values()) if (state === 'pending') pending++;
    return {
      name: this.name,
      desired: this.#desired.size,
      pending,
      errors: this.#failed.size,
      initialized: this.#desired.initialized,
      ...this.#counts,
      lastFullAt: this.#lastFullAt,
      lastError: this.#lastError,
    };
  }

  #mark(key: string): void {
    this.#dirty.add(key);
    if (this.#statuses.get(key)?.state !== 'pending') this.#setStatus(key, { state: 'pending', at: this.#clock.now() });
  }

  #schedule(): void {
    this.#timer?.cancel();
    if (this.#aborter.signal.aborted || this.#running || !this.#subscription) return;
    const dueMs = this.#dirty.size > 0 ? 0 : Math.min(this.#fullDueMs, this.#retries.nextDueMs() ?? this.#fullDueMs);
    const delayMs = Math.max(0, Math.max(dueMs, this.#restUntilMs) - this.#nowMs());
    this.#timer = this.#clock.setTimeout(() => void this.#runOnce(), delayMs);
  }

  #hasWork(): boolean {
    return this.#dirty.size > 0 || this.#fullDueMs <= this.#nowMs();
  }

  // At most one round at a time: who comes meanwhile waits for that one.
  #runOnce(): Promise<void> {
    this.#timer?.cancel();
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined;
      this.#restUntilMs = this.#nowMs() + (this.#options.minIntervalMs ?? 10);
      this.#schedule();
    });
    return this.#running;
  }

  async #round(): Promise<void> {
    this.#counts.rounds++;
    const failuresBefore = this.#counts.failures;
    if (this.#fullDueMs <= this.#nowMs()) await this.#full();
    for (const key of this.#retries.takeDue(this.#nowMs())) this.#dirty.add(key);
    for (const key of this.#dirty.take(this.#options.limitPerRound ?? 500)) {
      if (this.#aborter.signal.aborted) return;
      await this.#reconcile(key, failuresBefore);
    }
    const failed = this.#counts.failures - failuresBefore;
    if (failed > loggedErrorsPerRound) this.#log.warn({ failed }, 'more failures in this round than are logged');
    this.#reportRound(failed);
  }

  #isSlow(key: string): boolean {
    const row = this.#desired.get(key);
    return row !== undefined && (this.#options.isSlow?.(row) ?? false);
  }

  async #reconcile(key: string, failuresBefore: number): Promise<void> {
    const row = this.#desired.get(key);
    try {
      if (row === undefined) await this.#delete(key);
      else await this.#update(key, row);
      this.#retries.forget(key);
    } catch (error) {
      this.#fail(row === undefined ? 'delete' : 'update', key, error, failuresBefore);
    }
  }

  async #update(key: string, row: Row): Promise<void> {
    await this.#options.operations.update(row, key, this.#made.get(key));
    this.#counts.updates++;
    this.#made.set(key, row);
    this.#setDone(key);
  }

  async #delete(key: string): Promise<void> {
    await this.#options.operations.delete(key, this.#made.get(key));
    this.#counts.deletes++;
    this.#made.delete(key);
    if (!this.#dirty.has(key)) this.#forgetStatus(key);
  }

  #fail(action: string, key: string, cause: unknown, failuresBefore: number): void {
    const error = cause instanceof Error ? cause.message : String(cause);
    const retryMs = this.#retries.add(key, this.#nowMs());
    this.#counts.failures++;
    this.#lastError = `${action} ${key}: ${error}`;
    if (this.#counts.failures - failuresBefore <= loggedErrorsPerRound) {
      this.#log.warn({ key, error: cause, retryMs }, `${action} failed`);
    }
    this.#setStatus(key, { state: 'error', error, at: this.#clock.now() });
  }

  // Reads first: what is right already is not written, so that a restart disturbs nothing.
  async #full(): Promise<void> {
    const { fullIntervalMs = 300_000 } = this.#options;
    try {
      this.#desired.refresh();
      const foreign = await this.#compare();
      if (this.#desired.initialized) {
        if (this.#everPruned) this.#counts.repairs += foreign;
        else this.#counts.pruned += foreign;
        this.#everPruned = true;
      }
      this.#lastFullAt = this.#clock.now();
      this.#fullDueMs = this.#nowMs() + fullIntervalMs;
      this.#retries.forget(comparisonKey);
    } catch (cause) {
      const retryMs = this.#retries.delay(comparisonKey);
      this.#counts.failures++;
      this.#lastError = `compare ${this.name}: ${cause instanceof Error ? cause.message : String(cause)}`;
      this.#log.warn({ error: cause, retryMs }, 'comparison failed');
      this.#fullDueMs = this.#nowMs() + retryMs;
    }
  }

  async #compare(): Promise<number> {
    const { operations } = this.#options;
    if (operations.list) {
      const actual = new Map(await operations.list());
      return this.#compareWith(
        actual,
        (desired, found) => operations.equal?.(desired, found) ?? sameValue(desired, found),
      );
    }
    const foreign = operations.prune && this.#desired.initialized ? await operations.prune(this.#desired.all()) : 0;
    for (const key of this.#desired.keys()) this.#dirty.add(key);
    return foreign;
  }

  #compareWith(actual: ReadonlyMap<string, Row>, equal: (desired: Row, actual: Row) => boolean): number {
    for (const key of this.#desired.keys()) this.#compareRow(key, actual.get(key), equal);
    if (!this.#desired.initialized) return 0;
    let foreign = 0;
    for (const [key, row] of actual) {
      if (this.#desired.get(key) !== undefined || this.#dirty.has(key) || this.#statuses.has(key)) continue;
      foreign++;
      this.#made.set(key, row);
      this.#mark(key);
    }
    return foreign;
  }

  #compareRow(key: string, actual: Row | undefined, equal: (desired: Row, actual: Row) => boolean): void {
    const row = this.#desired.get(key);
    if (row === undefined) return;
    const state = this.#statuses.get(key)?.state;
    if (actual !== undefined && equal(row, actual)) {
      this.#dirty.delete(key);
      this.#retries.forget(key);
      this.#made.set(key, row);
      if (state !== 'done') this.#setDone(key);
    } else if (state === 'done') {
      this.#counts.repairs++;
      this.#log.warn({ key, found: actual === undefined ? 'nothing' : 'something else' }, 'repairing');
      this.#mark(key);
    }
  }

  #setDone(key: string): void {
    if (!this.#dirty.has(key)) this.#setStatus(key, { state: 'done', at: this.#clock.now() });
  }

  #forgetStatus(key: string): void {
    this.#statuses.delete(key);
    this.#failed.delete(key);
  }

  #setStatus(key: string, status: RowStatus): void {
    this.#statuses.set(key, status);
    if (status.state === 'error') this.#failed.add(key);
    else this.#failed.delete(key);
    this.#options.onStatus?.(key, status);
  }

  #pruneIsDue(): boolean {
    return this.#desired.initialized && !this.#everPruned;
  }

  #reportRound(failed: number): void {
    const { controllers } = this.#options;
    if (failed === 0 && this.#failed.size === 0) controllers?.success(`reconcile-${this.name}`);
    else if (failed > 0) controllers?.failure(`reconcile-${this.name}`, this.#lastError);
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}

// Not a possible key of a row: keys are printable.
const comparisonKey = '\0comparison';

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
