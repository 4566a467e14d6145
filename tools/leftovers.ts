/**
 * What interrupted tests left on the machine, and its removal: their mounts, folders, cgroups and labs all bear
 * `sluice-test-PID` or `test-PID` in their name, so that whatever belongs to a process that is no more can go.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMounts } from '../packages/runtime/src/index.ts';

const LABS = '/run/sluice-lab';
const CGROUP_REMOVE_ATTEMPTS = 100;

/** Removes what dead test processes left; returns what it removed. */
export function removeLeftovers(root: string): string[] {
  return [...removeLabs(root), ...removeMounts(), ...removeCgroups(), ...removeFolders()];
}

function ownerIsDead(name: string): boolean {
  const pid = /(?:^|-)test-(\d+)/.exec(name)?.[1];
  return pid !== undefined && Number(pid) !== process.pid && !existsSync(`/proc/${pid}`);
}

function removeLabs(root: string): string[] {
  const labs = existsSync(LABS)
    ? readdirSync(LABS).filter((name) => name.startsWith('test-') && ownerIsDead(name))
    : [];
  for (const name of labs) spawnSync(join(root, 'bin/sluice'), ['lab', 'down', '--name', name], { stdio: 'inherit' });
  return labs.map((name) => `lab ${name}`);
}

/** Deepest first: a mount below another one keeps that busy. */
function removeMounts(): string[] {
  const points = readMounts()
    .map((mount) => mount.path)
    .filter((point) => point.startsWith(join(tmpdir(), 'sluice-test-')) && ownerIsDead(point))
    .reverse();
  for (const point of points) spawnSync('umount', ['--lazy', point], { stdio: 'inherit' });
  return points.map((point) => `mount ${point}`);
}

function removeCgroups(): string[] {
  const root = readMounts().find((mount) => mount.type === 'cgroup2')?.path;
  if (root === undefined) return [];
  const groups = globSync('**/sluice-test-*', { cwd: root }).filter(ownerIsDead).sort().reverse();
  for (const group of groups) removeCgroup(join(root, group));
  return groups.map((group) => `cgroup ${group}`);
}

function removeCgroup(path: string): void {
  writeFileSync(join(path, 'cgroup.kill'), '1');
  for (let attempt = 0; attempt < CGROUP_REMOVE_ATTEMPTS && existsSync(path); attempt += 1) {
    try {
      rmdirSync(path);
    } catch {
      // Busy until its processes have exited, and nothing tells when.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function removeFolders(): string[] {
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith('sluice-test-') && ownerIsDead(name));
  for (const folder of folders) rmSync(join(tmpdir(), folder), { recursive: true, force: true });
  return folders.map((folder) => `folder ${folder}`);
}
