import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { tarArchive } from '@sluice/runtime/tar';
import { CommandError } from '../command-error.ts';
import type { Dump } from './dump.ts';

export interface ArchiveOptions {
  readonly path: string;
  /** The one folder in it. */
  readonly folder: string;
  readonly time: Date;
}

/** Writes the dump as one archive that only its owner can read; returns its size in bytes. */
export function writeArchive({ files, missing }: Dump, { path, folder, time }: ArchiveOptions): number {
  const all = [...files, ...(missing.length === 0 ? [] : [{ path: 'missing.txt', text: `${missing.join('\n')}\n` }])];
  const entries = all.map((file) => ({
    path: `${folder}/${file.path}`,
    content: Buffer.from(file.text),
    mode: 0o644 as const,
  }));
  const archive = gzipSync(tarArchive(entries, { time: Math.floor(time.getTime() / 1000) }));
  try {
    // Never in the place of another one.
    writeFileSync(path, archive, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new CommandError(`--output ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      exitCode: 2,
      cause: error,
    });
  }
  return archive.length;
}
