import { Errno, SystemError } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { Command } from './kernel-constants.ts';
import type { BpfMap } from './map.ts';

/** `count` rows, back to back. Valid until the next batch is asked for: the memory is used again. */
export interface Batch {
  readonly keys: DataView;
  readonly values: DataView;
  readonly count: number;
}

export interface RowSizes {
  readonly key: number;
  readonly value: number;
}

const BATCH_BYTES = 256 * 1024;
const BATCH_ROWS_MIN = 64;
const BATCH_ROWS_MAX = 4096;

/** Rows per system call: enough to make its cost vanish, few enough to keep the loop's other work waiting little. */
export function batchCapacity(rowBytes: number): number {
  return Math.min(BATCH_ROWS_MAX, Math.max(BATCH_ROWS_MIN, Math.floor(BATCH_BYTES / rowBytes)));
}

/** 524 (ENOTSUPP): the type has no such operation; EINVAL: the kernel has no such command for it. */
export function isBatchUnsupported(result: number): boolean {
  return result === -Errno.ENOTSUPP || result === -Errno.EINVAL || result === -Errno.EOPNOTSUPP;
}

/** Reads a map with BPF_MAP_LOOKUP_BATCH; when the type cannot, yields nothing and says so in `supported`. */
export class BatchReader {
  supported = true;
  readonly #map: BpfMap;
  readonly #sizes: RowSizes;
  #keys = new Uint8Array(0);
  #values = new Uint8Array(0);
  #capacity = 0;

  constructor(map: BpfMap, sizes: RowSizes) {
    this.#map = map;
    this.#sizes = sizes;
    this.#resize(batchCapacity(sizes.key + sizes.value));
  }

  *batches(): IterableIterator<Batch> {
    // Where to go on: a bucket's number in hashes, a key in the other types. The kernel reads and writes it in place.
    const position = new Uint8Array(Math.max(this.#sizes.key, 4));
    let interruptions = 0;
    for (let started = false; ; ) {
      const { result, count } = this.#next(position, started);
      if (result === -Errno.ENOSPC) {
        // One bucket of a hash holds more rows than fit; nothing was read of it.
        this.#resize(this.#capacity * 2);
        continue;
      }
      if (!started && isBatchUnsupported(result)) {
        this.supported = false;
        return;
      }
      // EINTR: rows vanished under a walk that goes by key; what was read counts, and the walk goes on.
      const interrupted = result === -Errno.EINTR && interruptions++ < INTERRUPTIONS_MAX;
      if (result < 0 && result !== -Errno.ENOENT && !interrupted) {
        throw new SystemError('bpf', -result, `read a batch of map ${this.#map.info.name}`);
      }
      if (count > 0) yield { keys: viewOf(this.#keys), values: viewOf(this.#values), count };
      if (result === -Errno.ENOENT) return;
      started ||= count > 0;
    }
  }

  #next(position: Uint8Array, started: boolean): { result: number; count: number } {
    const attributes = new Attributes(56)
      .pointer(0, started ? position : undefined)
      .pointer(8, position)
      .pointer(16, this.#keys)
      .pointer(24, this.#values)
      .u32(32, this.#capacity)
      .u32(36, this.#map.fd);
    const result = attributes.attempt(Command.mapLookupBatch);
    return { result, count: attributes.getU32(32) };
  }

  #resize(capacity: number): void {
    this.#capacity = capacity;
    this.#keys = new Uint8Array(capacity * this.#sizes.key);
    this.#values = new Uint8Array(capacity * this.#sizes.value);
  }
}

const INTERRUPTIONS_MAX = 1000;

/** Reads a map key by key, for types without batches. A row deleted on the way sends the kernel back to the start. */
export function* readOneByOne(map: BpfMap, sizes: RowSizes): IterableIterator<Batch> {
  const key = new Uint8Array(sizes.key);
  const next = new Uint8Array(sizes.key);
  const value = new Uint8Array(sizes.value);
  const walk = new Attributes(32).u32(0, map.fd).pointer(16, next);
  const lookup = new Attributes(32).u32(0, map.fd).pointer(8, next).pointer(16, value);
  // Restarts could repeat rows for as long as others delete: bounded, and each row is given once.
  const seen = new Set<string>();
  for (let steps = 0; steps <= map.info.maxEntries * 2; steps += 1) {
    const result = walk.attempt(Command.mapGetNextKey);
    if (result === -Errno.ENOENT) return;
    if (result < 0) throw new SystemError('bpf', -result, `walk map ${map.info.name}`);
    key.set(next);
    if (steps === 0) walk.pointer(8, key);
    const name = Buffer.from(next).toString('latin1');
    if (seen.has(name)) continue;
    seen.add(name);
    const found = lookup.attempt(Command.mapLookupElem);
    if (found === 0) yield { keys: viewOf(key), values: viewOf(value), count: 1 };
    else if (found !== -Errno.ENOENT) throw new SystemError('bpf', -found, `look up in map ${map.info.name}`);
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
