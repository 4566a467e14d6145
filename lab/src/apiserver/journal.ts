import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import type { KubernetesObject } from './object.ts';
import type { Change, Storage } from './storage.ts';

interface Line {
  resource: string;
  /** The object, or of one that went only what names it. */
  object: KubernetesObject;
  deleted?: true;
}

/** Bytes appended before the file is written anew with only what is there. */
const appendedMax = 16 * 1024 * 1024;

/** The objects on disk, so that a restarted server finds them: one JSON line per write, fewest bytes rather than fsync. */
export class Journal {
  readonly #path: string;
  #fd: number | undefined;
  #appended = 0;
  #pending: string[] = [];
  readonly #live = new Map<string, Line>();

  constructor(path: string) {
    this.#path = path;
  }

  /** Puts everything back into the storage. A torn last line, from a crash, is ignored. */
  restore(storage: Storage): number {
    if (existsSync(this.#path)) {
      for (const text of readFileSync(this.#path, 'utf8').split('\n')) {
        const line = parseLine(text);
        if (line?.deleted) this.#live.delete(lineKey(line));
        else if (line) this.#live.set(lineKey(line), line);
      }
    }
    for (const { resource, object } of this.#live.values()) storage.restore(resource, object);
    storage.compact();
    this.#rewrite();
    return this.#live.size;
  }

  record(resource: string, change: Change): void {
    const line: Line =
      change.type === 'DELETED'
        ? { resource, object: tombstone(change.object), deleted: true }
        : { resource, object: change.object };
    if (line.deleted) this.#live.delete(lineKey(line));
    else this.#live.set(lineKey(line), line);
    if (this.#pending.length === 0) setImmediate(() => this.flush());
    this.#pending.push(`${JSON.stringify(line)}\n`);
  }

  flush(): void {
    if (this.#fd === undefined || this.#pending.length === 0) return;
    const text = this.#pending.join('');
    this.#pending = [];
    this.#appended += text.length;
    if (this.#appended > appendedMax) this.#rewrite();
    else writeSync(this.#fd, text);
  }

  close(): void {
    this.flush();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #rewrite(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    const fresh = `${this.#path}.new`;
    writeFileSync(fresh, [...this.#live.values()].map((line) => `${JSON.stringify(line)}\n`).join(''), { mode: 0o600 });
    renameSync(fresh, this.#path);
    this.#fd = openSync(this.#path, 'a', 0o600);
    this.#appended = 0;
  }
}

function parseLine(text: string): Line | undefined {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}

function lineKey({ resource, object }: Line): string {
  return `${resource}/${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

function tombstone({ apiVersion, kind, metadata }: KubernetesObject): KubernetesObject {
  return { apiVersion, kind, metadata };
}
