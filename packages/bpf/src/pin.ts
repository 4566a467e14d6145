import { existsSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
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

/** A new descriptor of what is pinned at the path; ENOENT when nothing is. */
export function openPin(path: string): number {
  return new Attributes(12).text(0, path).call(Command.objGet, `open pin ${path}`);
}

export function isPinned(path: string): boolean {
  return existsSync(path);
}

/** Removes a pin; what it held lives on while descriptors or other pins refer to it. Missing is success. */
export function unpin(path: string): void {
  rmSync(path, { force: true });
}
