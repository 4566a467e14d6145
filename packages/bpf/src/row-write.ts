import { Errno } from '@sluice/ffi';

export interface RetryOptions {
  /** Blocks the thread. */
  pause(ms: number): void;
}

/**
 * Rows of a hash that is not allocated beforehand come from a small store of each CPU (bpf_mem_alloc in the kernel), which is
 * filled again from an interrupt: who writes faster than that is told that there is no memory, and there is a moment later.
 */
const attemptsMax = 1_000;
const refillMs = 1;

/** The kernel's result; -ENOMEM only where there is none for a second. */
export function writeRow(attempt: () => number, { pause }: RetryOptions = sleeping): number {
  for (let made = 1; ; made += 1) {
    const result = attempt();
    if (result !== -Errno.ENOMEM || made === attemptsMax) return result;
    pause(refillMs);
  }
}

const nobodyWakes = new Int32Array(new SharedArrayBuffer(4));

const sleeping: RetryOptions = { pause: (ms) => void Atomics.wait(nobodyWakes, 0, 0, ms) };
