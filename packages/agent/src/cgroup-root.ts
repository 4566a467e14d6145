import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { readMounts } from '@sluice/runtime';

// include/uapi/linux/magic.h
const CGROUP2_SUPER_MAGIC = 0x63677270;

/**
 * The directory of cgroup v2 at which the socket programs are attached: the given one, or its `unified` on a machine that
 * has v1 as well; without one, where cgroup v2 is mounted.
 */
export function cgroupRoot(given: string | undefined): string {
  if (given === undefined) return cgroupMount();
  const found = [given, join(given, 'unified')].find(isCgroup2);
  if (found) return found;
  throw new Error(
    `--cgroup-root ${given} is not in cgroup v2: mount -t cgroup2 none ${given}, or name where it is mounted`,
  );
}

function isCgroup2(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === CGROUP2_SUPER_MAGIC;
}

/** /sys/fs/cgroup, or elsewhere on machines that have v1 as well. */
function cgroupMount(): string {
  const mount = readMounts().find((candidate) => candidate.type === 'cgroup2');
  if (mount) return mount.path;
  throw new Error('cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup, or give --cgroup-root');
}
