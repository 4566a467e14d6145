import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readMounts } from '@sluice/runtime';
import { LabError } from '../error.ts';

/** The cgroup that holds all processes of a lab. */
export function labCgroup(labName: string): string {
  const candidates = readMounts().filter((mount) => mount.type === 'cgroup2');
  const mount = candidates.find(({ root }) => root === '/') ?? candidates[0];
  if (!mount) throw new LabError('cgroup v2 is not mounted', { hint: 'mount -t cgroup2 none /sys/fs/cgroup' });
  return join(mount.path, 'sluice-lab', labName);
}

export function makeCgroup(path: string): void {
  mkdirSync(path, { recursive: true });
}

export function processesIn(cgroup: string): number[] {
  return [cgroup, ...cgroupsBelow(cgroup)].flatMap((path) => {
    const text = readOrUndefined(join(path, 'cgroup.procs')) ?? '';
    return text.split('\n').filter(Boolean).map(Number);
  });
}

/** Deepest first. */
export function cgroupsBelow(cgroup: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(cgroup, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(cgroup, entry.name));
  } catch {
    return [];
  }
  return entries.flatMap((path) => [...cgroupsBelow(path), path]);
}

/** Kills every process in it and below, also those that fork meanwhile, and waits for their end. Gives how many there were. */
export async function killCgroup(cgroup: string, timeoutMs = 5_000): Promise<number> {
  const count = processesIn(cgroup).length;
  try {
    writeFileSync(join(cgroup, 'cgroup.kill'), '1');
  } catch (error) {
    if (isMissing(error)) return 0;
    throw new LabError(`kill the processes in ${cgroup}: ${error instanceof Error ? error.message : error}`);
  }
  const deadline = performance.now() + timeoutMs;
  while (isPopulated(cgroup)) {
    if (performance.now() > deadline) {
      throw new LabError(`processes ${processesIn(cgroup).join(', ')} in ${cgroup} do not end`);
    }
    await delay(2);
  }
  return count;
}

/** Removes it with everything below. Gives how many there were. */
export async function removeCgroup(cgroup: string): Promise<number> {
  let removed = 0;
  for (const path of [...cgroupsBelow(cgroup), cgroup]) {
    if (await removeOne(path)) removed++;
  }
  return removed;
}

async function removeOne(path: string): Promise<boolean> {
  const deadline = performance.now() + 2_000;
  for (;;) {
    try {
      rmdirSync(path);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      // A process that has just ended still counts for a moment.
      if (performance.now() > deadline) throw new LabError(`remove cgroup ${path}: ${error}`);
      await delay(5);
    }
  }
}

function isPopulated(cgroup: string): boolean {
  return readOrUndefined(join(cgroup, 'cgroup.events'))?.includes('populated 1') ?? false;
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // the cgroup is gone
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
