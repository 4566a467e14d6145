import { Errno, SystemError } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { Command, isArrayType, isPerCpuType, MapType } from './kernel-constants.ts';
import type { BpfMap } from './map.ts';
import { type Batch, BatchReader, readOneByOne } from './map-batch.ts';
import { perCpuValueBytes, possibleCpus } from './per-cpu.ts';
import type { FieldsPlan, numberIn } from './row-plan.ts';
import { type RetryOptions, writeRow } from './row-write.ts';

export interface MigratedRows {
  /** Taken over by this call. */
  readonly kept: number;
  /** A number did not fit into its smaller field, or the new map is full. */
  readonly lost: number;
}

export interface TransferPlan {
  readonly from: BpfMap;
  readonly to: BpfMap;
  readonly key: FieldsPlan;
  readonly value: FieldsPlan;
  readonly ages: Readonly<Record<'from' | 'to', ReturnType<typeof numberIn>>>;
  /** Of a row of `from`: what it stands for has ended, which the new map must hear of. */
  readonly isOver: (row: DataView, offset: number) => boolean;
}

/**
 * Rows of one map for one of another layout, taken over in turns while programs work on them. It remembers what it has
 * taken over: who removes such a row from the new map has done so knowingly, and it does not come back.
 */
export class RowTransfer {
  readonly #plan: TransferPlan;
  readonly #sizes: Readonly<Record<'from' | 'to', number>>;
  readonly #cpus: number;
  readonly #key: Uint8Array;
  readonly #value: Uint8Array;
  readonly #present: DataView;
  readonly #write: (flags: bigint) => number;
  readonly #look: Attributes;
  readonly #delete: Attributes;
  /** Ages of the rows that were taken over, by their keys in the new map. */
  readonly #taken = new Map<string, bigint>();
  /** Of these, rows that had come to their end. */
  readonly #over = new Set<string>();

