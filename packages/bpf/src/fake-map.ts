import { Errno, SystemError } from '@sluice/ffi';
import { isArrayType, isLruType, MapType, mapTypeName } from './kernel-constants.ts';
import type { Codec, MapDescriptor } from './spec.ts';
import type { TypedMap, UpdateMode } from './typed-map.ts';

export type MapOperation = 'lookup' | 'update' | 'delete' | 'entries';

export interface FakeMapOptions<K> {
  /** Asked before each row's operation; a returned errno name makes it fail. */
  readonly faults?: (operation: MapOperation, key: K | undefined) => keyof typeof Errno | undefined;
}

/**
 * A map in memory that behaves like the kernel's: limits, errors, eviction, longest prefix. Rows pass through the
 * codecs, so that a test meets what the bytes cannot hold. Per-CPU maps take `perCpu(descriptor)`.
 */
export function createFakeMap<K, V>(descriptor: MapDescriptor<K, V>, options: FakeMapOptions<K> = {}): TypedMap<K, V> {
  return new FakeMap(descriptor, options);
}

interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

class FakeMap<K, V> implements TypedMap<K, V> {
  readonly descriptor: MapDescriptor<K, V>;
  readonly #options: FakeMapOptions<K>;
  /** By key bytes, in the order of insertion: the first is the LRU's next victim. */
  readonly #rows = new Map<string, Row>();

  constructor(descriptor: MapDescriptor<K, V>, options: FakeMapOptions<K>) {
    this.descriptor = descriptor;
    this.#options = options;
    if (isArrayType(descriptor.type)) this.#fillArray();
  }

  lookup(key: K): V | undefined {
    this.#fault('lookup', key);
    const bytes = encode(this.descriptor.key, key);
    const row = this.descriptor.type === MapType.lpmTrie ? this.#longestPrefix(bytes) : this.#rows.get(nameOf(bytes));
    return row && decode(this.descriptor.value, row.value);
  }

  update(key: K, value: V, mode: UpdateMode = 'any'): void {
    this.#fault('update', key);
    const bytes = encode(this.descriptor.key, key);
    const row = { key: bytes, value: encode(this.descriptor.value, value) };
    const name = nameOf(this.#identityOf(bytes));
    const present = this.#rows.has(name);
    if (isArrayType(this.descriptor.type)) this.#checkArrayUpdate(present, mode);
    if (present && mode === 'create') throw this.#error('EEXIST', 'update');
    if (!present && mode === 'exist') throw this.#error('ENOENT', 'update');
    if (!present) this.#makeRoom();
    this.#rows.set(name, row);
  }

  delete(key: K): boolean {
    this.#fault('delete', key);
    if (isArrayType(this.descriptor.type)) throw this.#error('EINVAL', 'delete from');
    return this.#rows.delete(nameOf(this.#identityOf(encode(this.descriptor.key, key))));
  }

  *entries(): IterableIterator<[K, V]> {
    this.#fault('entries', undefined);
    for (const row of [...this.#rows.values()]) {
      yield [decode(this.descriptor.key, row.key), decode(this.descriptor.value, row.value)];
    }
  }

  updateBatch(entries: Iterable<readonly [K, V]>): void {
    for (const [key, value] of entries) this.update(key, value);
  }

  deleteBatch(keys: Iterable<K>): number {
    let deleted = 0;
    for (const key of keys) if (this.delete(key)) deleted += 1;
    return deleted;
  }

  count(): number {
    return this.#rows.size;
  }

  #fillArray(): void {
    const value = new Uint8Array(this.descriptor.value.size);
    for (let index = 0; index < this.descriptor.maxEntries; index += 1) {
      const key = new Uint8Array(Uint32Array.of(index).buffer);
      this.#rows.set(nameOf(key), { key, value });
    }
  }

  #checkArrayUpdate(present: boolean, mode: UpdateMode): void {
    if (!present) throw this.#error('E2BIG', 'update');
    if (mode === 'create') throw this.#error('EEXIST', 'update');
  }

  #makeRoom(): void {
    const { type, maxEntries } = this.descriptor;
    if (this.#rows.size < maxEntries) return;
    if (!isLruType(type)) throw this.#error(type === MapType.lpmTrie ? 'ENOSPC' : 'E2BIG', 'update');
    // The kernel evicts about the oldest; tests that need to know which one would be wrong about it, too.
    const oldest = this.#rows.keys().next();
    if (oldest.done !== true) this.#rows.delete(oldest.value);
  }

  // A trie knows a key by the bits of its prefix; those behind it do not count, but it keeps them as they were written.
  #identityOf(key: Uint8Array): Uint8Array {
    if (this.descriptor.type !== MapType.lpmTrie) return key;
    const bits = this.#prefixLength(key);
    return maskBits(key, bits);
  }

  #longestPrefix(key: Uint8Array): Row | undefined {
    const bitsMax = this.#prefixLength(key);
    for (let bits = bitsMax; bits >= 0; bits -= 1) {
      const candidate = maskBits(key, bits);
      new DataView(candidate.buffer).setUint32(0, bits, true);
      const row = this.#rows.get(nameOf(candidate));
      if (row !== undefined) return row;
    }
    return undefined;
  }

  #prefixLength(key: Uint8Array): number {
    const bits = new DataView(key.buffer).getUint32(0, true);
    if (bits > (key.byteLength - PREFIX_LENGTH_BYTES) * 8) throw this.#error('EINVAL', 'use a prefix too long for');
    return bits;
  }

  #fault(operation: MapOperation, key: K | undefined): void {
    const code = this.#options.faults?.(operation, key);
    if (code !== undefined) throw this.#error(code, operation);
  }

  #error(code: keyof typeof Errno, action: string): SystemError {
    const { name, type, maxEntries } = this.descriptor;
    const full = code === 'E2BIG' || code === 'ENOSPC' ? `, which is full (${maxEntries} entries)` : '';
    return new SystemError('bpf', Errno[code], `${action} map ${name} (fake ${mapTypeName(type)})${full}`);
  }
}

const PREFIX_LENGTH_BYTES = 4;

function maskBits(key: Uint8Array, bits: number): Uint8Array {
  const masked = Uint8Array.from(key);
  const whole = PREFIX_LENGTH_BYTES + Math.floor(bits / 8);
  if (whole < masked.byteLength) {
    masked[whole] = (masked[whole] ?? 0) & (0xff00 >> (bits % 8));
    masked.fill(0, whole + 1);
  }
  return masked;
}

function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const bytes = new Uint8Array(codec.size);
  codec.encode(value, new DataView(bytes.buffer), 0);
  return bytes;
}

function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  return codec.decode(new DataView(bytes.buffer), 0);
}

function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
