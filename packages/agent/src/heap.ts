import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { returnFreeMemory } from '@sluice/ffi';

/**
 * How V8 chooses when to collect. An agent starts with `--optimize-for-size` (options.ts): a heap that may grow by a
 * fraction only before all of it is looked over again. While the first lists come in nearly everything stays, and of
 * 10,000 services with 25 endpoints each that looking over is half of the agent's CPU time: until they are in, it comes
 * only when the heap is four times as large.
 */
export const heap = {
  growFreely: (): void => setFlagsFromString('--heap-growing-percent=300'),
  /** From then on; what the start has left behind, objects of programs and their types above all, is given back. */
  keepSmall(): void {
    setFlagsFromString('--heap-growing-percent=0');
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    if (typeof collect === 'function') collect();
    returnFreeMemory();
  },
} as const;
