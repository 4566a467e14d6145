/** Codecs of what C calls scalars and arrays. Numbers are in host order here; `be` marks big-endian in memory. */
import type { Codec } from './spec.ts';

export const u8Codec: Codec<number> = {
  size: 1,
  encode: (value, view, offset) => view.setUint8(offset, value),
  decode: (view, offset) => view.getUint8(offset),
};

export const u16Codec: Codec<number> = {
  size: 2,
  encode: (value, view, offset) => view.setUint16(offset, value, true),
  decode: (view, offset) => view.getUint16(offset, true),
};

export const u32Codec: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setUint32(offset, value, true),
  decode: (view, offset) => view.getUint32(offset, true),
};

export const u64Codec: Codec<bigint> = {
  size: 8,
  encode: (value, view, offset) => view.setBigUint64(offset, value, true),
  decode: (view, offset) => view.getBigUint64(offset, true),
};

export const i8Codec: Codec<number> = {
  size: 1,
  encode: (value, view, offset) => view.setInt8(offset, value),
  decode: (view, offset) => view.getInt8(offset),
};

export const i16Codec: Codec<number> = {
  size: 2,
  encode: (value, view, offset) => view.setInt16(offset, value, true),
  decode: (view, offset) => view.getInt16(offset, true),
};

export const i32Codec: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setInt32(offset, value, true),
  decode: (view, offset) => view.getInt32(offset, true),
};

export const i64Codec: Codec<bigint> = {
  size: 8,
  encode: (value, view, offset) => view.setBigInt64(offset, value, true),
  decode: (view, offset) => view.getBigInt64(offset, true),
};

export const be16Codec: Codec<number> = {
  size: 2,
  encode: (value, view, offset) => view.setUint16(offset, value),
  decode: (view, offset) => view.getUint16(offset),
};

export const be32Codec: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setUint32(offset, value),
  decode: (view, offset) => view.getUint32(offset),
};

export const be64Codec: Codec<bigint> = {
  size: 8,
  encode: (value, view, offset) => view.setBigUint64(offset, value),
  decode: (view, offset) => view.getBigUint64(offset),
};

export const boolCodec: Codec<boolean> = {
  size: 1,
  encode: (value, view, offset) => view.setUint8(offset, value ? 1 : 0),
  decode: (view, offset) => view.getUint8(offset) !== 0,
};

/** A map without keys or values, such as a ring buffer. */
export const nothingCodec: Codec<undefined> = { size: 0, encode: () => undefined, decode: () => undefined };

/** `length` values in a row; encoding another number of values throws RangeError. */
export function arrayCodec<T>(element: Codec<T>, length: number): Codec<readonly T[]> {
  return {
    size: element.size * length,
    encode(values, view, offset) {
      if (values.length !== length) throw new RangeError(`${values.length} values for an array of ${length}`);
      for (const [index, value] of values.entries()) element.encode(value, view, offset + index * element.size);
    },
    decode(view, offset) {
      return Array.from({ length }, (_, index) => element.decode(view, offset + index * element.size));
    },
  };
}

/** Bytes as they are; decoding copies. */
export function bytesCodec(length: number): Codec<Uint8Array> {
  return {
    size: length,
    encode(value, view, offset) {
      if (value.length !== length) throw new RangeError(`${value.length} bytes for an array of ${length}`);
      new Uint8Array(view.buffer, view.byteOffset + offset, length).set(value);
    },
    decode(view, offset) {
      return new Uint8Array(view.buffer, view.byteOffset + offset, length).slice();
    },
  };
}

/** 16-bit numbers in one piece, in the order of a little-endian machine, which is what our objects are for; decoding copies. */
export function wordsCodec(length: number): Codec<Uint16Array> {
  return {
    size: 2 * length,
    encode(value, view, offset) {
      if (value.length !== length) throw new RangeError(`${value.length} numbers for an array of ${length}`);
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      new Uint8Array(view.buffer, view.byteOffset + offset, 2 * length).set(bytes);
    },
    decode(view, offset) {
      const start = view.byteOffset + offset;
      return new Uint16Array(view.buffer.slice(start, start + 2 * length));
    },
  };
}

/** Reserved room in a struct: always written as zeros, so that a later version can give it a meaning. */
export function zeroBytes(view: DataView, offset: number, length: number): void {
  for (let index = 0; index < length; index += 1) view.setUint8(offset + index, 0);
}

/** One value alone in its own bytes. */
export function encodeValue<T>(codec: Codec<T>, value: T): Uint8Array {
  const bytes = new Uint8Array(codec.size);
  codec.encode(value, new DataView(bytes.buffer), 0);
  return bytes;
}
