/** Rows of a map for one of another layout: what an upgrade does, so that it need not throw connections away. */
import { Errno, SystemError } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import type { Btf } from './btf.ts';
import { Command, isArrayType, isPerCpuType, MapType, mapTypeName } from './kernel-constants.ts';
import { layoutsCompatible, layoutText } from './layout.ts';
import { readMapBtf } from './layout-check.ts';
import { LayoutMismatchError } from './layout-mismatch-error.ts';
import type { BpfMap } from './map.ts';
import { type Batch, BatchReader, readOneByOne } from './map-batch.ts';
import { perCpuValueBytes, possibleCpus } from './per-cpu.ts';
import { type FieldsPlan, numberIn, planFields } from './row-plan.ts';
import type { MapSpec } from './spec.ts';

export interface MapMigration {
  /** Fields that rows lose, and those that they get, as `planFields` names them. */
  readonly lost: readonly string[];
  readonly added: readonly string[];
  /** All rows of `from` into `to`, or some of them. */
  copy(from: BpfMap, to: BpfMap, which: 'all' | Meanwhile): MigratedRows;
}

/**
 * What has come into the former map after a copy: rows whose key is not there; and where rows have an age
 * (`ageField`), also those made since then that are younger than the row of their key in the new map.
 */
export interface Meanwhile {
  /** In the field's own measure. */
  readonly since: bigint;
}

export interface MigrationOptions {
  /** When a row was made, where the values have such a field: the larger the younger. */
  readonly ageField?: string;
}

export interface MigratedRows {
  readonly kept: number;
  /** A number did not fit into its smaller field, or the new map is full. */
  readonly lost: number;
}

/** Whether programs of an object can work on the map as it is, and understand its rows. */
export function isMapReusable(map: BpfMap, spec: MapSpec, btf: Btf): boolean {
  const { info } = map;
  const shape = (of: Pick<MapSpec, 'type' | 'keySize' | 'valueSize' | 'flags'>) =>
    `${of.type} ${of.keySize} ${of.valueSize} ${of.flags}`;
  if (shape(info) !== shape(spec)) return false;
  // A hash of another size works as it is; programs are verified against the bounds of an array.
  if (isArrayType(info.type) && info.maxEntries !== spec.maxEntries) return false;
  const own = readMapBtf(map);
  if (own === undefined) return true;
  const same = (left: number, right: number) =>
    left === 0 || right === 0 || layoutsCompatible(layoutText(own, left), layoutText(btf, right));
  return same(info.keyTypeId, spec.keyTypeId) && same(info.valueTypeId, spec.valueTypeId);
}

/** Their rows can be read and written. */
const withRows: readonly number[] = [
  MapType.hash,
  MapType.array,
  MapType.percpuHash,
  MapType.percpuArray,
  MapType.lruHash,
  MapType.lruPercpuHash,
  MapType.lpmTrie,
];

/**
 * Of a map that another version has made, told by the types that the kernel keeps of it. Throws LayoutMismatchError
 * where it has none, its rows are of another sort, its key lost a field, or a field changed beyond recognition.
 */
export function planMigration(
  map: BpfMap,
  spec: MapSpec,
  btf: Btf,
  { ageField = '' }: MigrationOptions = {},
): MapMigration {
  const { info } = map;
  const own = readMapBtf(map);
  const refuse = (expected: string, actual: string) => new LayoutMismatchError({ map: spec.name, expected, actual });
  if (
    !withRows.includes(info.type) ||
    !withRows.includes(spec.type) ||
    isPerCpuType(info.type) !== isPerCpuType(spec.type)
  )
    throw refuse(mapTypeName(spec.type), mapTypeName(info.type));
  if (own === undefined || info.keyTypeId === 0 || info.valueTypeId === 0)
    throw refuse('a map that the kernel knows the types of', 'one that was made without');
  const plan = (from: number, to: number) => {
    const [actual, expected] = [layoutText(own, from), layoutText(btf, to)];
    try {
      return planFields(actual, expected);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw refuse(`${expected}\n${error.message}`, actual);
    }
  };
  const key = plan(info.keyTypeId, spec.keyTypeId);
  const value = plan(info.valueTypeId, spec.valueTypeId);
  if (key.lost.length > 0)
    throw refuse(`a key that keeps its field ${key.lost.join(', ')}`, layoutText(own, info.keyTypeId));
  const ages = {
    from: numberIn(layoutText(own, info.valueTypeId), ageField),
    to: numberIn(layoutText(btf, spec.valueTypeId), ageField),
  };
  return {
    lost: value.lost,
    added: [...key.added, ...value.added],
    copy: (from, to, which) => copyRows({ from, to, key, value, ages }, which),
  };
}

interface Plan {
  readonly from: BpfMap;
  readonly to: BpfMap;
  readonly key: FieldsPlan;
  readonly value: FieldsPlan;
  readonly ages: Readonly<Record<'from' | 'to', ReturnType<typeof numberIn>>>;
}

