/** Kernel modules with what they depend on, in the order in which they must be loaded. */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface KernelModule {
  readonly name: string;
  readonly content: Uint8Array;
}

/** `folder`: /lib/modules/RELEASE. What is built in is left out, what is missing is an error. */
export function collectModules(folder: string, wanted: readonly string[]): KernelModule[] {
  const files = new Map(globSync('kernel/**/*.ko{,.xz,.zst}', { cwd: folder }).map((path) => [nameOf(path), path]));
  const builtIn = new Set(readFileSync(join(folder, 'modules.builtin'), 'utf8').split('\n').map(nameOf));
  const found = new Map<string, KernelModule>();
  const collect = (name: string): void => {
    if (found.has(name) || builtIn.has(name)) return;
    const path = files.get(name);
    if (path === undefined) throw new Error(`there is no module ${name} in ${folder}`);
    const content = decompressed(join(folder, path));
    for (const dependency of dependencies(content)) collect(dependency);
    found.set(name, { name, content });
  };
  for (const name of wanted) collect(name);
  return [...found.values()];
}

/** Hyphen and underscore are one letter in names of modules. */
function nameOf(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

function decompressed(path: string): Uint8Array {
  const tool = path.endsWith('.xz') ? 'xz' : path.endsWith('.zst') ? 'zstd' : undefined;
  if (tool === undefined) return readFileSync(path);
  return execFileSync(tool, ['--decompress', '--stdout', path], { maxBuffer: 64 * 1024 * 1024 });
}

/** A module says in its .modinfo section, as text that ends with zero, what it needs. */
function dependencies(content: Uint8Array): string[] {
  const list = /\0depends=([^\0]*)\0/.exec(Buffer.from(content).toString('latin1'))?.[1] ?? '';
  return list.split(',').flatMap((name) => (name === '' ? [] : [nameOf(name)]));
}
