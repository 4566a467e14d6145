import { deepFreeze, sameValue } from './freeze.ts';

/** What a table holds and how it shows itself. */
export interface TableDefinition<Row> {
  readonly name: string;
  readonly key: (row: Row) => string;
  /** Named look-ups; a row may stand under several values of one index. */
  readonly indexes?: Readonly<Record<string, (row: Row) => readonly string[]>>;
  /** Header to text, in the order in which people read them. */
  readonly columns: Readonly<Record<string, (row: Row) => string>>;
  /** Sources whose initial content must be in before anything may be pruned; see `initialized`. */
  readonly sources?: readonly string[];
  /** When an upsert changes nothing; default: deep equality. */
  readonly equal?: (a: Row, b: Row) => boolean;
}

export interface Change<Row> {
  readonly key: string;
  readonly before: Row | undefined;
  /** Undefined: the row is gone. */
  readonly after: Row | undefined;
}

/** The side of a table that readers, derived tables and reconcilers see. */
export interface ReadableTable<Row> {
  readonly name: string;
  readonly size: number;
  /** Grows by one with every change. */
  readonly revision: number;
  /** Whether every source has delivered its initial content. */
  readonly initialized: boolean;
  get(key: string): Row | undefined;
  has(key: string): boolean;
  keys(): IterableIterator<string>;
  list(): Row[];
  /** Calls back after each write with what changed, and with no changes when the table becomes initialised. */
  subscribe(subscriber: (changes: readonly Change<Row>[]) => void): Disposable;
}

/**
 * Immutable rows by key. Rows are frozen and replaced, never written into; equal rows are not a change. A subscriber may
 * write: its changes reach everyone after the present ones. All subscribers are called even when one throws; the write
 * then throws what they threw, with the table intact.
 */
export class Table<Row extends object> implements ReadableTable<Row> {
  readonly #definition: TableDefinition<Row>;
  readonly #rows = new Map<string, Row>();
  readonly #indexes = new Map<string, Map<string, Set<string>>>();
  readonly #subscribers = new Set<(changes: readonly Change<Row>[]) => void>();
  readonly #awaited: Set<string>;
  readonly #pending: (readonly Change<Row>[])[] = [];
  #delivering = false;
  #anySource = false;
  #revision = 0;

  constructor(definition: TableDefinition<Row>) {
    this.#definition = definition;
    this.#awaited = new Set(definition.sources);
    for (const name of Object.keys(definition.indexes ?? {})) this.#indexes.set(name, new Map());
  }

  get name(): string {
    return this.#definition.name;
  }

  get columns(): Readonly<Record<string, (row: Row) => string>> {
    return this.#definition.columns;
  }

  get size(): number {
    return this.#rows.size;
  }

  get revision(): number {
    return this.#revision;
  }

  /** True once every declared source, and at least one, is marked: an empty table that nobody filled is not known. */
  get initialized(): boolean {
    return this.#anySource && this.#awaited.size === 0;
  }

  /** Declared sources that have not delivered their initial content. */
  get awaitedSources(): readonly string[] {
    return [...this.#awaited];
  }

  key(row: Row): string {
    return this.#definition.key(row);
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  keys(): IterableIterator<string> {
    return this.#rows.keys();
  }

  list(): Row[] {
    return [...this.#rows.values()];
  }

  /** The rows that stand under a value of an index. */
  by(index: string, value: string): Row[] {
    const values = this.#indexes.get(index);
    if (!values) throw new TypeError(`table ${this.name} has no index ${index}`);
    const rows: Row[] = [];
    for (const key of values.get(value) ?? []) {
      const row = this.#rows.get(key);
      if (row) rows.push(row);
    }
    return rows;
  }

  /** Adds or replaces a row; false when an equal one is there already. */
  upsert(row: Row): boolean {
    const change = this.#put(row);
    if (change) this.#deliver([change]);
    return change !== undefined;
  }

  /** False when there was no such row. */
  delete(key: string): boolean {
    const change = this.#remove(key);
    if (change) this.#deliver([change]);
    return change !== undefined;
  }

  /**
   * Makes the table hold exactly these rows, in one step for subscribers. With `owned`, only rows for which it is true
   * are deleted when absent: several sources share one table. Of two rows with one key the later stays.
   */
  replaceAll(rows: Iterable<Row>, owned: (row: Row) => boolean = () => true): readonly Change<Row>[] {
    const changes: Change<Row>[] = [];
    const present = new Set<string>();
    for (const row of rows) {
      present.add(this.#definition.key(row));
      const change = this.#put(row);
      if (change) changes.push(change);
    }
    for (const [key, row] of this.#rows) {
      if (present.has(key) || !owned(row)) continue;
      const change = this.#remove(key);
      if (change) changes.push(change);
    }
    if (changes.length > 0) this.#deliver(changes);
    return changes;
  }

  /** Says that a source has delivered all it had; a second time changes nothing. */
  markInitialized(source: string): void {
    const before = this.initialized;
    this.#anySource = true;
    this.#awaited.delete(source);
    if (this.initialized && !before) this.#deliver([]);
  }

  subscribe(subscriber: (changes: readonly Change<Row>[]) => void): Disposable {
    this.#subscribers.add(subscriber);
    return { [Symbol.dispose]: () => void this.#subscribers.delete(subscriber) };
  }

  #put(row: Row): Change<Row> | undefined {
    const key = this.#definition.key(row);
    const before = this.#rows.get(key);
    const equal = this.#definition.equal ?? sameValue;
    if (before !== undefined && equal(before, row)) return undefined;
    const after = deepFreeze(row);
    if (before !== undefined) this.#unindex(key, before);
    this.#rows.set(key, after);
    this.#index(key, after);
    this.#revision++;
    return { key, before, after };
  }

  #remove(key: string): Change<Row> | undefined {
    const before = this.#rows.get(key);
    if (before === undefined) return undefined;
    this.#unindex(key, before);
    this.#rows.delete(key);
    this.#revision++;
    return { key, before, after: undefined };
  }

  #index(key: string, row: Row): void {
    for (const [name, values] of this.#indexes) {
      for (const value of this.#indexed(name, row)) {
        const keys = values.get(value);
        if (keys) keys.add(key);
        else values.set(value, new Set([key]));
      }
    }
  }

  #unindex(key: string, row: Row): void {
    for (const [name, values] of this.#indexes) {
      for (const value of this.#indexed(name, row)) {
        const keys = values.get(value);
        keys?.delete(key);
        if (keys?.size === 0) values.delete(value);
      }
    }
  }

  #indexed(name: string, row: Row): readonly string[] {
    return this.#definition.indexes?.[name]?.(row) ?? [];
  }

  // Subscribers that write do not nest: each set of changes reaches everyone before the next one does.
  #deliver(changes: readonly Change<Row>[]): void {
    this.#pending.push(changes);
    if (this.#delivering) return;
    this.#delivering = true;
    const errors: unknown[] = [];
    for (let next = this.#pending.shift(); next; next = this.#pending.shift()) {
      for (const subscriber of [...this.#subscribers]) {
        try {
          subscriber(next);
        } catch (error) {
          errors.push(error);
        }
      }
    }
    this.#delivering = false;
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, `subscribers of table ${this.name} failed`);
  }
}
