import { sameValue } from './freeze.ts';
import type { ReadableTable } from './table.ts';

/** What a reconciler sees of what is wanted, be it a table or a function of several. */
export interface Desired<Row> {
  readonly size: number;
  readonly initialized: boolean;
  get(key: string): Row | undefined;
  keys(): Iterable<string>;
  all(): ReadonlyMap<string, Row>;
  /** Computes anew; subscribers hear of the keys that differ. A table is always fresh. */
  refresh(): void;
  /** Keys that changed; none: it became initialised. */
  subscribe(subscriber: (keys: readonly string[]) => void): Disposable;
}

export function desiredFrom<Row>(
  source: ReadableTable<Row> | (() => ReadonlyMap<string, Row>),
  initialized: (() => boolean) | undefined,
): Desired<Row> {
  return typeof source === 'function' ? computedDesired(source, initialized ?? (() => true)) : tableDesired(source);
}

function tableDesired<Row>(table: ReadableTable<Row>): Desired<Row> {
  return {
    get size() {
      return table.size;
    },
    get initialized() {
      return table.initialized;
    },
    get: (key) => table.get(key),
    keys: () => table.keys(),
    all: () => entriesOf(table),
    refresh: () => undefined,
    subscribe: (subscriber) => table.subscribe((changes) => subscriber(changes.map((change) => change.key))),
  };
}

function computedDesired<Row>(compute: () => ReadonlyMap<string, Row>, initialized: () => boolean): Desired<Row> {
  const subscribers = new Set<(keys: readonly string[]) => void>();
  let current = compute();
  return {
    get size() {
      return current.size;
    },
    get initialized() {
      return initialized();
    },
    get: (key) => current.get(key),
    keys: () => current.keys(),
    all: () => current,
    refresh() {
      const before = current;
      current = compute();
      const keys = differingKeys(before, current);
      for (const subscriber of subscribers) subscriber(keys);
    },
    subscribe(subscriber) {
      subscribers.add(subscriber);
      return { [Symbol.dispose]: () => void subscribers.delete(subscriber) };
    },
  };
}

function differingKeys<Row>(before: ReadonlyMap<string, Row>, after: ReadonlyMap<string, Row>): string[] {
  const keys = [...before.keys()].filter((key) => !after.has(key));
  for (const [key, row] of after) if (!sameValue(before.get(key), row)) keys.push(key);
  return keys;
}

function entriesOf<Row>(table: ReadableTable<Row>): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>();
  for (const key of table.keys()) {
    const row = table.get(key);
    if (row !== undefined) rows.set(key, row);
  }
  return rows;
}
