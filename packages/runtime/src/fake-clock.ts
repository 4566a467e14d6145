import { type Clock, type Timer, timer } from './clock.ts';

/** A clock that stands still until the test moves it. */
export interface FakeClock extends Clock {
  /** Moves time on and fires what falls due, in order of due time. */
  advance(ms: number): void;
  /** Like `advance`, but lets promises settle before the first timer and after each one. */
  advanceAsync(ms: number): Promise<void>;
  /** How many timers wait: a test that ends with 0 leaks none. */
  readonly pendingTimers: number;
}

interface Waiting {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  const waiting = new Set<Waiting>();
  let nowMs = startMs;
  let order = 0;

  function takeDue(untilMs: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const each of waiting) {
      if (each.dueMs > untilMs) continue;
      if (!first || each.dueMs < first.dueMs || (each.dueMs === first.dueMs && each.order < first.order)) first = each;
    }
    if (first) {
      waiting.delete(first);
      nowMs = Math.max(nowMs, first.dueMs);
    }
    return first;
  }

  return {
    now: () => nowMs,
    monotonicNs: () => BigInt(Math.round((nowMs - startMs) * 1e6)) + 1_000_000_000n,
    setTimeout(callback, delayMs): Timer {
      const entry = { dueMs: nowMs + Math.max(0, delayMs), order: order++, callback };
      waiting.add(entry);
      return timer(() => waiting.delete(entry));
    },
    advance(ms) {
      const untilMs = nowMs + ms;
      for (let due = takeDue(untilMs); due; due = takeDue(untilMs)) due.callback();
      nowMs = untilMs;
    },
    async advanceAsync(ms) {
      const untilMs = nowMs + ms;
      await promisesSettled();
      for (let due = takeDue(untilMs); due; due = takeDue(untilMs)) {
        due.callback();
        await promisesSettled();
      }
      nowMs = untilMs;
    },
    get pendingTimers() {
      return waiting.size;
    },
  };
}

// One turn of the loop runs every promise reaction that is ready, including those that these queue.
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
