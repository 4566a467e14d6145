/** Why a process that somebody starts again and again does not stay: a file beside its sockets, for who finds nobody there. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readFileIfPresent, writeFileAtomic } from './file.ts';

export interface LastFailure {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly message: string;
}

export function noteFailure(runDir: string, failure: LastFailure): void {
  try {
    writeFileAtomic(fileIn(runDir), `${JSON.stringify(failure)}\n`);
  } catch {
    // Not the reason of another failure: the log has it all the same.
  }
}

/** The start was good: what was wrong before is over. */
export function forgetFailure(runDir: string): void {
  rmSync(fileIn(runDir), { force: true });
}

/** Undefined: none, or it cannot be read. */
export function lastFailure(runDir: string): LastFailure | undefined {
  try {
    const value: unknown = JSON.parse(readFileIfPresent(fileIn(runDir)) ?? 'null');
    if (typeof value !== 'object' || value === null) return undefined;
    const [at, message]: readonly unknown[] = [Reflect.get(value, 'at'), Reflect.get(value, 'message')];
    return typeof at === 'number' && typeof message === 'string' ? { at, message } : undefined;
  } catch {
    return undefined;
  }
}

function fileIn(runDir: string): string {
  return join(runDir, 'last-failure.json');
}
