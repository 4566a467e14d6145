/** What tells the time of another machine tells whole seconds, and late by the way of the answer. */
const apartMsMin = 5_000;

/** How a clock stands to another, in words ("61 s ahead of"); undefined: they are not so far apart that it could be told. */
export function clockApart(aheadMs: number): string | undefined {
  if (Math.abs(aheadMs) < apartMsMin) return undefined;
  return `${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
}

/** A running timer; cancelling twice, or after it fired, does nothing. */
export interface Timer extends Disposable {
  cancel(): void;
}

/** Time as a parameter: `systemClock` in production, `fakeClock()` in tests. */
export interface Clock {
  /** Milliseconds since the epoch; jumps when somebody sets the machine's time. */
  now(): number;
  /** Nanoseconds of CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns; never goes back. */
  monotonicNs(): bigint;
  /** Without a delay at the end of this turn of the event loop, where Node's own waits for a millisecond. */
  setTimeout(callback: () => void, delayMs: number): Timer;
}

// A longer delay makes Node fire at once.
const delayMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicNs: () => process.hrtime.bigint(),
  setTimeout(callback, delayMs) {
    if (delayMs <= 0) {
      const handle = setImmediate(callback);
      return timer(() => clearImmediate(handle));
    }
    const handle = setTimeout(callback, Math.min(delayMs, delayMsMax));
    return timer(() => clearTimeout(handle));
  },
};

/** A timer whose only knowledge is how to cancel itself. */
export function timer(cancel: () => void): Timer {
  return { cancel, [Symbol.dispose]: cancel };
}

/** Resolves after the delay, or as soon as the signal is aborted: callers look at the signal, nothing is thrown. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      running.cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const running = clock.setTimeout(finish, delayMs);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
