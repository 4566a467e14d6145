import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Entry } from '../../packages/runtime/src/tar.ts';

/** Where the loader looks without a cache or a setting, on Debian and Ubuntu: for these names it is built so. */
const folderOf = { x64: 'lib/x86_64-linux-gnu', arm64: 'lib/aarch64-linux-gnu' } as const;
const loaderOf = { x64: 'lib64/ld-linux-x86-64.so.2', arm64: 'lib/ld-linux-aarch64.so.1' } as const;

export type Processor = keyof typeof folderOf;

/**
 * The shared libraries of this machine that the files need, and their loader, by the paths at which the loader finds
 * them; and the licences that their packages come with.
 */
export function librariesOf(files: readonly string[], processor: Processor): Entry[] {
  const loader = `/${loaderOf[processor]}`;
  const libraries = new Set(files.flatMap((file) => neededBy(file, loader)));
  const folder = folderOf[processor];
  return [
    program(loaderOf[processor], loader),
    ...[...libraries].map((path) => program(`${folder}/${basename(path)}`, path)),
    ...licencesOf([loader, ...libraries]),
  ];
}

/** What the loader itself would load, by path. */
function neededBy(file: string, loader: string): string[] {
  const lines = execFileSync(loader, ['--list', file], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    if (line.includes('not found')) throw new Error(`${file} needs ${line.trim()}`);
    const path = /=> (\/\S+)/.exec(line)?.[1];
    return path === undefined || basename(path) === basename(loader) ? [] : [path];
  });
}

function program(path: string, source: string): Entry {
  return { path, content: readFileSync(source), mode: 0o755 };
}

/** Debian has the licence of each package at a fixed place. */
function licencesOf(paths: readonly string[]): Entry[] {
  const packages = new Set(paths.map(packageOf));
  return [...packages].map((name) => ({
    path: `usr/share/doc/${name}/copyright`,
    content: readFileSync(`/usr/share/doc/${name}/copyright`),
    mode: 0o644,
  }));
}

function packageOf(path: string): string {
  // With a merged /usr the package may know it by the other of its two paths.
  const real = realpathSync(path);
  for (const known of [real, real.replace(/^\/usr/, ''), `${dirname(path)}/${basename(real)}`]) {
    try {
      const line = execFileSync('dpkg-query', ['--search', known], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const name = /^([^:,\s]+)/.exec(line)?.[1];
      if (name !== undefined) return name;
    } catch {
      // Not by this path.
    }
  }
  throw new Error(`no Debian package has ${path}: its licence is not known, and it must not be in an image`);
}
