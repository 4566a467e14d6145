import { globSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Link } from '@sluice/bpf';
import type { LabLayout } from '@sluice/lab';

/** What a lab has in the kernel that no file tells of once it is down. */
export interface LabTraces {
  readonly layout: LabLayout;
  readonly links: readonly number[];
  readonly devicesBefore: ReadonlySet<string>;
}

/** Call it with the lab up; `devicesBefore` are the machine's devices before that. */
export function labTraces(layout: LabLayout, devicesBefore: ReadonlySet<string>): LabTraces {
  const links = globSync(`${layout.bpffs}/*/sluice/links/*`).map((path) => {
    using link = Link.openPinned(path);
    return link.info().id;
  });
  return { layout, links, devicesBefore };
}

export function machineDevices(): Set<string> {
  return new Set(readdirSync('/sys/class/net'));
}

const patienceMs = 5_000;

/** What of a lab is still on the machine. The kernel takes a moment to free links and devices after their last holder. */
export async function leftBehind(traces: LabTraces): Promise<string[]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const left = tracesLeft(traces);
    if (left.length === 0 || performance.now() > deadline) return left;
    await delay(20);
  }
}

/** At this moment; each begins with its kind. */
export function tracesLeft({ layout, links, devicesBefore }: LabTraces): string[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const ourDevice = /^(slc|sluice_|port\d|switch|router|internet|client|lan|eno[12])/;
  return [
    ...processes
      .filter((pid) => read(`/proc/${pid}/cgroup`).includes(`/sluice-lab/${layout.name}/`))
      .map((pid) => `process ${pid}`),
    // In whichever mount namespace: a copy of a bind mount keeps a network namespace alive.
    ...processes
      .filter((pid) => read(`/proc/${pid}/mountinfo`).includes(` ${layout.directory}`))
      .map((pid) => `mounts of ${pid}`),
    ...links.filter(linkExists).map((id) => `link ${id}`),
    ...[...machineDevices()]
      .filter((name) => ourDevice.test(name) && !devicesBefore.has(name))
      .map((name) => `device ${name}`),
    ...globSync(`/sys/fs/cgroup{,/unified}/sluice-lab/${layout.name}`).map((path) => `cgroup ${path}`),
    ...globSync(`${layout.directory}*`).map((path) => `file ${path}`),
  ];
}

function linkExists(id: number): boolean {
  try {
    Link.openById(id)[Symbol.dispose]();
    return true;
  } catch {
    return false; // ENOENT
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the process has ended
  }
}