  constructor(plan: TransferPlan, retry?: RetryOptions) {
    const { from, to } = plan;
    this.#plan = plan;
    this.#cpus = isPerCpuType(from.info.type) ? possibleCpus() : 1;
    this.#sizes = { from: valueBytes(from), to: valueBytes(to) };
    this.#key = new Uint8Array(to.info.keySize);
    this.#value = new Uint8Array(this.#sizes.to);
    const present = new Uint8Array(this.#sizes.to);
    this.#present = new DataView(present.buffer);
    const writes = new Map(
      [ANY, NOEXIST, EXIST].map((flags) => [
        flags,
        new Attributes(32).u32(0, to.fd).pointer(8, this.#key).pointer(16, this.#value).u64(24, flags),
      ]),
    );
    this.#write = (flags) => writeRow(() => writes.get(flags)?.attempt(Command.mapUpdateElem) ?? -Errno.EINVAL, retry);
    this.#look = new Attributes(32).u32(0, to.fd).pointer(8, this.#key).pointer(16, present);
    this.#delete = new Attributes(32).u32(0, to.fd).pointer(8, this.#key);
  }

  /**
   * As long as no program works on the new map: all rows as they are now, and again what has changed since. A table that evicts
   * rows gets none a second time that it has given up.
   */
  fill(): MigratedRows {
    return this.#copy((taken, age) => this.#write(taken === age ? EXIST : ANY));
  }

  /**
   * When programs work on it: rows that were never taken over, and those that have come to their end since. A key that was
   * given to another row meanwhile is the younger one's, in whichever map that is.
   */
  complete(): MigratedRows {
    // The rows of an array are always there.
    if (isArrayType(this.#plan.to.info.type)) return { kept: 0, lost: 0 };
    return this.#copy((taken, age, hasEnded) => {
      if (taken === age) return hasEnded && this.#ageOfPresent() === age ? this.#write(EXIST) : undefined;
      const result = this.#write(NOEXIST);
      if (result !== -Errno.EEXIST) return result;
      const present = this.#ageOfPresent();
      return present !== undefined && present < age ? this.#write(ANY) : result;
    });
  }

  /**
   * Once no program works on the former map: rows that were taken over, and that it had lost by then. Only where rows have an
   * age can they be told from those that the new programs have made since. Returns how many.
   */
  prune(): number {
    const { from, ages } = this.#plan;
    if (!ages.from || !ages.to) return 0;
    const gone = new Map(this.#taken);
    for (const { count, keys } of rowsOf(from, this.#sizes.from))
      for (let row = 0; row < count; row += 1) {
        this.#plan.key.copy(keys, row * from.info.keySize, this.#begin(), 0);
        gone.delete(this.#name());
      }
    let pruned = 0;
    for (const [name, age] of gone) {
      this.#key.set(Buffer.from(name, 'latin1'));
      if (this.#look.attempt(Command.mapLookupElem) < 0 || ages.to(this.#present, 0) !== age) continue;
      if (this.#delete.attempt(Command.mapDeleteElem) >= 0) pruned += 1;
    }
    return pruned;
  }

  /**
   * `write` says what became of a row: the kernel's result, or undefined where nothing was to be done. `hasEnded`: since it was
   * taken over last.
   */
  #copy(write: (taken: bigint | undefined, age: bigint, hasEnded: boolean) => number | undefined): MigratedRows {
    const { from, to, key, value, ages, isOver } = this.#plan;
    const { from: fromBytes, to: toBytes } = this.#sizes;
    const valueView = new DataView(this.#value.buffer);
    let [kept, lost] = [0, 0];
    for (const { count, keys, values } of ordered(rowsOf(from, fromBytes), this.#plan))
      for (let row = 0; row < count; row += 1) {
        const keyView = this.#begin();
        let fits = key.copy(keys, row * from.info.keySize, keyView, 0);
        for (let cpu = 0; cpu < this.#cpus; cpu += 1) {
          const at = row * fromBytes + (cpu * fromBytes) / this.#cpus;
          fits = value.copy(values, at, valueView, (cpu * toBytes) / this.#cpus) && fits;
        }
        const name = this.#name();
        const age = ages.from?.(values, row * fromBytes) ?? 0n;
        const taken = this.#taken.get(name);
        const over = isOver(values, row * fromBytes);
        const result = fits ? write(taken, age, over && !this.#over.has(name)) : -Errno.E2BIG;
        if (result === undefined) continue;
        if (result === -Errno.E2BIG || result === -Errno.ENOSPC) lost += 1;
        else if (result >= 0 || result === -Errno.EEXIST || result === -Errno.ENOENT) {
          this.#taken.set(name, age);
          if (over) this.#over.add(name);
          else this.#over.delete(name);
          kept += 1;
        } else throw new SystemError('bpf', -result, `write a row of the former layout into map ${to.info.name}`);
      }
    return { kept, lost };
  }

  /** Zeros, for the next row. */
  #begin(): DataView {
    this.#key.fill(0);
    this.#value.fill(0);
    return new DataView(this.#key.buffer);
  }

  #name(): string {
    return Buffer.from(this.#key.buffer).toString('latin1');
  }

  /** Of the row that the new map has under this key; undefined: there is none, or rows have no age. */
  #ageOfPresent(): bigint | undefined {
    const { from, to } = this.#plan.ages;
    return from && to && this.#look.attempt(Command.mapLookupElem) >= 0 ? to(this.#present, 0) : undefined;
  }
}

const [ANY, NOEXIST, EXIST] = [0n, 1n, 2n];

/** Into a table that evicts, a row of long ago may come in the place of a young one: the oldest come first. */
function* ordered(batches: Iterable<Batch>, { from, to, ages }: TransferPlan): IterableIterator<Batch> {
  if (to.info.type !== MapType.lruHash || !ages.from) return yield* batches;
  const [keyBytes, rowBytes] = [from.info.keySize, valueBytes(from)];
  const rows: (Batch & { readonly age: bigint })[] = [];
  // A batch lasts until the next one is asked for.
  for (const { count, keys, values } of batches)
    for (let row = 0; row < count; row += 1) {
      const age = ages.from(values, row * rowBytes);
      const [key, value] = [copyOf(keys, row * keyBytes, keyBytes), copyOf(values, row * rowBytes, rowBytes)];
      rows.push({ age, count: 1, keys: key, values: value });
    }
  yield* rows.sort((left, right) => (left.age < right.age ? -1 : left.age > right.age ? 1 : 0));
}

function copyOf({ buffer, byteOffset }: DataView, offset: number, length: number): DataView {
  return new DataView(buffer.slice(byteOffset + offset, byteOffset + offset + length));
}

const valueBytes = ({ info }: BpfMap): number =>
  isPerCpuType(info.type) ? perCpuValueBytes(info.valueSize) : info.valueSize;

function* rowsOf(map: BpfMap, value: number): IterableIterator<Batch> {
  const sizes = { key: map.info.keySize, value };
  const reader = new BatchReader(map, sizes);
  yield* reader.batches();
  if (!reader.supported) yield* readOneByOne(map, sizes);
}
