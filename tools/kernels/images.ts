/** Kernels of the distribution: which ones apt offers, fetched and unpacked without being installed. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface KernelImage {
  /** `6.12`: the newest image that apt has of it is taken. */
  readonly series: string;
  /** `6.12.117+deb12-cloud-amd64`, as `uname -r` says. */
  readonly release: string;
  readonly packageName: string;
}

export interface UnpackedKernel extends KernelImage {
  readonly image: string;
  /** Holds `kernel/` and `modules.builtin`. */
  readonly modules: string;
}

/** The small images for virtual machines have all that we need, in a third of the size. */
const NAME = /^linux-image-((\d+\.\d+)\S*-cloud-amd64)$/;

/** One image of each series, oldest first. */
export function offeredKernels(): KernelImage[] {
  const names = run('apt-cache', ['--names-only', 'search', '^linux-image-[0-9].*-cloud-amd64$'])
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '');
  const bySeries = new Map<string, KernelImage>();
  for (const packageName of names) {
    const [, release, series] = NAME.exec(packageName) ?? [];
    // Without a third number it is a name for whatever is newest.
    if (release === undefined || series === undefined || !/^\d+\.\d+\.\d/.test(release)) continue;
    const before = bySeries.get(series);
    if (before === undefined || compareReleases(release, before.release) > 0) {
      bySeries.set(series, { series, release, packageName });
    }
  }
  return [...bySeries.values()].sort((a, b) => compareReleases(a.release, b.release));
}

/** By their numbers, from left to right. */
export function compareReleases(left: string, right: string): number {
  const [ours, theirs] = [left, right].map((release) => release.match(/\d+/g)?.map(Number) ?? []);
  const length = Math.max(ours?.length ?? 0, theirs?.length ?? 0);
  for (let index = 0; index < length; index += 1) {
    const difference = (ours?.[index] ?? -1) - (theirs?.[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Fetches the package into `cache` unless it is there. Nothing is installed on this machine. */
export function unpackKernel(kernel: KernelImage, cache: string): UnpackedKernel {
  const folder = join(cache, kernel.release);
  if (!existsSync(folder)) {
    const temporary = join(cache, `.fetching-${process.pid}`);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    run('apt-get', ['download', '--quiet', kernel.packageName], temporary);
    const [archive] = globSync('*.deb', { cwd: temporary });
    if (archive === undefined) throw new Error(`apt-get download ${kernel.packageName} left no package`);
    run('dpkg-deb', ['--extract', archive, 'root'], temporary);
    renameSync(join(temporary, 'root'), folder);
    rmSync(temporary, { recursive: true });
  }
  const image = join(folder, 'boot', `vmlinuz-${kernel.release}`);
  // Debian 13 has everything below /usr.
  const modules = ['lib/modules', 'usr/lib/modules']
    .map((path) => join(folder, path, kernel.release))
    .find((path) => existsSync(path));
  if (!existsSync(image) || modules === undefined) {
    throw new Error(`${kernel.packageName} in ${folder} holds no ${basename(image)} or no modules; remove the folder`);
  }
  return { ...kernel, image, modules };
}

function run(file: string, args: readonly string[], cwd?: string): string {
  try {
    return execFileSync(file, args, { encoding: 'utf8', cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new Error(`${file} ${args.join(' ')} failed: ${output}`, { cause: error });
  }
}
