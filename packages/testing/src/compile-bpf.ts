import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compilerFlags } from '../../../tools/bpf-build.ts';
import { temporaryDirectory } from './directory.ts';

const root = resolve(import.meta.dirname, '../../..');

/** Compiles one BPF source, by its path, as tools/bpf-build.ts does; the object's bytes. Needs clang-19. */
export function compileBpf(path: string, extraFlags: readonly string[] = []): Uint8Array {
  using directory = temporaryDirectory();
  const object = join(directory.path, 'fixture.o');
  // A fixture that only calls what it tests does not look at its context.
  const flags = [...compilerFlags(root), '-Wno-unused-parameter', ...extraFlags];
  execFileSync('clang-19', [...flags, '-c', resolve(path), '-o', object], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return new Uint8Array(readFileSync(object));
}
