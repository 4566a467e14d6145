import { BpfFormatError } from './format-error.ts';

/** Little-endian reads from one section that refuse to leave it, naming the place. */
export class SectionReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly object: string;
  readonly #section: string;

  constructor(bytes: Uint8Array, place: { readonly object: string; readonly section: string }) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.object = place.object;
    this.#section = place.section;
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(at: number): number {
    return this.#view.getUint8(this.#check(at, 1));
  }

  u16(at: number): number {
    return this.#view.getUint16(this.#check(at, 2), true);
  }

  u32(at: number): number {
    return this.#view.getUint32(this.#check(at, 4), true);
  }

  i32(at: number): number {
    return this.#view.getInt32(this.#check(at, 4), true);
  }

  /** A file offset, size or address: what does not fit a number is damage. */
  u64(at: number): number {
    const value = this.#view.getBigUint64(this.#check(at, 8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.error(at, `${value} is out of range`);
    return Number(value);
  }

  slice(at: number, length: number): Uint8Array {
    this.#check(at, length);
    return this.bytes.subarray(at, at + length);
  }

  /** Text up to the next NUL. */
  string(at: number): string {
    const end = this.bytes.indexOf(0, this.#check(at, 1));
    if (end < 0) throw this.error(at, 'text without an end');
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + at, end - at).toString('utf8');
  }

  error(at: number, problem: string): BpfFormatError {
    return new BpfFormatError({ object: this.object, section: this.#section, offset: at }, problem);
  }

  #check(at: number, length: number): number {
    if (at < 0 || at + length > this.bytes.length) {
      throw this.error(at, `${length} bytes wanted, the section ends at ${this.bytes.length}`);
    }
    return at;
  }
}
