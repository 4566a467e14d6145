import { backoff, type Clock, systemClock } from '@sluice/runtime';

/** Longer than any run of ours takes: what it waits for does not come. */
const stuckAfterMs = 120_000;

/** How one recurring job fares; a line of `sluice status --verbose`. */
export interface ControllerStatus {
  readonly name: string;
  readonly successCount: number;
  readonly failureCount: number;
  /** 0 while the last run went well. */
  readonly consecutiveFailures: number;
  /** Milliseconds since the epoch; undefined: never yet. */
  readonly lastSuccessAt: number | undefined;
  readonly lastFailureAt: number | undefined;
  readonly lastError: string | undefined;
}

export interface ControllerOptions {
  readonly name: string;
  readonly run: (signal: AbortSignal) => void | Promise<void>;
  /** From the end of a good run to the next one. */
  readonly intervalMs: number;
  /** Longest wait after failures, which grow from a second; default: the interval, at least 1 s. */
  readonly backoffMaxMs?: number;
}

/** A job that runs again and again until it is stopped. */
export interface Controller extends AsyncDisposable {
  /** Run now, or once more when it is running. */
  trigger(): void;
  /** Resolves when no run is under way any more. */
  stop(): Promise<void>;
}

/** All recurring jobs of a process with their counts and last errors. */
export class Controllers {
  readonly #clock: Clock;
  readonly #statuses = new Map<string, ControllerStatus>();
  /** Since when (ms of the monotonic clock) a run is under way. */
  readonly #running = new Map<string, number>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  success(name: string): void {
    const status = this.#status(name);
    const lastSuccessAt = this.#clock.now();
    this.#statuses.set(name, {
      ...status,
      successCount: status.successCount + 1,
      consecutiveFailures: 0,
      lastSuccessAt,
    });
  }

  failure(name: string, error: unknown): void {
    const status = this.#status(name);
    this.#statuses.set(name, {
      ...status,
      failureCount: status.failureCount + 1,
      consecutiveFailures: status.consecutiveFailures + 1,
      lastFailureAt: this.#clock.now(),
      lastError: error instanceof Error ? error.message : String(error),
    });
  }

  /** Forgets a job that is no more, such as that of a deleted endpoint. */
  remove(name: string): void {
    this.#statuses.delete(name);
  }

  /** By name. A run that does not end counts as a failure, although nobody has heard of one yet. */
  list(): ControllerStatus[] {
    return [...this.#statuses.values()]
      .map((status) => this.#judgeRunning(status))
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  get total(): number {
    return this.#statuses.size;
  }

  get healthy(): number {
    return this.list().filter((status) => status.consecutiveFailures === 0).length;
  }

  /** Runs a job at once and then periodically; its outcome is counted under its name. */
  start({ name, run, intervalMs, backoffMaxMs = Math.max(1_000, intervalMs) }: ControllerOptions): Controller {
    const aborter = new AbortController();
    const delays = backoff({ minMs: 1_000, maxMs: backoffMaxMs });
    let timer: Disposable | undefined;
    let running: Promise<void> | undefined;
    let again = false;
    this.#statuses.set(name, this.#status(name));

    const once = async () => {
      this.#running.set(name, this.#nowMs());
      try {
        await run(aborter.signal);
        this.success(name);
        delays.reset();
        return intervalMs;
      } catch (error) {
        if (!aborter.signal.aborted) this.failure(name, error);
        return delays.next();
      } finally {
        this.#running.delete(name);
      }
    };
    const scheduleNext = (delayMs: number) => {
      running = undefined;
      if (!aborter.signal.aborted) timer = this.#clock.setTimeout(trigger, again ? 0 : delayMs);
    };
    const trigger = () => {
      again = running !== undefined;
      if (again || aborter.signal.aborted) return;
      timer?.[Symbol.dispose]();
      running = once().then(scheduleNext);
    };
    const stop = async () => {
      aborter.abort();
      timer?.[Symbol.dispose]();
      await running;
      this.remove(name);
    };
    trigger();
    return { trigger, stop, [Symbol.asyncDispose]: stop };
  }

  #judgeRunning(status: ControllerStatus): ControllerStatus {
    const ranMs = this.#nowMs() - (this.#running.get(status.name) ?? Infinity);
    if (ranMs < stuckAfterMs) return status;
    const lastError = `its run does not end, for ${Math.round(ranMs / 1000)} s already`;
    return { ...status, consecutiveFailures: status.consecutiveFailures + 1, lastError };
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }

  #status(name: string): ControllerStatus {
    const none = { successCount: 0, failureCount: 0, consecutiveFailures: 0 };
    const never = { lastSuccessAt: undefined, lastFailureAt: undefined, lastError: undefined };
    return this.#statuses.get(name) ?? { name, ...none, ...never };
  }
}
