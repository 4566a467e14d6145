import { existsSync, mkdirSync, readlinkSync, rmSync, statfsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { close } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { Command } from './kernel-constants.ts';

const BPF_FS_MAGIC = 0xcafe4a11;

/** Pins a descriptor's object at a path on a bpffs; directories are made. An existing pin is EEXIST. */
export function pinObject(fd: number, path: string): void {
  // The kernel keeps dots in names for itself and answers EPERM, which would send people looking for privileges.
  if (basename(path).includes('.')) throw new TypeError(`pin ${path}: the name of a pin holds no dot`);
  mkdirSync(dirname(path), { recursive: true });
  if (statfsSync(dirname(path)).type !== BPF_FS_MAGIC) {
    throw new TypeError(`pin ${path}: the directory is not on a bpffs; mount -t bpf bpf /sys/fs/bpf`);
  }
  new Attributes(12).text(0, path).u32(8, fd).call(Command.objPin, `pin ${path}`);
}

export type PinnedKind = 'map' | 'program' | 'link';

/** As the descriptor's link in /proc names it; links have two names, by how the descriptor was made. */
const inodeNames: Record<PinnedKind, RegExp> = { map: /:bpf-map$/, program: /:bpf-prog$/, link: /:bpf[-_]link$/ };

/** A new descriptor of what is pinned at the path. ENOENT when nothing is, TypeError when it is of another kind. */
export function openPin(path: string, kind: PinnedKind): number {
  const fd = new Attributes(12).text(0, path).call(Command.objGet, `open pin ${path}`);
  // The kernel's infos of the three have the same beginning: a mix-up would go on for a while.
  const inode = readlinkSync(`/proc/self/fd/${fd}`);
  if (inodeNames[kind].test(inode)) return fd;
  close(fd);
  throw new TypeError(`pin ${path} is no ${kind}: ${inode}`);
}

export function isPinned(path: string): boolean {
  return existsSync(path);
}

/** Removes a pin; what it held lives on while descriptors or other pins refer to it. Missing is success. */
export function unpin(path: string): void {
  rmSync(path, { force: true });
}
