/**
 * Maglev tables in the kernel: rows of `maglev`, in chunks under a generation of a frontend. A table is made when it is
 * written and not kept: the same backends give the same one.
 */
import { crc32 } from 'node:zlib';
import type { TypedMap } from '@sluice/bpf';
import { type MaglevChunk, type MaglevKey, maglevMap } from '@sluice/datapath';
import { isSystemError } from '@sluice/ffi';
import type { DesiredFrontend } from './frontend.ts';
import { maglevBackendsMax, maglevTable } from './maglev-table.ts';

export interface MaglevSettings {
  /** `maglev.tableSize` */
  readonly tableSize: number;
  /** Of `maglev.hashSeed` what tables are made from. */
  readonly seed: number;
}

export interface FoundChunk extends MaglevKey {
  /** Undamaged, and made from our seed. */
  readonly isWhole: boolean;
}

type Generation = Pick<MaglevKey, 'serviceId' | 'generation'>;

/** As C has it: all of a chunk but its checksum. */
export const maglevChunkSlots = maglevMap.value.decode(new DataView(new ArrayBuffer(maglevMap.value.size)), 0).slots
  .length;

/** The same backends behind a service's NodePort and its address, in two families: one table made for each. */
const RECENT_MAX = 2;

export class MaglevTables {
  readonly #map: TypedMap<MaglevKey, MaglevChunk>;
  readonly #settings: MaglevSettings;
  /** Keys of frontends. */
  readonly #withoutRoom = new Set<string>();
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

  /** Why a frontend that asks for a table has none; undefined: it has. */
  whyNone({ key, algorithm, backends }: DesiredFrontend): string | undefined {
    if (algorithm !== 'maglev') return undefined;
    if (this.#withoutRoom.has(key)) return 'the map maglev has no room for its table';
    if (backends.length <= this.#backendsMax) return undefined;
    return `${backends.length} backends do not find room in a table of ${this.#settings.tableSize} (maglev.tableSize)`;
  }

  /**
   * Entries of the table that was written for a frontend's new generation. One that finds no room is done without:
   * nobody must be led to backends that are gone because of it.
   */
  write(generation: Generation, desired: DesiredFrontend): number {
    this.#withoutRoom.delete(desired.key);
    const size = this.sizeFor(desired);
    if (size === 0) return 0;
    const table = this.#tableOf(desired.backends.map(({ key }) => key));
    try {
      this.#map.updateBatch(maglevKeys(generation, size).map((key) => [key, this.#chunkOf(table, key.chunk)] as const));
      return size;
    } catch (error) {
      this.delete(generation, size);
      if (!isSystemError(error, 'E2BIG')) throw error;
      this.#withoutRoom.add(desired.key);
      return 0;
    }
  }

  /** The frontend is gone. */
  leave(key: string): void {
    this.#withoutRoom.delete(key);
  }

  delete(generation: Generation, size: number): void {
    this.#map.deleteBatch(maglevKeys(generation, size));
  }

  /** Every chunk that the kernel has. */
  read(): FoundChunk[] {
    return Array.from(this.#map.entries(), ([key, { slots, checksum }]) => ({
      ...key,
      isWhole: this.#checksumOf(slots) === checksum,
    }));
  }

  deleteChunks(chunks: readonly MaglevKey[]): void {
    this.#map.deleteBatch(chunks);
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
    const slots = new Uint16Array(maglevChunkSlots);
    slots.set(table.subarray(chunk * maglevChunkSlots, (chunk + 1) * maglevChunkSlots));
    return { slots, checksum: this.#checksumOf(slots) };
  }

  #checksumOf(slots: Uint16Array): number {
    return crc32(new Uint8Array(slots.buffer, slots.byteOffset, slots.byteLength), this.#settings.seed);
  }
}

/** Of the map `maglev` where every service has tables: 14,563 of the default size. Its rows take memory when they are written. */
export const maglevRowsForAll = 131_072;

export function chunkCount(size: number): number {
  return Math.ceil(size / maglevChunkSlots);
}

function maglevKeys({ serviceId, generation }: Generation, size: number): MaglevKey[] {
  return Array.from({ length: chunkCount(size) }, (_, chunk) => ({ serviceId, generation, chunk }));
}
