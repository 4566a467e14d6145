import { AddressError } from './address.ts';

declare const brand: unique symbol;
/** Ethernet address, lower case with colons: `02:00:0a:f4:00:01`. */
export type Mac = string & { readonly [brand]: 'Mac' };

/** Canonical form; takes colons or dashes, throws AddressError. */
export function parseMac(text: string): Mac {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$|^[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){5}$/.test(text)) {
    throw new AddressError(text, 'is not an Ethernet address');
  }
  return text.toLowerCase().replaceAll('-', ':') as Mac;
}

export function macToBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => Number.parseInt(part, 16));
}

export function macFromBytes(bytes: Uint8Array, offset = 0): Mac {
  if (bytes.length < offset + 6) throw new RangeError(`an Ethernet address at ${offset} of ${bytes.length} bytes`);
  return Array.from(bytes.subarray(offset, offset + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
}

/** `struct mac` of the maps. */
export const macCodec = {
  size: 6,
  encode(mac: Mac, view: DataView, offset: number): void {
    new Uint8Array(view.buffer, view.byteOffset + offset, 6).set(macToBytes(mac));
  },
  decode(view: DataView, offset: number): Mac {
    return macFromBytes(new Uint8Array(view.buffer, view.byteOffset + offset, 6));
  },
} as const;
