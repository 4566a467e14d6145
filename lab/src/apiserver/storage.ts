import { deepFreeze, type KubernetesObject } from './object.ts';

/** One write, as the history keeps it. */
export interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubernetesObject;
  readonly previous: KubernetesObject | undefined;
}

export interface ObjectKey {
  namespace: string;
  name: string;
}

/** An object with the resource it is stored under. */
export interface Located {
  readonly resource: string;
  readonly object: KubernetesObject;
}

export interface LocatedChange extends Change {
  readonly resource: string;
}

interface Collection {
  /** Namespace (empty for cluster-scoped) to name to object. */
  readonly byNamespace: Map<string, Map<string, KubernetesObject>>;
  history: Change[];
  /** Versions up to here are no longer in the history. */
  compacted: number;
  readonly watchers: Set<Watcher>;
}

interface Watcher {
  readonly after: number;
  readonly listener: (change: Change) => void;
}

/** Changes kept per resource before the older half is forgotten: watchers that are further behind must list again. */
const historyMax = 2000;

/**
 * The objects, one global version counter, a bounded history and who watches. Knows nothing of kinds.
 * Listeners hear of a change in a microtask after the write, in order of versions.
 */
export class Storage {
  #version: number;
  readonly #collections = new Map<string, Collection>();
  readonly #byOwner = new Map<string, Set<KubernetesObject>>();
  readonly #byUid = new Map<string, Located>();
  readonly #everywhere = new Set<(change: LocatedChange) => void>();
  readonly #undelivered: { collection: Collection; change: LocatedChange }[] = [];
  readonly #onChange: ((resource: string, change: Change) => void) | undefined;
  readonly #historyMax: number;
  #compactedAll = 0;

  constructor(
    options: { version?: number; historyMax?: number; onChange?: (resource: string, change: Change) => void } = {},
  ) {
    this.#version = options.version ?? 1;
    this.#historyMax = options.historyMax ?? historyMax;
    this.#onChange = options.onChange;
  }

  get version(): number {
    return this.#version;
  }

  get(resource: string, key: ObjectKey): KubernetesObject | undefined {
    return this.#collections.get(resource)?.byNamespace.get(key.namespace)?.get(key.name);
  }

  /** Objects of one namespace or, without it, of all. */
  *objects(resource: string, namespace?: string): IterableIterator<KubernetesObject> {
    const collection = this.#collections.get(resource);
    if (!collection) return;
    if (namespace !== undefined) {
      yield* collection.byNamespace.get(namespace)?.values() ?? [];
      return;
    }
    for (const names of collection.byNamespace.values()) yield* names.values();
  }

  /** The list as it was at `version`, or `undefined` when the history does not reach back. */
  objectsAt(resource: string, version: number, namespace?: string): KubernetesObject[] | undefined {
    const collection = this.#collection(resource);
    if (version < collection.compacted) return undefined;
    const state = new Map<string, KubernetesObject>();
    for (const object of this.objects(resource, namespace)) state.set(keyText(object), object);
    for (const change of collection.history.toReversed()) {
      if (change.version <= version) break;
      if (namespace !== undefined && (change.object.metadata.namespace ?? '') !== namespace) continue;
      if (change.previous) state.set(keyText(change.object), change.previous);
      else state.delete(keyText(change.object));
    }
    return [...state.values()];
  }

