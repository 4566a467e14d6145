// Compiles bpf/*.bpf.c into bpf/build/*.o with clang 19, what is out of date only.
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const CLANG = 'clang-19';

export interface CompileOptions {
  /** The repository. */
  readonly root: string;
  readonly log: (line: string) => void;
  /** Compile everything. */
  readonly force?: boolean;
}

/** Compiles what is out of date; returns the objects' paths. Throws an error that holds the compiler's output. */
export async function compileObjects(options: CompileOptions): Promise<string[]> {
  const { root, log } = options;
  mkdirSync(join(root, 'bpf/build'), { recursive: true });
  const newestHeader = newest(root, ['bpf/**/*.h', 'tools/bpf-build.ts']);
  const sources = globSync('bpf/*.bpf.c', { cwd: root }).sort();
  return await Promise.all(
    sources.map(async (source) => {
      const object = join('bpf/build', basename(source).replace(/\.bpf\.c$/, '.o'));
      const path = join(root, object);
      const changed = Math.max(newestHeader, modified(join(root, source)));
      if (options.force === true || !existsSync(path) || modified(path) <= changed) {
        await compile(root, { source, object });
        log(`compiled ${source}`);
      }
      return path;
    }),
  );
}

async function compile(root: string, unit: { source: string; object: string }): Promise<void> {
  // Another process may compile the same object: each writes its own file and renames it.
  const temporary = `${unit.object}.${process.pid}`;
  try {
    await promisify(execFile)(CLANG, [...compilerFlags(root), '-c', unit.source, '-o', temporary], { cwd: root });
    renameSync(join(root, temporary), join(root, unit.object));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error(`${CLANG} is not installed: run "npm run setup", or "apt-get install ${CLANG}"`, {
        cause: error,
      });
    }
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    throw new Error(`${unit.source} does not compile:\n${output.trimEnd()}`, { cause: error });
  }
}

/** For a compiler that runs in `root`. BTF and line info must not depend on where the repository lies. */
export function compilerFlags(root: string): string[] {
  return [
    '-O2',
    '-g',
    '--target=bpf',
    '-mcpu=v3',
    '-std=gnu11',
    '-Wall',
    '-Wextra',
    '-Werror',
    `-ffile-prefix-map=${root}=.`,
    '-Ibpf',
    '-Ibpf/include',
    '-Ibpf/lib',
    `-I/usr/include/${triplet()}`,
  ];
}

/** Where Debian keeps asm/types.h. */
function triplet(): string {
  return process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
}

function newest(root: string, patterns: readonly string[]): number {
  return Math.max(0, ...globSync([...patterns], { cwd: root }).map((path) => modified(join(root, path))));
}

function modified(path: string): number {
  return statSync(path).mtimeMs;
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..');
  try {
    const objects = await compileObjects({
      root,
      log: (line) => process.stdout.write(`${line}\n`),
      force: process.argv.includes('--force'),
    });
    process.stdout.write(`${objects.length} objects in bpf/build are up to date\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
