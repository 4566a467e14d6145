import { type Backoff, backoff, type Clock, type Logger, silentLogger, sleep, systemClock } from '@sluice/runtime';
import type { Table } from '@sluice/state';
import type { KubeClient } from './client.ts';
import { isExpired, isNotFound, KubeError } from './error.ts';
import { isRecord, present } from './field.ts';
import { isOtherHistory, type KnownVersion } from './history.ts';
import { currentVersion, listEach } from './list.ts';
import { objectKey } from './objects/metadata.ts';
import type { Resource } from './resource.ts';
import type { WatchEvent } from './watch-stream.ts';

/** What a reflector writes: a table, or something that keeps less of each row. */
export type RowStore<Row extends object> = Pick<Table<Row>, 'key' | 'get' | 'upsert' | 'delete' | 'markInitialized'> & {
  replaceAll(rows: Iterable<Row>, owned?: (row: Row) => boolean): unknown;
};

export interface ReflectorOptions<Row extends object> {
  readonly client: KubeClient;
  readonly resource: Resource;
  /** Default: all namespaces. */
  readonly namespace?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Object to row; throws where the object cannot be used at all. Rows with `problems` are logged. */
  readonly parse: (object: unknown) => Row;
  readonly table: RowStore<Row>;
  /** Marked as initialised in the table after the first complete list. */
  readonly source: string;
  /** Where several sources write one table: the rows that are ours, which a relist may delete. Default: all. */
  readonly owns?: (row: Row) => boolean;
  /** A server of another version may lack the kind: then the table is complete without it. Default false. */
  readonly optional?: boolean;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface ReflectorStatus {
  readonly source: string;
  /** `waiting`: after an error, until the next attempt. */
  readonly state: 'listing' | 'watching' | 'waiting' | 'stopped';
  /** Whether a complete list was ever in. */
  readonly synced: boolean;
  /** The server does not know the optional kind; it is asked again every now and then. */
  readonly absent: boolean;
  /** Milliseconds since the epoch of the last sign of life: a list, an event, a bookmark. */
  readonly lastContactAt: number | undefined;
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  /** Of the events what became of each kind of change. */
  readonly changes: Readonly<Record<WatchAction, ChangeCount>>;
  readonly failures: number;
  /** Undefined while all is well. */
  readonly lastError: string | undefined;
  /** Objects that could not be used, or not wholly, by their names. */
  readonly problems: ReadonlyMap<string, readonly string[]>;
}

export type WatchAction = 'create' | 'update' | 'delete';

export interface ChangeCount {
  readonly good: number;
  /** Of objects that cannot be used, or not wholly. */
  readonly bad: number;
  /** Milliseconds since the epoch; undefined: never yet. */
  readonly lastAt: number | undefined;
}

/** Keeps a table equal to what the API server has. Fits `lifecycle().add()`. */
export interface Reflector extends AsyncDisposable {
  readonly name: string;
  /** Begins to list and watch; does not wait for the server. */
  start(): void;
  stop(): Promise<void>;
  status(): ReflectorStatus;
  /** Resolves with the first complete list, rejects when stopped before. */
  synced(): Promise<void>;
}

export function reflector<Row extends object>(options: ReflectorOptions<Row>): Reflector {
  return new ListWatch(options);
}

// After as many failed watches from one version we no longer believe in it: the cluster's history may have been restored.
const watchFailuresMax = 3;
// One watch that is not answered may be due to a server that has too much to do, which is not helped by a list.
const silentWatchesMax = 2;
// A server that ends watches at once is not asked again at once.
const watchMinMs = 1_000;
// A watch that lasted so long was a good one, even if nothing happened in it.
const watchGoodMs = 30_000;
const watchSecondsMin = 290;
const historyFailuresMax = 3;
const problemObjectsMax = 1_000;
// A server that lacks a kind learns of it by an upgrade.
const absencePauseMs = 60_000;

const waysLost: ReadonlySet<string> = new Set(['unreachable', 'timeout', 'silent']);

const never: ChangeCount = { good: 0, bad: 0, lastAt: undefined };
const actions = { ADDED: 'create', MODIFIED: 'update', DELETED: 'delete' } as const;

class ListWatch<Row extends object> implements Reflector {
  readonly name: string;
  readonly #options: ReflectorOptions<Row>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  readonly #delays: Backoff;
  readonly #aborter = new AbortController();
  readonly #firstList = Promise.withResolvers<void>();
  // Object to row key where that is not the object's name: a deletion must find its row even when the object no longer
  // parses. Keys mostly are the names, and of some kinds there are 100,000.
  readonly #keys = new Map<string, string>();
  readonly #problems = new Map<string, readonly string[]>();
  readonly #counts = { lists: 0, watches: 0, events: 0, failures: 0 };
  readonly #changes: Record<WatchAction, ChangeCount> = { create: never, update: never, delete: never };
  #running: Promise<void> | undefined;
  #state: ReflectorStatus['state'] = 'stopped';
  #synced = false;
  #absent = false;
  #lastContactAt: number | undefined;
  #lastError: string | undefined;
  #resourceVersion = '';
  /** When we knew of it, in milliseconds since the epoch. */
  #versionAt = 0;
  #watchFailures = 0;
  /** When the server accepted the watch under way. */
  #openedMs: number | undefined;
  /** Whether the server has accepted the last watch. */
  #accepted = false;
  #expired = false;
  /** The way to the server was lost: who answers next may have another history. */
  #lostSight = false;
  /** Since then. */
  #historyFailures = 0;

