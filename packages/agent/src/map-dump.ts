import {
  backendStateNames,
  ctKindNames,
  ctStateNames,
  type Datapath,
  type DropReason,
  directionNames,
  dropReasonText,
  isSocketMap,
  type TypedMap,
} from '@sluice/datapath';
import { protocolName } from '@sluice/model';
import { paced } from './paced.ts';
import { QueryError } from './query.ts';
import type { MapRow } from './report.ts';

export interface MapDumpOptions {
  readonly datapath: Datapath;
  /** In C. */
  readonly name: string;
  readonly limit: number;
  /** The values of all CPUs, where each has its own; else their sum, where all of it is counts. */
  readonly isPerCpu: boolean;
}

/** A map's entries, as far as the limit goes. Throws QueryError for a map that has none. */
export function dumpMap({ datapath, name, limit, isPerCpu }: MapDumpOptions): AsyncGenerator<MapRow> {
  return paced(Iterator.from(rowsOf(datapath, name, isPerCpu)).take(limit));
}

function* rowsOf(datapath: Datapath, name: string, isPerCpu: boolean): Generator<MapRow> {
  for (const [key, value] of entriesOf(datapath, name)) {
    const values = Array.isArray(value) && !isPerCpu ? summed(value) : value;
    yield { key: readable(name, key), value: readable(name, values) };
  }
}

function entriesOf(datapath: Datapath, name: string): Iterable<readonly [unknown, unknown]> {
  // Socket storage: no key leads to all of it, an iterator in the kernel does.
  if (isSocketMap(name)) {
    return datapath
      .inspection()
      .translations(name)
      .map(({ socketCookie, translation }) => [{ socketCookie }, translation]);
  }
  const map: TypedMap<unknown, unknown> | undefined = datapath.anyMap(name);
  if (map === undefined) throw new QueryError(`no map ${name}`);
  if (map.descriptor.keySize === 0) {
    throw new QueryError(`map ${name} is a ring of events, not a table: \`sluice monitor\` shows them as they come`);
  }
  return map.entries();
}

type Numbers = Readonly<Record<string, number | bigint>>;

/** Of counts the sum; what is more than counts stays a value for each CPU. */
function summed(values: readonly unknown[]): unknown {
  if (values.every((value) => typeof value === 'number' || typeof value === 'bigint')) return sum(values);
  if (!values.every(isCounts)) return values;
  const [first] = values;
  return (
    first && Object.fromEntries(Object.keys(first).map((field) => [field, sum(values.map((each) => each[field] ?? 0))]))
  );
}

function isCounts(value: unknown): value is Numbers {
  return typeof value === 'object' && value !== null && Object.values(value).every((each) => typeof each === 'bigint');
}

function sum(values: readonly (number | bigint)[]): bigint {
  return values.reduce<bigint>((total, value) => total + BigInt(value), 0n);
}

type Names = (value: number) => string | undefined;

const named =
  (names: Readonly<Record<number, string>>): Names =>
  (value) =>
    names[value];

/** Numbers that stand for words, by map and field; one without a word stays the number. */
const words: Readonly<Record<string, Readonly<Record<string, Names>>>> = {
  backends: { protocol: protocolName, state: named(backendStateNames) },
  conntrack: { protocol: protocolName, state: named(ctStateNames), kind: named(ctKindNames) },
  conntrack_new: { protocol: protocolName, state: named(ctStateNames), kind: named(ctKindNames) },
  counters: { reason: (value) => dropReasonText[value as DropReason]?.text, direction: named(directionNames) },
  frontends: { protocol: protocolName },
};

/** Bytes as hexadecimal, words for numbers. */
function readable(map: string, value: unknown, field = ''): unknown {
  if (typeof value === 'number') return words[map]?.[field]?.(value) ?? value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Uint16Array) return [...value];
  if (Array.isArray(value)) return value.map((each) => readable(map, each, field));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, readable(map, each, name)]));
}
