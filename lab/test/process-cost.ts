import { readFileSync } from 'node:fs';

export interface ProcessMemory {
  /** All pages that are present, also those of the binary, which all processes of a machine share. */
  readonly rssMiB: number;
  /** Its own: heap, stacks, buffers. */
  readonly anonymousMiB: number;
}

export function memoryOf(pid: number): ProcessMemory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
  return { rssMiB: mebibytes('Rss'), anonymousMiB: mebibytes('Anonymous') };
}

/** USER_HZ, which is 100 wherever Linux runs Node. */
const ticksPerSecond = 100;

/** What it used since its start, in user and kernel mode; counted in steps of 10 ms. */
export function cpuSecondsOf(pid: number): number {
  return (statField(pid, 14) + statField(pid, 15)) / ticksPerSecond;
}

/** By the clock of `Date.now()`, to 20 ms. */
export function startedAtMs(pid: number): number {
  const uptimeSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  return Date.now() - 1000 * (uptimeSeconds - statField(pid, 22) / ticksPerSecond);
}

/** Numbered as in proc(5); the second, the name, may hold blanks and brackets. */
function statField(pid: number, number: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[number - 3]);
}