function copyRows({ from, to, key, value, ages }: Plan, which: 'all' | Meanwhile): MigratedRows {
  // The rows of an array are always there.
  if (which !== 'all' && isArrayType(to.info.type)) return { kept: 0, lost: 0 };
  const cpus = isPerCpuType(from.info.type) ? possibleCpus() : 1;
  const [fromBytes, toBytes] = [valueBytes(from), valueBytes(to)];
  const target = { key: new Uint8Array(to.info.keySize), value: new Uint8Array(toBytes) };
  const [keyView, valueView] = [new DataView(target.key.buffer), new DataView(target.value.buffer)];
  const present = { key: target.key, value: new Uint8Array(toBytes) };
  const presentView = new DataView(present.value.buffer);
  const write = (flags: bigint) =>
    new Attributes(32).u32(0, to.fd).pointer(8, target.key).pointer(16, target.value).u64(24, flags);
  const [put, add] = [write(0n), write(NOEXIST)];
  const look = new Attributes(32).u32(0, to.fd).pointer(8, present.key).pointer(16, present.value);
  /** The key was given to another while rows were copied: what is in the new map is the former one's. */
  const isYounger = (row: DataView, at: number) => {
    const age = which === 'all' ? undefined : ages.from?.(row, at);
    if (age === undefined || which === 'all' || age < which.since || !ages.to) return false;
    return look.attempt(Command.mapLookupElem) >= 0 && ages.to(presentView, 0) < age;
  };
  let [kept, lost] = [0, 0];
  for (const batch of ordered(rowsOf(from, fromBytes), { from, to, age: ages.from, which })) {
    for (let row = 0; row < batch.count; row += 1) {
      target.key.fill(0);
      target.value.fill(0);
      let fits = key.copy(batch.keys, row * from.info.keySize, keyView, 0);
      for (let cpu = 0; cpu < cpus; cpu += 1) {
        const at = row * fromBytes + (cpu * fromBytes) / cpus;
        fits = value.copy(batch.values, at, valueView, (cpu * toBytes) / cpus) && fits;
      }
      let result = fits ? writeRow(which === 'all' ? put : add) : -Errno.E2BIG;
      if (result === -Errno.EEXIST && isYounger(batch.values, row * fromBytes)) result = writeRow(put);
      if (result >= 0 || result === -Errno.EEXIST) kept += 1;
      else if (result === -Errno.E2BIG || result === -Errno.ENOSPC) lost += 1;
      else throw new SystemError('bpf', -result, `write a row of the former layout into map ${to.info.name}`);
    }
  }
  return { kept, lost };
}

interface Order extends Pick<Plan, 'from' | 'to'> {
  readonly age: Plan['ages']['from'];
  readonly which: 'all' | Meanwhile;
}

/**
 * Into a table that evicts no row of long ago may come in the place of a young one: the oldest come first, and those that it
 * has given up since the first copy not again.
 */
function* ordered(batches: Iterable<Batch>, { from, to, age, which }: Order): IterableIterator<Batch> {
  if (to.info.type !== MapType.lruHash || !age) return yield* batches;
  const [keyBytes, rowBytes] = [from.info.keySize, valueBytes(from)];
  const since = which === 'all' ? 0n : which.since;
  const rows: (Batch & { readonly age: bigint })[] = [];
  // A batch lasts until the next one is asked for.
  for (const { count, keys, values } of batches)
    for (let row = 0; row < count; row += 1) {
      const made = age(values, row * rowBytes);
      if (made < since) continue;
      const [key, value] = [copyOf(keys, row * keyBytes, keyBytes), copyOf(values, row * rowBytes, rowBytes)];
      rows.push({ age: made, count: 1, keys: key, values: value });
    }
  yield* rows.sort((left, right) => (left.age < right.age ? -1 : left.age > right.age ? 1 : 0));
}

function copyOf({ buffer, byteOffset }: DataView, offset: number, length: number): DataView {
  return new DataView(buffer.slice(byteOffset + offset, byteOffset + offset + length));
}

const NOEXIST = 1n;

/**
 * Rows of a hash that is not allocated beforehand come from a small store of each CPU (bpf_mem_alloc in the kernel), which is
 * filled again from an interrupt: who writes faster than that is told that there is no memory, and there is a moment later.
 */
const attemptsMax = 1_000;
const refillMs = 1;

function writeRow(write: Attributes): number {
  for (let attempt = 1; ; attempt += 1) {
    const result = write.attempt(Command.mapUpdateElem);
    if (result !== -Errno.ENOMEM || attempt === attemptsMax) return result;
    Atomics.wait(nobodyWakes, 0, 0, refillMs);
  }
}

const nobodyWakes = new Int32Array(new SharedArrayBuffer(4));

const valueBytes = ({ info }: BpfMap): number =>
  isPerCpuType(info.type) ? perCpuValueBytes(info.valueSize) : info.valueSize;

function* rowsOf(map: BpfMap, value: number): IterableIterator<Batch> {
  const sizes = { key: map.info.keySize, value };
  const reader = new BatchReader(map, sizes);
  yield* reader.batches();
  if (!reader.supported) yield* readOneByOne(map, sizes);
}
