import { Errno, SystemError } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { Command, isPerCpuType, MapType, mapTypeName } from './kernel-constants.ts';
import { checkMapLayout } from './layout-check.ts';
import type { BpfMap } from './map.ts';
import {
  type Batch,
  BatchReader,
  batchCapacity,
  isBatchUnsupported,
  type RowSizes,
  readOneByOne,
  viewOf,
} from './map-batch.ts';
import { type CountedOperation, type MapCounts, mapCounts } from './map-counts.ts';
import type { MapDescriptor } from './spec.ts';

/** `create`: EEXIST when the key is there; `exist`: ENOENT when it is not. */
export type UpdateMode = 'any' | 'create' | 'exist';

/** A map as typed rows; the kernel's and the fake one behave alike (see the compliance tests). */
export interface TypedMap<K, V> {
  readonly descriptor: MapDescriptor<K, V>;
  lookup(key: K): V | undefined;
  update(key: K, value: V, mode?: UpdateMode): void;
  /** False: the key was not there. */
  delete(key: K): boolean;
  /**
   * Every row that is there from beginning to end; rows that come or go meanwhile may be seen or not. Rows may be
   * deleted on the way. Read in batches where the map's type can.
   */
  entries(): IterableIterator<[K, V]>;
  /** Writes in order; on an error the rows before it are written. */
  updateBatch(entries: Iterable<readonly [K, V]>): void;
  /** How many were there; missing ones are passed over. */
  deleteBatch(keys: Iterable<K>): number;
  /** Counts by reading the keys: milliseconds for 100,000 rows. */
  count(): number;
}

/**
 * Typed access to a kernel map. Throws `LayoutMismatchError` when the map's sizes, or the types in its BTF, are not
 * what the descriptor says. Per-CPU maps take `perCpu(descriptor)`. Operations are added to `counts`.
 */
export function openMap<K, V>(map: BpfMap, descriptor: MapDescriptor<K, V>, counts = mapCounts()): TypedMap<K, V> {
  checkMapLayout(map, descriptor);
  return new KernelMap(map, descriptor, counts);
}

const updateFlags: Record<UpdateMode, bigint> = { any: 0n, create: 1n, exist: 2n };

class KernelMap<K, V> implements TypedMap<K, V> {
  readonly descriptor: MapDescriptor<K, V>;
  readonly #map: BpfMap;
  // One key, one value and one attribute block for the map's life: a call then allocates nothing but its result.
  readonly #keyView: DataView;
  readonly #valueView: DataView;
  readonly #attributes: Attributes;
  readonly #deleteAttributes: Attributes;
  readonly #counts: MapCounts;
  #batches = true;
  #room: BatchRoom | undefined;

  constructor(map: BpfMap, descriptor: MapDescriptor<K, V>, counts: MapCounts) {
    this.#counts = counts;
    // An earlier version may have made it of another size.
    this.descriptor = { ...descriptor, maxEntries: map.info.maxEntries };
    this.#map = map;
    const key = new Uint8Array(descriptor.key.size);
    const value = new Uint8Array(descriptor.value.size);
    this.#keyView = new DataView(key.buffer);
    this.#valueView = new DataView(value.buffer);
    this.#attributes = new Attributes(32).u32(0, map.fd).pointer(8, key).pointer(16, value);
    // The kernel refuses a deletion that mentions a value.
    this.#deleteAttributes = new Attributes(16).u32(0, map.fd).pointer(8, key);
  }

