import { type Clock, systemClock } from './clock.ts';
import type { Logger } from './logger.ts';

/** A part of a process. `start` resolves when the parts after it may rely on it; `stop` is only called after a start. */
export interface LifecyclePart {
  readonly name: string;
  start(): void | Promise<void>;
  stop?(): void | Promise<void>;
}

export interface LifecycleOptions {
  readonly log: Logger;
  readonly clock?: Clock;
  /** How long one part may take to stop before the next one is stopped; default 10 s. */
  readonly stopTimeoutMs?: number;
  /** Told of each part that has started, or could not. */
  readonly onStart?: (start: { readonly part: string; readonly seconds: number; readonly isGood: boolean }) => void;
}

/** Parts in the order in which they start; they stop in reverse. */
export interface Lifecycle {
  add(part: LifecyclePart): void;
  /** Starts every part in order. When one fails, those already started are stopped and the failure is thrown. */
  start(): Promise<void>;
  /** Stops what runs, in reverse; a failure or a timeout of one part is logged and the rest goes on. Safe to call twice. */
  stop(): Promise<void>;
  readonly running: readonly string[];
}

export function lifecycle(options: LifecycleOptions): Lifecycle {
  const { log, clock = systemClock, stopTimeoutMs = 10_000, onStart } = options;
  const parts: LifecyclePart[] = [];
  const running: LifecyclePart[] = [];
  let stopping: Promise<void> | undefined;

  async function start(): Promise<void> {
    for (const part of parts) {
      if (stopping) break;
      const beganNs = clock.monotonicNs();
      const tell = (isGood: boolean) =>
        onStart?.({ part: part.name, seconds: Number(clock.monotonicNs() - beganNs) / 1e9, isGood });
      try {
        await part.start();
        tell(true);
      } catch (cause) {
        tell(false);
        await stop();
        throw new Error(`start ${part.name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      }
      running.push(part);
      log.debug({ part: part.name }, 'started');
    }
    // Asked to stop while the last part was starting.
    if (stopping) await stopParts();
  }

  function stop(): Promise<void> {
    stopping ??= stopParts();
    return stopping;
  }

  async function stopParts(): Promise<void> {
    for (let part = running.pop(); part; part = running.pop()) await stopPart(part);
  }

  async function stopPart(part: LifecyclePart): Promise<void> {
    const late = Promise.withResolvers<'late'>();
    const timer = clock.setTimeout(() => late.resolve('late'), stopTimeoutMs);
    try {
      const outcome = await Promise.race([part.stop?.(), late.promise]);
      if (outcome === 'late') log.warn({ part: part.name, stopTimeoutMs }, 'did not stop in time, going on without it');
      else log.debug({ part: part.name }, 'stopped');
    } catch (error) {
      log.error({ part: part.name, error }, 'failed to stop');
    } finally {
      timer.cancel();
    }
  }

  return {
    add: (part) => void parts.push(part),
    start,
    stop,
    get running() {
      return running.map((part) => part.name);
    },
  };
}
