/**
 * Maglev tables in the kernel: rows of `maglev`, in chunks under a generation of a frontend. A table is made when it is
 * written and not kept: the same backends give the same one.
 */
import { crc32 } from 'node:zlib';
import type { TypedMap } from '@sluice/bpf';
import { type MaglevChunk, type MaglevKey, maglevMap } from '@sluice/datapath';
import type { DesiredFrontend } from './frontend.ts';
import { maglevBackendsMax, maglevTable } from './maglev-table.ts';

export interface MaglevSettings {
  /** `maglev.tableSize` */
  readonly tableSize: number;
  /** Of `maglev.hashSeed` what tables are made from. */
  readonly seed: number;
}

type Generation = Pick<MaglevKey, 'serviceId' | 'generation'>;

/** As C has it: all of a chunk but its checksum. */
const chunkSlots = maglevMap.value.decode(new DataView(new ArrayBuffer(maglevMap.value.size)), 0).slots.length;

/** The same backends behind a service's NodePort and its address, in two families: one table made for each. */
const RECENT_MAX = 2;

export class MaglevTables {
  readonly #map: TypedMap<MaglevKey, MaglevChunk>;
  readonly #settings: MaglevSettings;
  /** By the names of the backends, until `forget`. */
  readonly #recent = new Map<string, Uint16Array>();

  constructor(map: TypedMap<MaglevKey, MaglevChunk>, settings: MaglevSettings) {
    this.#map = map;
    this.#settings = settings;
  }

  /** Entries of the table that a frontend is to have; 0: none. Of one backend there is nothing to choose. */
  sizeFor({ algorithm, backends }: Pick<DesiredFrontend, 'algorithm' | 'backends'>): number {
    if (algorithm !== 'maglev' || backends.length <= 1) return 0;
    return backends.length > this.#backendsMax ? 0 : this.#settings.tableSize;
  }

  /** Why a frontend that asks for a table cannot have one; undefined: it can. */
  problemOf({ algorithm, backends }: Pick<DesiredFrontend, 'algorithm' | 'backends'>): string | undefined {
    if (algorithm !== 'maglev' || backends.length <= this.#backendsMax) return undefined;
    return `${backends.length} backends do not find room in a table of ${this.#settings.tableSize} (maglev.tableSize)`;
  }

  /** Of the backends with these keys, in the order of their slots. */
  write({ serviceId, generation }: Generation, backendKeys: readonly string[]): void {
    const table = this.#tableOf(backendKeys);
    const keys = maglevKeys({ serviceId, generation }, table.length);
    this.#map.updateBatch(keys.map((key) => [key, this.#chunkOf(table, key.chunk)] as const));
  }

  delete(generation: Generation, size: number): void {
    this.#map.deleteBatch(maglevKeys(generation, size));
  }

  /** Of each chunk that is undamaged and made from our seed. */
  *read(): Generator<Generation> {
    for (const [key, { slots, checksum }] of this.#map.entries()) {
      if (this.#checksumOf(slots) === checksum) yield key;
    }
  }

  /** How many chunks that were. */
  deleteWhere(isOrphan: (generation: Generation) => boolean): number {
    return this.#map.deleteBatch([...this.#map.entries()].map(([key]) => key).filter(isOrphan));
  }

  /** Frees the memory of tables made lately. */
  forget(): void {
    this.#recent.clear();
  }

  get #backendsMax(): number {
    return Math.min(this.#settings.tableSize, maglevBackendsMax);
  }

  #tableOf(backendKeys: readonly string[]): Uint16Array {
    const name = backendKeys.join();
    const { tableSize: size, seed } = this.#settings;
    const table = this.#recent.get(name) ?? maglevTable(backendKeys, { size, seed });
    this.#recent.delete(name);
    this.#recent.set(name, table);
    for (const [oldest] of this.#recent) {
      if (this.#recent.size <= RECENT_MAX) break;
      this.#recent.delete(oldest);
    }
    return table;
  }

  #chunkOf(table: Uint16Array, chunk: number): MaglevChunk {
    const slots = new Uint16Array(chunkSlots);
    slots.set(table.subarray(chunk * chunkSlots, (chunk + 1) * chunkSlots));
    return { slots, checksum: this.#checksumOf(slots) };
  }

  #checksumOf(slots: Uint16Array): number {
    return crc32(new Uint8Array(slots.buffer, slots.byteOffset, slots.byteLength), this.#settings.seed);
  }
}

export function chunkCount(size: number): number {
  return Math.ceil(size / chunkSlots);
}

function maglevKeys({ serviceId, generation }: Generation, size: number): MaglevKey[] {
  return Array.from({ length: chunkCount(size) }, (_, chunk) => ({ serviceId, generation, chunk }));
}
