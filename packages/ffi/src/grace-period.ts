import { libcFunction } from './libc.ts';

const nativeSyscall = libcFunction('long syscall(long number, int command, uint flags, int cpu)');

// membarrier has no libc wrapper; the number is the architecture's.
const membarrierNumbers: Partial<Record<NodeJS.Architecture, number>> = { x64: 324, arm64: 283 };
const MEMBARRIER_CMD_GLOBAL = 1;

/** What runs in the kernel with preemption off, as programs at network hooks do, has ended after microseconds. */
const insteadMs = 50;
const nobodyWakes = new Int32Array(new SharedArrayBuffer(4));

/**
 * Returns when no CPU is in the midst of what it began before the call: a program that a link has run until then, for one.
 * membarrier(2) waits for that, a grace period of RCU, some 10 ms. A kernel with CPUs without ticks (nohz_full) refuses it:
 * there it is waited for so long that nobody can be.
 */
export function waitForGracePeriod(): void {
  const number = membarrierNumbers[process.arch];
  if (number !== undefined && nativeSyscall(number, MEMBARRIER_CMD_GLOBAL, 0, 0) >= 0) return;
  Atomics.wait(nobodyWakes, 0, 0, insteadMs);
}
