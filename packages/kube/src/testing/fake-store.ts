import { objectKey } from '../objects/metadata.ts';

export type PlainObject = Record<string, unknown>;

export interface StoredEvent {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: PlainObject;
}

export interface Meta {
  name: string;
  namespace?: string;
  resourceVersion?: string;
  uid?: string;
}

interface Kind {
  readonly objects: Map<string, PlainObject>;
  readonly history: StoredEvent[];
}

/** Objects and their history, as etcd has them; several `FakeApi` may serve one store. */
export class FakeStore {
  readonly #kinds = new Map<string, Kind>();
  readonly #watchers = new Set<() => void>();
  #version = 100;
  /** The oldest version from which a watch can start. */
  compactedTo = 0;

  get version(): number {
    return this.#version;
  }

  /** Adds or replaces an object of a kind, such as `services`. */
  put(plural: string, object: PlainObject): PlainObject {
    const kind = this.#kind(plural);
    const meta = metaOf(object);
    const key = objectKey(meta);
    const before = kind.objects.get(key);
    this.#version++;
    const uid = meta.uid ?? (before ? metaOf(before).uid : `uid-${this.#version}`);
    const stored = { ...object, metadata: { ...meta, uid, resourceVersion: `${this.#version}` } };
    kind.objects.set(key, stored);
    this.#remember(kind, before ? 'MODIFIED' : 'ADDED', stored);
    return stored;
  }

  remove(plural: string, key: string): PlainObject | undefined {
    const kind = this.#kind(plural);
    const object = kind.objects.get(key);
    if (!object) return undefined;
    kind.objects.delete(key);
    this.#version++;
    this.#remember(kind, 'DELETED', {
      ...object,
      metadata: { ...metaOf(object), resourceVersion: `${this.#version}` },
    });
    return object;
  }

  get(plural: string, key: string): PlainObject | undefined {
    return this.#kind(plural).objects.get(key);
  }

  list(plural: string): PlainObject[] {
    return [...this.#kind(plural).objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  eventsAfter(plural: string, version: number): StoredEvent[] {
    return this.#kind(plural).history.filter((event) => event.version > version);
  }

  /** Forgets the history, as a real server does after five minutes. */
  compact(): void {
    for (const { history } of this.#kinds.values()) history.length = 0;
    this.compactedTo = this.#version;
  }

  onChange(watcher: () => void): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  #remember(kind: Kind, type: StoredEvent['type'], object: PlainObject): void {
    kind.history.push({ version: this.#version, type, object });
    for (const watcher of [...this.#watchers]) watcher();
  }

  #kind(plural: string): Kind {
    const kind = this.#kinds.get(plural) ?? { objects: new Map(), history: [] };
    this.#kinds.set(plural, kind);
    return kind;
  }
}

export function metaOf(object: PlainObject): Meta {
  return object.metadata as Meta;
}
