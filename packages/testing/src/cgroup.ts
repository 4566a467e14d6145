import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMounts } from '@sluice/runtime';

export interface TemporaryCgroup extends Disposable {
  readonly path: string;
  /** Moves a process in; it stays until it ends or moves elsewhere. */
  add(pid: number): void;
  /** Runs a synchronous section with this whole process (all threads) inside. */
  run<Result>(section: () => Result): Result;
}

let count = 0;

/** A cgroup v2 group of the test's own, below `parent` (default: the root). Disposing kills what is still inside. */
export function temporaryCgroup(parent: string = cgroupRoot()): TemporaryCgroup {
  count += 1;
  const path = join(parent, `sluice-test-${process.pid}-${count}`);
  mkdirSync(path);
  const add = (pid: number) => writeFileSync(join(path, 'cgroup.procs'), String(pid));
  return {
    path,
    add,
    run(section) {
      const home = join(cgroupRoot(), ownCgroup(), 'cgroup.procs');
      add(process.pid);
      try {
        return section();
      } finally {
        writeFileSync(home, String(process.pid));
      }
    },
    [Symbol.dispose]: () => removeCgroup(path),
  };
}

/** Where cgroup v2 is mounted: /sys/fs/cgroup, or a directory below it on machines that have v1 as well. */
function cgroupRoot(): string {
  const mount = readMounts().find(({ type }) => type === 'cgroup2');
  if (mount === undefined) throw new Error('cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup');
  return mount.path;
}

function ownCgroup(): string {
  const line = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith('0::'));
  return line?.slice('0::'.length) ?? '/';
}

const REMOVE_ATTEMPTS_MAX = 400;
const REMOVE_INTERVAL_MS = 5;

// A group is busy until its processes have exited, and nothing tells when: ask again.
function removeCgroup(path: string): void {
  writeFileSync(join(path, 'cgroup.kill'), '1');
  for (let attempt = 1; ; attempt += 1) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      if (attempt === REMOVE_ATTEMPTS_MAX) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REMOVE_INTERVAL_MS);
    }
  }
}
