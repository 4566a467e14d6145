import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LabError, messageOf } from '../error.ts';
import { killCgroup, labCgroup, processesIn, removeCgroup } from '../host/cgroup.ts';
import { mountsBelow, unmount } from '../host/mounts.ts';
import { endProcess, readPidFile } from '../host/process-id.ts';
import { type LabLayout, labLayout } from '../layout.ts';
import { type LabContext, removeIfEmpty, withLock } from './context.ts';

const daemonGraceMs = 5_000;

/** Takes away everything of a lab, also of one that was only half made. Fails when something stays. */
export async function down(name: string, { print }: LabContext): Promise<void> {
  const layout = labLayout(name);
  const cgroup = labCgroup(name);
  if (!existsSync(layout.directory) && !existsSync(cgroup)) {
    print(`lab ${name}: nothing is there`);
    return;
  }
  const failures: string[] = [];
  await withLock(layout, async () => {
    const counts: string[] = [];
    for (const [step, what] of steps(layout, cgroup)) {
      try {
        const count = await step();
        if (count > 0) counts.push(`${count} ${count === 1 ? what : plural(what)}`);
      } catch (error) {
        failures.push(messageOf(error));
      }
    }
    print(`lab ${name}: removed ${counts.join(', ') || 'nothing'}`);
  });
  removeIfEmpty(join(cgroup, '..'));
  failures.push(...remains(layout, cgroup));
  if (failures.length > 0) throw new LabError(`lab ${name} is not wholly gone:\n  ${failures.join('\n  ')}`);
}

/** Each gives how many it removed. The order matters: what holds things goes before what is held. */
function steps(layout: LabLayout, cgroup: string): [step: () => Promise<number>, what: string][] {
  return [
    [() => stopDaemon(layout), 'daemon'],
    // Agents end with the daemon; pods, and whoever was entered by `exec`, are killed.
    [() => killCgroup(cgroup), 'process'],
    [async () => countPins(layout), 'pin'],
    [() => unmountAll(layout), 'mount'],
    [() => removeCgroup(cgroup), 'cgroup'],
    [async () => removeDirectory(layout.directory), 'folder'],
  ];
}

function plural(noun: string): string {
  return noun.endsWith('s') ? `${noun}es` : `${noun}s`;
}

async function stopDaemon(layout: LabLayout): Promise<number> {
  const daemon = readPidFile(layout.pidFile);
  if (!daemon) return 0;
  await endProcess(daemon, daemonGraceMs);
  return 1;
}

/** They go with their file system. */
function countPins(layout: LabLayout): number {
  if (!mountsBelow(layout.bpffs).includes(layout.bpffs)) return 0;
  const entries = readdirSync(layout.bpffs, { recursive: true, withFileTypes: true });
  // maps.debug and progs.debug are the file system's own.
  return entries.filter((entry) => !entry.isDirectory() && !entry.name.endsWith('.debug')).length;
}

/** Network namespaces, the BPF file system, the folder itself: a namespace without mount and process is gone, and so are its links. */
async function unmountAll(layout: LabLayout): Promise<number> {
  const mounts = mountsBelow(layout.directory);
  await unmount(mounts);
  return mounts.length;
}

function removeDirectory(path: string): number {
  if (!existsSync(path)) return 0;
  rmSync(path, { recursive: true });
  return 1;
}

function remains(layout: LabLayout, cgroup: string): string[] {
  return [
    ...mountsBelow(layout.directory).map((mount) => `still mounted: ${mount}`),
    ...processesIn(cgroup).map((pid) => `still running: process ${pid}`),
    ...(existsSync(cgroup) ? [`still there: ${cgroup}`] : []),
    ...(existsSync(layout.directory) ? [`still there: ${layout.directory}`] : []),
  ];
}
