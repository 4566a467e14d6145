import { addressOf, bpf, SystemError } from '@sluice/ffi';

/**
 * A `union bpf_attr`: fields by offset, in the machine's (little endian) order. It refers to every buffer that it
 * points to, so that none is collected before the call has returned.
 */
export class Attributes {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #buffers: Uint8Array[] = [];

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  u64(offset: number, value: bigint): this {
    this.#view.setBigUint64(offset, value, true);
    return this;
  }

  /** A null pointer for an absent or empty buffer. */
  pointer(offset: number, buffer: Uint8Array | undefined): this {
    if (buffer === undefined || buffer.byteLength === 0) return this.u64(offset, 0n);
    this.#buffers.push(buffer);
    return this.u64(offset, addressOf(buffer));
  }

  /** A pointer to NUL-terminated text. */
  text(offset: number, text: string): this {
    return this.pointer(offset, new Uint8Array(Buffer.from(`${text}\0`)));
  }

  /** An object's name in place: 15 characters of [A-Za-z0-9_.], the rest is cut off or replaced. */
  name(offset: number, name: string): this {
    const acceptable = name.replaceAll(/[^A-Za-z0-9_.]/g, '_').slice(0, OBJECT_NAME_CHARACTERS_MAX);
    this.bytes.set(Buffer.from(acceptable), offset);
    return this;
  }

  getU32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  getU64(offset: number): bigint {
    return this.#view.getBigUint64(offset, true);
  }

  /** The result, or the negative errno. */
  attempt(command: number): number {
    return bpf(command, this.bytes);
  }

  /** The result, or an error that says what was attempted: `bpf create map "frontends": EPERM`. */
  call(command: number, action: string): number {
    const result = this.attempt(command);
    if (result < 0) throw new SystemError('bpf', -result, action);
    return result;
  }
}

const OBJECT_NAME_CHARACTERS_MAX = 15;