  constructor(options: ReflectorOptions<Row>) {
    this.name = `reflector-${options.source}`;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#log = (options.log ?? silentLogger).child({ source: options.source });
    this.#delays = backoff({ minMs: 800, maxMs: 30_000, random: this.#random });
    this.#firstList.promise.catch(() => undefined);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#aborter.abort();
    await this.#running;
    this.#state = 'stopped';
    this.#firstList.reject(new KubeError('aborted', `${this.name} was stopped before its first list`));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  synced(): Promise<void> {
    return this.#firstList.promise;
  }

  status(): ReflectorStatus {
    return {
      source: this.#options.source,
      state: this.#state,
      synced: this.#synced,
      absent: this.#absent,
      lastContactAt: this.#lastContactAt,
      ...this.#counts,
      changes: { ...this.#changes },
      lastError: this.#errorNow(),
      problems: this.#problems,
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#aborter;
    while (!signal.aborted) {
      try {
        if (this.#lostSight && this.#resourceVersion !== '') await this.#compareHistory();
        if (this.#resourceVersion === '') await this.#list();
        else await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        await this.#wait(error);
      }
    }
  }

  // A list replaces: what it does not have was deleted, whether or not we heard of it.
  async #list(): Promise<void> {
    const { client, resource, table, source, owns, namespace, fieldSelector, labelSelector } = this.#options;
    const { signal } = this.#aborter;
    this.#state = 'listing';
    const options = { namespace, fieldSelector, labelSelector, patient: false, signal };
    const kept = new Set<string>();
    const keys: [name: string, key: string][] = [];
    // A row at a time becomes of an object all that is kept of it.
    const { rows, resourceVersion } = await listEach(client, resource, options, (object) => {
      const { name, row } = this.#read(object);
      if (this.#problems.has(name)) kept.add(name);
      if (row !== undefined && table.key(row) !== name) keys.push([name, table.key(row)]);
      return row;
    });
    this.#keys.clear();
    for (const [name, key] of keys) this.#keys.set(name, key);
    for (const name of this.#problems.keys()) if (!kept.has(name)) this.#problems.delete(name);
    const current = present(rows);
    table.replaceAll(current, owns);
    this.#reach(resourceVersion);
    this.#watchFailures = 0;
    this.#counts.lists++;
    this.#contact();
    if (!this.#synced) this.#log.info({ objects: current.length }, 'synced');
    this.#synced = true;
    table.markInitialized(source);
    this.#firstList.resolve();
  }

  // A server that was restored from a backup is at an older version than ours, until it has got there again. It would let
  // us watch from there, and we would never hear of what it lost. Versions grow as numbers, which is documented since 1.35.
  async #compareHistory(): Promise<void> {
    const { client, resource, namespace } = this.#options;
    const version = await currentVersion(client, resource, { namespace, patient: false, signal: this.#aborter.signal });
    const known = { version: this.#resourceVersion, at: this.#versionAt };
    const isBack = isNumber(version) && isNumber(known.version) && BigInt(version) < BigInt(known.version);
    const isOther = isBack || (await this.#isOtherHistory(known));
    this.#lostSight = false;
    this.#historyFailures = 0;
    if (!isOther) return;
    this.#log.warn(
      known,
      'the server has another history than the one we know, is it restored from a backup? listed anew',
    );
    this.#resourceVersion = '';
  }

  /** A server that fails at this question alone must not keep us from watching. */
  async #isOtherHistory(known: KnownVersion): Promise<boolean> {
    try {
      return await isOtherHistory(this.#options.client, known, this.#aborter.signal);
    } catch (error) {
      this.#historyFailures++;
      const isAnswered = error instanceof KubeError && error.code === 'status';
      if (!isAnswered || this.#historyFailures < historyFailuresMax) throw error;
      return false;
    }
  }

  async #watch(): Promise<void> {
    const { client, resource, namespace, fieldSelector, labelSelector } = this.#options;
    this.#state = 'watching';
    this.#counts.watches++;
    this.#accepted = false;
    const startedMs = this.#nowMs();
    const events = client.watch(resource, {
      namespace,
      fieldSelector,
      labelSelector,
      resourceVersion: this.#resourceVersion,
      timeoutSeconds: Math.round(watchSecondsMin * (1 + this.#random())),
      onOpen: () => this.#opened(),
      signal: this.#aborter.signal,
    });
    let received = 0;
    try {
      for await (const event of events) {
        received++;
        this.#apply(event);
      }
    } finally {
      if (this.#openedMs !== undefined && this.#nowMs() - this.#openedMs >= watchGoodMs) this.#goesWell();
      this.#openedMs = undefined;
    }
    // The server ended it in good order: go on where we were.
    const lastedMs = this.#nowMs() - startedMs;
    if (lastedMs >= watchMinMs) return;
    if (received === 0) throw new KubeError('malformed', `a watch of ${this.#plural} ended at once, without an event`);
    await sleep(this.#clock, watchMinMs - lastedMs, this.#aborter.signal);
  }

  #apply(event: WatchEvent): void {
    if (event.type !== 'BOOKMARK') {
      this.#counts.events++;
      const isGood = event.type === 'DELETED' ? this.#remove(this.#deletedName(event.object)) : this.#put(event.object);
      this.#count(actions[event.type], isGood);
    }
    if (event.resourceVersion !== '') this.#reach(event.resourceVersion);
    this.#goesWell();
    this.#contact();
  }

  #reach(version: string): void {
    this.#resourceVersion = version;
    this.#versionAt = this.#clock.now();
  }

  #goesWell(): void {
    this.#watchFailures = 0;
    this.#expired = false;
    this.#delays.reset();
  }

  #count(action: WatchAction, isGood: boolean): void {
    const before = this.#changes[action];
    const [good, bad] = isGood ? [before.good + 1, before.bad] : [before.good, before.bad + 1];
    this.#changes[action] = { good, bad, lastAt: this.#clock.now() };
  }

  /** False: it cannot be used, or not wholly. */
  #put(object: unknown): boolean {
    const { name, row, isGood } = this.#read(object);
    // Still there, only unreadable: its last good row serves on.
    if (row === undefined) return isGood;
    const { table } = this.#options;
    const key = table.key(row);
    const before = this.#keyOf(name);
    if (before !== undefined && before !== key) table.delete(before);
    this.#remember(name, key);
    table.upsert(row);
    return isGood;
  }

  #remove(name: string): true {
    const key = this.#keyOf(name);
    this.#keys.delete(name);
    this.#problems.delete(name);
    if (key !== undefined) this.#options.table.delete(key);
    return true;
  }

  #remember(name: string, key: string): void {
    if (key === name) this.#keys.delete(name);
    else this.#keys.set(name, key);
  }

  /** Undefined: under the name stands a row of another source. */
  #keyOf(name: string): string | undefined {
    const { table, owns } = this.#options;
    const key = this.#keys.get(name) ?? name;
    const row = owns && table.get(key);
    return row && !owns(row) ? undefined : key;
  }

  // Whose row to delete must be beyond doubt; a broken watch is taken up again, in the end by a list.
  #deletedName(object: unknown): string {
    const { kind } = this.#options.resource;
    const found = isRecord(object) ? object.kind : undefined;
    if (found !== undefined && found !== kind) {
      throw new KubeError('malformed', `a watch of ${this.#plural} told of a deleted ${String(found).slice(0, 60)}`);
    }
    return this.#nameOf(object);
  }

  // Without a name nobody can say which row is meant, nor which one may stay.
  #nameOf(object: unknown): string {
    const metadata = isRecord(object) && isRecord(object.metadata) ? object.metadata : {};
    const { name, namespace } = metadata;
    if (typeof name !== 'string' || name === '') {
      throw new KubeError('malformed', `${this.#plural}: an object without a name`);
    }
    return objectKey({ name, ...(typeof namespace === 'string' && { namespace }) });
  }

  // In a list, too, an object that cannot be read keeps its last good row.
  #read(object: unknown): { name: string; row: Row | undefined; isGood: boolean } {
    const name = this.#nameOf(object);
    try {
      const row = this.#options.parse(object);
      const problems = problemsOf(row);
      this.#note(name, problems);
      return { name, row, isGood: problems.length === 0 };
    } catch (error) {
      this.#note(name, [error instanceof Error ? error.message : String(error)]);
      const key = this.#keyOf(name);
      return { name, row: key === undefined ? undefined : this.#options.table.get(key), isGood: false };
    }
  }

  #note(name: string, problems: readonly string[]): void {
    const before = this.#problems.get(name);
    if (problems.length === 0) this.#problems.delete(name);
    else if (before !== undefined || this.#problems.size < problemObjectsMax) this.#problems.set(name, problems);
    if (problems.length > 0 && problems.join() !== before?.join()) {
      this.#log.warn({ object: name, problems }, `${this.#options.resource.kind} has parts that cannot be used`);
    }
  }

  async #wait(error: unknown): Promise<void> {
    const listing = this.#resourceVersion === '';
    this.#state = 'waiting';
    if (this.#options.optional && listing && isNotFound(error)) {
      this.#noteAbsence();
      await sleep(this.#clock, absencePauseMs, this.#aborter.signal);
      return;
    }
    this.#lastError = error instanceof Error ? error.message : String(error);
    this.#lostSight ||= error instanceof KubeError && waysLost.has(error.code);
    if (isExpired(error)) {
      // Our version is gone from the history. That is ordinary after an outage, and the list need not wait for it;
      // only when the next watch is told the same, something is wrong with the server.
      this.#resourceVersion = '';
      const first = !this.#expired;
      this.#expired = true;
      if (first && !listing) return;
    } else if (!listing && this.#mustRelist(error)) this.#resourceVersion = '';
    this.#counts.failures++;
    // Ours comes on top, with its jitter: all nodes were told the same.
    const askedMs = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    const delayMs = askedMs + this.#delays.next();
    const fields = { error: this.#lastError, delayMs };
    if (this.#delays.attempts <= 2) this.#log.debug(fields, listing ? 'list failed' : 'watch broke');
    else this.#log.warn(fields, listing ? 'cannot list' : 'cannot watch');
    await sleep(this.#clock, delayMs, this.#aborter.signal);
  }

  // What was synced before stays: a kind does not go away, but a server may be asked before it has all of them.
  #noteAbsence(): void {
    const { table, source, resource } = this.#options;
    if (!this.#absent) this.#log.info(`the API server has no ${resource.kind}: going on without`);
    this.#absent = true;
    this.#lastError = undefined;
    table.markInitialized(source);
  }

  #mustRelist(error: unknown): boolean {
    const { code, status } = error instanceof KubeError ? error : { code: undefined, status: 0 };
    // The event that we could not take: only a list can tell what it was.
    if (code === 'too-large') return true;
    // Not even a bookmark, of which there is one a minute, or not even the head of an answer. A server that was given an
    // older state keeps a watch waiting for a version that it will only have some day (seen with 1.35 and a restored etcd).
    if (code === 'silent') return this.#accepted || ++this.#watchFailures >= silentWatchesMax;
    // The way to the server is at fault, not the version.
    if (code === 'unreachable' || code === 'timeout') return false;
    // A server that has too much to do is not helped by a list.
    if (status === 429 || status === 502 || status === 503) return false;
    this.#watchFailures++;
    return this.#watchFailures >= watchFailuresMax;
  }

  #contact(): void {
    this.#lastContactAt = this.#clock.now();
    this.#lastError = undefined;
    this.#absent = false;
  }

  #opened(): void {
    this.#openedMs = this.#nowMs();
    this.#accepted = true;
    this.#lastContactAt = this.#clock.now();
  }

  // A watch that stands is well, although nothing may happen in it for a long time.
  #errorNow(): string | undefined {
    const stands = this.#openedMs !== undefined && this.#nowMs() - this.#openedMs >= watchMinMs;
    return stands ? undefined : this.#lastError;
  }

  get #plural(): string {
    return this.#options.resource.plural;
  }

  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}

const isNumber = (version: string): boolean => /^\d+$/.test(version);

function problemsOf(row: object): readonly string[] {
  return 'problems' in row && Array.isArray(row.problems) ? row.problems : [];
}