  lookup(key: K): V | undefined {
    this.descriptor.key.encode(key, this.#keyView, 0);
    const result = this.#attributes.u64(24, 0n).attempt(Command.mapLookupElem);
    this.#count('lookup', result);
    if (result === -Errno.ENOENT) return undefined;
    if (result < 0) throw this.#error(result, 'look up in');
    return this.descriptor.value.decode(this.#valueView, 0);
  }

  update(key: K, value: V, mode: UpdateMode = 'any'): void {
    this.descriptor.key.encode(key, this.#keyView, 0);
    this.descriptor.value.encode(value, this.#valueView, 0);
    const result = this.#attributes.u64(24, updateFlags[mode]).attempt(Command.mapUpdateElem);
    this.#count('update', result);
    if (result < 0) throw this.#error(result, 'update');
  }

  delete(key: K): boolean {
    this.descriptor.key.encode(key, this.#keyView, 0);
    const result = this.#deleteAttributes.attempt(Command.mapDeleteElem);
    this.#count('delete', result);
    if (result === -Errno.ENOENT) return false;
    if (result < 0) throw this.#error(result, 'delete from');
    return true;
  }

  *entries(): IterableIterator<[K, V]> {
    // The walk of a trie goes on from the last key and starts anew when that one was deleted: read it at one go.
    if (this.descriptor.type === MapType.lpmTrie) yield* [...this.#rows()];
    else yield* this.#rows();
  }

  *#rows(): IterableIterator<[K, V]> {
    const { key, value } = this.descriptor;
    for (const batch of this.#read()) {
      for (let index = 0; index < batch.count; index += 1) {
        yield [key.decode(batch.keys, index * key.size), value.decode(batch.values, index * value.size)];
      }
    }
  }

  count(): number {
    let count = 0;
    for (const batch of this.#read()) count += batch.count;
    return count;
  }

  updateBatch(entries: Iterable<readonly [K, V]>): void {
    const { key, value } = this.descriptor;
    const capacity = batchCapacity(key.size + value.size);
    for (const rows of chunks(entries, capacity)) {
      if (!this.#batches) {
        for (const row of rows) this.update(...row);
        continue;
      }
      const { attributes, keys, values } = this.#roomFor(rows.length);
      let index = 0;
      for (const row of rows) {
        key.encode(row[0], keys, index * key.size);
        value.encode(row[1], values, index * value.size);
        index += 1;
      }
      const { result, done } = attempt(Command.mapUpdateBatch, attributes.u32(32, rows.length));
      this.#counts.update.good += done;
      if (result >= 0) continue;
      const isRefused = done > 0 || !isBatchUnsupported(result);
      if (isRefused) this.#counts.update.failed += 1;
      if (isRefused) throw this.#error(result, `update row ${done} of a batch in`);
      this.#batches = false;
      for (const row of rows) this.update(...row);
    }
  }

  deleteBatch(keys: Iterable<K>): number {
    let deleted = 0;
    for (const chunk of chunks(keys, batchCapacity(this.descriptor.key.size))) {
      deleted += this.#batches ? this.#deleteChunk(chunk) : this.#deleteSingly(chunk);
    }
    return deleted;
  }

  // The kernel stops at a key that is not there, having counted those before it: go on behind it.
  #deleteChunk(chunk: readonly K[]): number {
    const { key } = this.descriptor;
    const keys = new Uint8Array(key.size * chunk.length);
    const view = viewOf(keys);
    for (const [index, item] of chunk.entries()) key.encode(item, view, index * key.size);
    let deleted = 0;
    for (let next = 0; next < chunk.length; ) {
      const attributes = new Attributes(56)
        .pointer(16, keys.subarray(next * key.size))
        .u32(32, chunk.length - next)
        .u32(36, this.#map.fd);
      const { result, done } = attempt(Command.mapDeleteBatch, attributes);
      this.#counts.delete.good += done;
      if (result < 0 && result !== -Errno.ENOENT) {
        const isRefused = done > 0 || !isBatchUnsupported(result);
        if (isRefused) this.#counts.delete.failed += 1;
        if (isRefused) throw this.#error(result, 'delete a batch from');
        this.#batches = false;
        return deleted + this.#deleteSingly(chunk.slice(next));
      }
      deleted += done;
      next += result < 0 ? done + 1 : done;
      if (result >= 0) break;
    }
    return deleted;
  }

  #deleteSingly(chunk: readonly K[]): number {
    return chunk.filter((key) => this.delete(key)).length;
  }

  /** Used again while it is small: to make it takes longer than to fill it. */
  #roomFor(count: number): BatchRoom {
    if (this.#room !== undefined && count <= this.#room.count) return this.#room;
    const { key, value } = this.descriptor;
    const room = batchRoom(this.#map.fd, { key: key.size, value: value.size }, Math.max(count, ROOM_ROWS_KEPT));
    if (count <= ROOM_ROWS_KEPT) this.#room = room;
    return room;
  }

  *#read(): IterableIterator<Batch> {
    const sizes = { key: this.descriptor.key.size, value: this.descriptor.value.size };
    if (this.#batches) {
      const reader = new BatchReader(this.#map, sizes);
      yield* reader.batches();
      if (reader.supported) return;
      this.#batches = false;
    }
    yield* readOneByOne(this.#map, sizes);
  }

  #count(operation: CountedOperation, result: number): void {
    const count = this.#counts[operation];
    const isAbsence = result === -Errno.ENOENT && operation !== 'update';
    if (result >= 0 || isAbsence) count.good += 1;
    else count.failed += 1;
  }

  #error(result: number, action: string): SystemError {
    const { name, type } = this.descriptor;
    const hint = isPerCpuType(type) ? ` (${mapTypeName(type)})` : '';
    // A trie says ENOSPC.
    const isFull = result === -Errno.E2BIG || result === -Errno.ENOSPC;
    const full = isFull ? `, which is full (${this.#map.info.maxEntries} entries)` : '';
    return new SystemError('bpf', -result, `${action} map ${name}${hint}${full}`);
  }
}

function* chunks<T>(items: Iterable<T>, size: number): IterableIterator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length === size) {
      yield chunk;
      chunk = [];
    }
  }
  if (chunk.length > 0) yield chunk;
}

/** The rows of a batch on their way to the kernel. */
interface BatchRoom {
  readonly count: number;
  readonly keys: DataView;
  readonly values: DataView;
  readonly attributes: Attributes;
}

/** As many as most batches have: the slots and backends of a service. */
const ROOM_ROWS_KEPT = 32;

function batchRoom(fd: number, sizes: RowSizes, count: number): BatchRoom {
  const [keys, values] = [new Uint8Array(sizes.key * count), new Uint8Array(sizes.value * count)];
  const attributes = new Attributes(56).pointer(16, keys).pointer(24, values).u32(36, fd);
  return { count, keys: viewOf(keys), values: viewOf(values), attributes };
}

function attempt(command: number, attributes: Attributes): { result: number; done: number } {
  const result = attributes.attempt(command);
  // When the kernel does not know the command it leaves the count as we wrote it.
  return { result, done: isBatchUnsupported(result) ? 0 : attributes.getU32(32) };
}
