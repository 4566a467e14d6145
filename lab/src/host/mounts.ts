import { readMounts } from '@sluice/runtime';
import { callProgram, labRun } from './program.ts';

export function isMounted(path: string, type?: string): boolean {
  return readMounts().some((mount) => mount.path === path && (type === undefined || mount.type === type));
}

/** Everything mounted at a path or below, deepest first. */
export function mountsBelow(path: string): string[] {
  return readMounts()
    .map((mount) => mount.path)
    .filter((mounted) => mounted === path || mounted.startsWith(`${path}/`))
    .toReversed();
}

export async function ensureMounted(type: 'tmpfs' | 'bpf', path: string): Promise<void> {
  if (!isMounted(path, type)) await callProgram(labRun, [type, path]);
}

export async function unmount(paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await callProgram(labRun, ['unmount', ...paths]);
}
