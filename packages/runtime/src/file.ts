import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

export interface WriteFileOptions {
  /** Permission bits of the new file; default 0600: state may hold names that are nobody's business. */
  readonly mode?: number;
}

/**
 * Writes a file so that after a crash at any moment either the old or the new content is there, whole. Makes the folder if
 * it is missing. One writer per path: the temporary name carries the process id.
 */
export function writeFileAtomic(path: string, content: string | Uint8Array, options: WriteFileOptions = {}): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path)}.${process.pid}.tmp`);
  try {
    writeSynced(temporary, content, options.mode ?? 0o600);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new Error(`write ${path}: ${message(cause)}`, { cause });
  }
  syncFolder(folder);
}

/** The text of a file, or undefined when there is none. */
export function readFileIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw new Error(`read ${path}: ${message(cause)}`, { cause });
  }
}

/** The text of a file that a person has named: a pipe too, so its size is not asked for, and a device without an end is none. */
export function readFileUpTo(path: string, bytesMax: number): string {
  try {
    const fd = openSync(path, 'r');
    try {
      return readAll(fd, bytesMax);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw new Error(`read ${path}: ${message(cause)}`, { cause });
  }
}

const partBytes = 64 * 1024;

function readAll(fd: number, bytesMax: number): string {
  const parts: Buffer[] = [];
  for (let size = 0; ; ) {
    const part = Buffer.alloc(partBytes);
    const read = readSync(fd, part);
    if (read === 0) return Buffer.concat(parts).toString('utf8');
    size += read;
    if (size > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    parts.push(part.subarray(0, read));
  }
}

function writeSynced(path: string, content: string | Uint8Array, mode: number): void {
  // A left-over of a killed process with our recycled id may have other permissions.
  rmSync(path, { force: true });
  const fd = openSync(path, 'wx', mode);
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

// The rename itself is only durable once the folder is.
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