  /** Objects that name this uid among their owners, of all resources. */
  ownedBy(uid: string): readonly KubernetesObject[] {
    return [...(this.#byOwner.get(uid) ?? [])];
  }

  byUid(uid: string): Located | undefined {
    return this.#byUid.get(uid);
  }

  /** Stores the object under a new version, which it gets as resourceVersion, and freezes it. */
  put(resource: string, object: KubernetesObject): KubernetesObject {
    const version = ++this.#version;
    object.metadata.resourceVersion = String(version);
    const previous = this.#place(resource, deepFreeze(object));
    this.#record(resource, { version, type: previous ? 'MODIFIED' : 'ADDED', object, previous });
    return object;
  }

  /** Puts back what a journal kept: no version, no event. */
  restore(resource: string, object: KubernetesObject): void {
    this.#place(resource, deepFreeze(object));
    this.#version = Math.max(this.#version, Number(object.metadata.resourceVersion));
  }

  /** Everything before now is forgotten: watches from older versions get 410. */
  compact(): void {
    this.#compactedAll = this.#version;
    for (const collection of this.#collections.values()) {
      collection.history = [];
      collection.compacted = this.#version;
    }
  }

  remove(resource: string, key: ObjectKey): KubernetesObject | undefined {
    const names = this.#collections.get(resource)?.byNamespace.get(key.namespace);
    const previous = names?.get(key.name);
    if (!names || !previous) return undefined;
    names.delete(key.name);
    if (names.size === 0) this.#collection(resource).byNamespace.delete(key.namespace);
    this.#index(previous, undefined);
    this.#byUid.delete(previous.metadata.uid);
    const version = ++this.#version;
    const object = deepFreeze({ ...previous, metadata: { ...previous.metadata, resourceVersion: String(version) } });
    this.#record(resource, { version, type: 'DELETED', object, previous });
    return object;
  }

  /** Changes after a version, oldest first; `undefined` when the history does not reach back that far. */
  changesSince(resource: string, version: number): readonly Change[] | undefined {
    const { history, compacted } = this.#collection(resource);
    if (version < compacted) return undefined;
    return history.slice(history.findLastIndex((change) => change.version <= version) + 1);
  }

  compactedVersion(resource: string): number {
    return this.#collection(resource).compacted;
  }

  /** Calls for every change after now. */
  watch(resource: string, listener: (change: Change) => void): Disposable {
    const { watchers } = this.#collection(resource);
    const watcher = { after: this.#version, listener };
    watchers.add(watcher);
    return { [Symbol.dispose]: () => void watchers.delete(watcher) };
  }

  /** Calls for every change of every resource after now. */
  watchAll(listener: (change: LocatedChange) => void): Disposable {
    this.#everywhere.add(listener);
    return { [Symbol.dispose]: () => void this.#everywhere.delete(listener) };
  }

  #place(resource: string, object: KubernetesObject): KubernetesObject | undefined {
    const { byNamespace } = this.#collection(resource);
    const namespace = object.metadata.namespace ?? '';
    const names = byNamespace.get(namespace) ?? new Map<string, KubernetesObject>();
    byNamespace.set(namespace, names);
    const previous = names.get(object.metadata.name);
    names.set(object.metadata.name, object);
    this.#index(previous, object);
    this.#byUid.set(object.metadata.uid, { resource, object });
    return previous;
  }

  #index(previous: KubernetesObject | undefined, next: KubernetesObject | undefined): void {
    for (const { uid } of previous?.metadata.ownerReferences ?? []) {
      const owned = this.#byOwner.get(uid);
      if (previous) owned?.delete(previous);
      if (owned?.size === 0) this.#byOwner.delete(uid);
    }
    for (const { uid } of next?.metadata.ownerReferences ?? []) {
      const owned = this.#byOwner.get(uid) ?? new Set();
      if (next) owned.add(next);
      this.#byOwner.set(uid, owned);
    }
  }

  #record(resource: string, change: Change): void {
    const collection = this.#collection(resource);
    collection.history.push(change);
    if (collection.history.length > this.#historyMax) {
      const forgotten = collection.history.splice(0, collection.history.length >> 1);
      collection.compacted = forgotten.at(-1)?.version ?? collection.compacted;
    }
    this.#onChange?.(resource, change);
    if (collection.watchers.size === 0 && this.#everywhere.size === 0) return;
    if (this.#undelivered.length === 0) queueMicrotask(() => this.#deliver());
    this.#undelivered.push({ collection, change: { ...change, resource } });
  }

  /** Listeners may write: their changes join the end of the queue. */
  #deliver(): void {
    for (let next = this.#undelivered[0]; next !== undefined; next = this.#undelivered[0]) {
      const { collection, change } = next;
      for (const watcher of [...collection.watchers])
        if (change.version > watcher.after && collection.watchers.has(watcher)) notify(watcher.listener, change);
      for (const listener of [...this.#everywhere]) notify(listener, change);
      this.#undelivered.shift();
    }
  }

  #collection(resource: string): Collection {
    let collection = this.#collections.get(resource);
    if (!collection) {
      collection = { byNamespace: new Map(), history: [], compacted: this.#compactedAll, watchers: new Set() };
      this.#collections.set(resource, collection);
    }
    return collection;
  }
}

/** A listener that throws does not rob the others of the change. */
function notify(listener: (change: LocatedChange) => void, change: LocatedChange): void {
  try {
    listener(change);
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}

function keyText(object: KubernetesObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
