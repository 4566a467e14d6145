import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');

/** Compiles one BPF source, by its path, as tools/bpf-build.ts does; the object's bytes. Needs clang-19. */
export function compileBpf(path: string, extraFlags: readonly string[] = []): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bpf-'));
  try {
    const object = join(directory, 'fixture.o');
    const includes = [
      `-I${join(root, 'bpf/include')}`,
      `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
    ];
    const flags = [
      '-O2',
      '-g',
      '--target=bpf',
      '-mcpu=v3',
      '-std=gnu11',
      '-Wall',
      '-Werror',
      ...includes,
      ...extraFlags,
    ];
    execFileSync('clang-19', [...flags, '-c', path, '-o', object], { stdio: ['ignore', 'ignore', 'inherit'] });
    return new Uint8Array(readFileSync(object));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
