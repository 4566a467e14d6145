import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process, not merely its number: numbers come again, but not with the same start. */
export interface ProcessId {
  readonly pid: number;
  /** In clock ticks since the machine's start (proc(5), field 22 of stat). */
  readonly startedAt: string;
}

export function processId(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startedAt] = [fields[0], fields[19]];
    return startedAt && state !== 'Z' ? { pid, startedAt } : undefined;
  } catch {
    return undefined; // it has ended
  }
}

export function isRunning(process: ProcessId): boolean {
  return processId(process.pid)?.startedAt === process.startedAt;
}

export function writePidFile(path: string, pid = process.pid): void {
  const id = processId(pid);
  if (id) writeFileSync(path, `${JSON.stringify(id)}\n`);
}

/** The process that a pid file names, if it still runs; a file that was cut short names none. */
export function readPidFile(path: string): ProcessId | undefined {
  try {
    const { pid, startedAt } = JSON.parse(readFileSync(path, 'utf8'));
    const id = processId(Number(pid));
    return id?.startedAt === startedAt ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Asks it to end, and kills it after the grace. */
export async function endProcess(id: ProcessId, graceMs: number): Promise<void> {
  for (const [signal, waitMs] of [
    ['SIGTERM', graceMs],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!isRunning(id)) return;
    try {
      process.kill(id.pid, signal);
    } catch {
      return; // ended between the two lines
    }
    const deadline = performance.now() + waitMs;
    while (isRunning(id) && performance.now() < deadline) await delay(10);
  }
}

/** Makes a lock file that names this process. Gives the process that has it, if one does. */
export function takeLock(path: string): ProcessId | undefined {
  for (;;) {
    try {
      writeFileSync(path, `${JSON.stringify(processId(process.pid))}\n`, { flag: 'wx' });
      return undefined;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const holder = readPidFile(path);
    if (holder) return holder;
    rmSync(path, { force: true }); // of one that was killed
  }
}
