import { setTimeout as delay } from 'node:timers/promises';
import type { NodeLayout } from '@sluice/lab';
import type { TestLab } from '../test-lab.ts';
import type { SoakOptions } from './options.ts';

/** What all parts of a soak share. */
export interface SoakRun {
  readonly lab: TestLab;
  readonly options: SoakOptions;
  /** Those that stay; `shaken` is the one whose power and cable come and go. */
  readonly nodes: readonly NodeLayout[];
  readonly shaken: NodeLayout;
  /** Aborted when the time is over, or by an interruption. */
  readonly ended: AbortSignal;
}

const startedAt = performance.now();

/** With the instant, so that a lost request can be laid beside what happened. */
export function say(what: unknown): void {
  process.stdout.write(`${((performance.now() - startedAt) / 1000).toFixed(3).padStart(9)} s  ${String(what)}\n`);
}

/** Returns early when the soak has ended. */
export async function pause(milliseconds: number, ended: AbortSignal): Promise<void> {
  await delay(Math.max(0, milliseconds), undefined, { signal: ended }).catch(() => undefined);
}
