import { close, duplicate, type MappedMemory, mapMemory, pageBytes, watchReadable } from '@sluice/ffi';
import { MapType, mapTypeName } from './kernel-constants.ts';
import type { BpfMap } from './map.ts';
import type { TypedMap } from './typed-map.ts';

export interface RingBufferOptions {
  /**
   * Where programs count the records that found the ring full: per-CPU array or hash of u64, opened with `perCpu`.
   * The kernel itself counts none.
   */
  readonly losses?: TypedMap<number, readonly bigint[]>;
  /** A record that the callback failed on; the next ones follow. Default: thrown as uncaught. */
  readonly onError?: (error: unknown) => void;
  /** Whether the reader alone keeps the process alive. Default false. */
  readonly keepAlive?: boolean;
  /** See WatchOptions: the kernel does not wake a reader that has not read what came before. Default 0. */
  readonly restMs?: number;
}

export interface RingBuffer extends Disposable {
  /** Reads what is there without waiting for the kernel's wake-up; returns how many records. */
  drain(): number;
  /** Records lost for want of room since the programs were loaded. */
  lost(): bigint;
}

/**
 * Hands each record of a ring buffer to `onRecord`, on the main loop, in order. The view is the shared memory itself:
 * it is valid during the call only, and nobody may write to it.
 */
export function openRingBuffer(
  map: BpfMap,
  onRecord: (record: DataView) => void,
  options: RingBufferOptions = {},
): RingBuffer {
  if (map.info.type !== MapType.ringbuf) {
    throw new TypeError(`map ${map.info.name} is a ${mapTypeName(map.info.type)}, not a ringbuf`);
  }
  return new MappedRing(map, onRecord, options);
}

const BUSY = 1 << 31;
const DISCARDED = 1 << 30;
const HEADER_BYTES = 8;
/** Records a turn of the loop: other work gets its chance in a flood; what is left wakes us again. */
const RECORDS_A_TURN_MAX = 16_384;

class MappedRing implements RingBuffer {
  readonly #fd: number;
  readonly #watch: Disposable;
  readonly #memory: readonly MappedMemory[];
  readonly #onRecord: (record: DataView) => void;
  readonly #options: RingBufferOptions;
  readonly #consumerPosition: BigUint64Array;
  readonly #producerPosition: BigUint64Array;
  /** The data twice in a row, so that a record which wraps is in one piece. */
  readonly #data: ArrayBuffer;
  readonly #dataOffset: number;
  readonly #headers: Int32Array;
  readonly #mask: number;
  /** Bytes consumed since the map was made: as a double it is exact for 9 petabytes. */
  #consumed: number;
  #disposed = false;

  constructor(map: BpfMap, onRecord: (record: DataView) => void, options: RingBufferOptions) {
    const size = map.info.maxEntries;
    const page = pageBytes();
    using stack = new DisposableStack();
    this.#fd = stack.adopt(duplicate(map.fd), close);
    // The first page is ours to write; the second (the producer's position) and the data are read-only.
    const consumer = stack.use(mapMemory({ fd: this.#fd, length: page, writable: true }));
    const producer = stack.use(mapMemory({ fd: this.#fd, length: page + 2 * size, offset: page }));
    this.#memory = [consumer, producer];
    this.#consumerPosition = new BigUint64Array(consumer.buffer, 0, 1);
    this.#producerPosition = new BigUint64Array(producer.buffer, 0, 1);
    this.#data = producer.buffer;
    this.#dataOffset = page;
    this.#headers = new Int32Array(producer.buffer, page);
    this.#mask = size - 1;
    this.#consumed = Number(Atomics.load(this.#consumerPosition, 0));
    this.#onRecord = onRecord;
    this.#options = options;
    this.#watch = watchReadable(this.#fd, () => this.drain(), {
      keepAlive: options.keepAlive ?? false,
      restMs: options.restMs ?? 0,
      ...(options.onError === undefined ? {} : { onError: options.onError }),
    });
    stack.move();
  }

  drain(): number {
    let records = 0;
    while (!this.#disposed && records < RECORDS_A_TURN_MAX) {
      const produced = Number(Atomics.load(this.#producerPosition, 0));
      if (this.#consumed >= produced) break;
      const read = this.#readUntil(produced, RECORDS_A_TURN_MAX - records);
      records += read;
      // Nothing came of it: the next record is still being written, and its end will wake us.
      if (read === 0) break;
    }
    return records;
  }

  lost(): bigint {
    let lost = 0n;
    for (const [, counts] of this.#options.losses?.entries() ?? []) for (const count of counts) lost += count;
    return lost;
  }

  // Returns the records passed, discarded ones among them.
  #readUntil(produced: number, recordsMax: number): number {
    let records = 0;
    while (this.#consumed < produced && records < recordsMax) {
      const offset = this.#consumed & this.#mask;
      let header = Atomics.load(this.#headers, offset >> 2);
      if ((header & BUSY) !== 0) {
        // The writer wakes us only if it finds our position at its record: tell it first, then look again, or a
        // record finished in between would wait for the next one.
        this.#release();
        header = Atomics.load(this.#headers, offset >> 2);
        if ((header & BUSY) !== 0) return records;
      }
      const length = header & ~DISCARDED;
      this.#consumed += HEADER_BYTES + Math.ceil(length / 8) * 8;
      records += 1;
      if ((header & DISCARDED) === 0) {
        this.#handOver(new DataView(this.#data, this.#dataOffset + offset + HEADER_BYTES, length));
        if (this.#disposed) return records;
      }
    }
    this.#release();
    return records;
  }

  #handOver(record: DataView): void {
    try {
      this.#onRecord(record);
    } catch (error) {
      const report = this.#options.onError ?? throwUncaught;
      report(error);
    }
  }

  #release(): void {
    Atomics.store(this.#consumerPosition, 0, BigInt(this.#consumed));
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
    this.#watch[Symbol.dispose]();
    for (const memory of this.#memory) memory[Symbol.dispose]();
    close(this.#fd);
  }
}

function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
