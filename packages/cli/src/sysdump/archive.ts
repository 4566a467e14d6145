import { createHash } from 'node:crypto';
import { createWriteStream, openSync, rmSync } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { tarEnd, tarFile } from '@sluice/runtime/tar';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';

export interface DumpFile {
  /** Below the archive's folder: `node/status.json`. */
  readonly path: string;
  readonly text: string;
}

/** A dump that is written as it grows: no more than a file of it is held. */
export interface Archive {
  add(file: DumpFile): Promise<void>;
  /** Its size in bytes, once all of it is written. */
  end(): Promise<number>;
  /** Takes away what there is of it. */
  abandon(): Promise<void>;
}

export interface ArchiveOptions {
  /** `-`: the standard output. */
  readonly path: string;
  readonly out: Context['out'];
  /** The one folder in it. */
  readonly folder: string;
  readonly time: Date;
}

export function openArchive({ path, out, folder, time }: ArchiveOptions): Archive {
  const target = path === '-' ? standardOutput(out) : newFile(path);
  const gzip = createGzip();
  let bytes = 0;
  gzip.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const written = pipeline(gzip, target);
  const whole = written.catch((cause: unknown) => Promise.reject(failed(path, cause)));
  // Who writes next, or ends it, hears of it.
  whole.catch(() => undefined);
  const write = (content: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      // A write that waits for room when the target fails is never answered by zlib.
      whole.catch(reject);
      gzip.write(content, (error) => {
        if (!error) resolve();
      });
    });
  const seconds = Math.floor(time.getTime() / 1000);
  let turn = Promise.resolve();
  return {
    add: ({ path: name, text }) => {
      const file = { path: `${folder}/${fitting(name)}`, content: Buffer.from(text), mode: 0o644 as const };
      // Several may come at the same time; one that cannot be written is its own trouble.
      const added = turn.then(() => write(tarFile(file, { time: seconds })));
      turn = added.catch(() => undefined);
      return added;
    },
    end: async () => {
      await turn;
      gzip.end(tarEnd());
      await whole;
      return bytes;
    },
    abandon: async () => {
      await turn.catch(() => undefined);
      gzip.destroy();
      await written.catch(() => undefined);
      if (path !== '-') rmSync(path, { force: true });
    },
  };
}

/** That only its owner can read, and never in the place of another one. */
function newFile(path: string): Writable {
  try {
    return createWriteStream(path, { fd: openSync(path, 'wx', 0o600) });
  } catch (error) {
    throw failed(path, error);
  }
}

function standardOutput(out: Context['out']): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      out.write(chunk);
      done();
    },
  });
}

function failed(path: string, cause: unknown): CommandError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CommandError(`--output ${path}: ${why}`, { exitCode: 2, cause });
}

const folderBytesMax = 60;
const nameBytesMax = 100;
/** Together: longer ones may have no slash at which ustar could part them. */
const pathBytesMax = 160;

/** Names that objects and others' archives have, as ones that every tar takes and none leads out of the folder by. */
export function fitting(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  const names = parts.map((part, index) =>
    fittingName(part, index === parts.length - 1 ? nameBytesMax : folderBytesMax),
  );
  const whole = names.join('/');
  return whole.length <= pathBytesMax
    ? whole
    : [...names.slice(0, -1).slice(0, 2), markOf(path), names.at(-1)].join('/');
}

function markOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function fittingName(part: string, bytesMax: number): string {
  const plain = part.replaceAll(/[^\w.+@:=~-]/g, '_').replace(/^\.+$/, '_');
  if (plain.length <= bytesMax && plain === part) return plain;
  // Two that differ only in what is taken out stay two.
  const mark = markOf(part);
  return `${plain.slice(0, bytesMax - mark.length - 1)}~${mark}`;
}
