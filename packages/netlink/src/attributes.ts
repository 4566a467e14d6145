import { malformed } from './error.ts';
import { aligned } from './message.ts';

const headerBytes = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER sit in the type's upper bits. */
const typeMask = 0x3fff;
const nestedFlag = 0x8000;

/** Collects a fixed header and attributes behind it into one message body. */
export class AttributeWriter {
  readonly #parts: Uint8Array[] = [];

  constructor(header: Uint8Array = new Uint8Array(0)) {
    this.#parts.push(header);
  }

  bytes(type: number, value: Uint8Array): this {
    const attribute = new Uint8Array(aligned(headerBytes + value.length));
    const view = new DataView(attribute.buffer);
    view.setUint16(0, headerBytes + value.length, true);
    view.setUint16(2, type, true);
    attribute.set(value, headerBytes);
    this.#parts.push(attribute);
    return this;
  }

  u8(type: number, value: number): this {
    return this.bytes(type, Uint8Array.of(value));
  }

  u32(type: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return this.bytes(type, bytes);
  }

  u16Be(type: number, value: number): this {
    return this.bytes(type, Uint8Array.of(value >> 8, value & 0xff));
  }

  string(type: number, value: string): this {
    return this.bytes(type, Buffer.from(`${value}\0`));
  }

  nested(type: number, fill: (inner: AttributeWriter) => void, header?: Uint8Array): this {
    const inner = new AttributeWriter(header);
    fill(inner);
    return this.bytes(type | nestedFlag, inner.finish());
  }

  finish(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

/** Read access to decoded attributes by type; absent ones are undefined, ill-sized ones an error. */
export class Attributes {
  readonly #values: ReadonlyMap<number, Uint8Array>;

  constructor(values: ReadonlyMap<number, Uint8Array>) {
    this.#values = values;
  }

  bytes(type: number): Uint8Array | undefined {
    return this.#values.get(type);
  }

  u8(type: number): number | undefined {
    return this.#sized(type, 1)?.getUint8(0);
  }

  u16Be(type: number): number | undefined {
    return this.#sized(type, 2)?.getUint16(0, false);
  }

  u32(type: number): number | undefined {
    return this.#sized(type, 4)?.getUint32(0, true);
  }

  i32(type: number): number | undefined {
    return this.#sized(type, 4)?.getInt32(0, true);
  }

  string(type: number): string | undefined {
    const value = this.#values.get(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return Buffer.from(value.subarray(0, end < 0 ? value.length : end)).toString('utf8');
  }

  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type);
    return value === undefined ? undefined : decodeAttributes(value);
  }

  #sized(type: number, size: number): DataView | undefined {
    const value = this.#values.get(type);
    if (value === undefined) return undefined;
    if (value.length < size) throw malformed(`attribute ${type} has ${value.length} bytes instead of ${size}`);
    return new DataView(value.buffer, value.byteOffset, value.byteLength);
  }
}

/** Attributes from `offset` on; where a type comes twice, the last one counts, as in the kernel. */
export function decodeAttributes(body: Uint8Array, offset = 0): Attributes {
  if (offset > body.length) throw malformed(`${body.length} bytes are too short for a header of ${offset}`);
  const values = new Map<number, Uint8Array>();
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let at = offset;
  while (body.length - at >= headerBytes) {
    const length = view.getUint16(at, true);
    if (length < headerBytes || length > body.length - at) {
      throw malformed(`attribute length ${length} at offset ${at} of ${body.length}`);
    }
    values.set(view.getUint16(at + 2, true) & typeMask, body.subarray(at + headerBytes, at + length));
    at += aligned(length);
  }
  return new Attributes(values);
}

/** A view of a fixed header, refused when the body is shorter than it. */
export function headerView(body: Uint8Array, size: number): DataView {
  if (body.length < size) throw malformed(`${body.length} bytes are too short for a header of ${size}`);
  return new DataView(body.buffer, body.byteOffset, body.byteLength);
}
