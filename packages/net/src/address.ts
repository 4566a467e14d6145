import { formatIpv6, parseIpv4Text, parseIpv6Text } from './ipv6-text.ts';

declare const brand: unique symbol;
/** Canonical text of one IPv4 or IPv6 address, so that equal addresses are equal strings. Never a v4-mapped one. */
export type Address = string & { readonly [brand]: 'Address' };

export type AddressFamily = 4 | 6;

/** Text that is not an address, prefix or MAC; the message quotes it. */
export class AddressError extends Error {
  readonly code = 'ERR_ADDRESS';
  readonly input: string;

  constructor(input: string, problem: string) {
    super(`"${input.slice(0, 80)}" ${problem}`);
    this.name = 'AddressError';
    this.input = input;
  }
}

/** Canonical form of an address; throws AddressError. A v4-mapped IPv6 address is refused: it would be a second name. */
export function parseAddress(text: string): Address {
  const ipv4 = parseIpv4Text(text);
  // parseIpv4Text takes canonical text only.
  if (ipv4 !== undefined) return text as Address;
  const ipv6 = parseIpv6Text(text);
  if (ipv6 === undefined) throw new AddressError(text, 'is not an IPv4 or IPv6 address');
  if (isMapped(ipv6, 0)) throw new AddressError(text, 'is an IPv4-mapped IPv6 address: write the IPv4 address');
  return formatIpv6(ipv6) as Address;
}

/** The address, or undefined for text that is none. */
export function tryParseAddress(text: string): Address | undefined {
  try {
    return parseAddress(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

/** Whether the text is an address, in any spelling that `parseAddress` takes. */
export function isAddress(text: string): boolean {
  return tryParseAddress(text) !== undefined;
}

export function familyOf(address: Address): AddressFamily {
  return address.includes(':') ? 6 : 4;
}

/** Sixteen bytes as in the maps: IPv4 mapped into IPv6 (::ffff:a.b.c.d). */
export function addressToBytes(address: Address): Uint8Array {
  const bytes = new Uint8Array(16);
  writeAddress(address, new DataView(bytes.buffer), 0);
  return bytes;
}

/** The address in sixteen bytes at `offset`; all zeros are "::". */
export function addressFromBytes(bytes: Uint8Array, offset = 0): Address {
  if (bytes.length < offset + 16) throw new RangeError(`an address at ${offset} of ${bytes.length} bytes`);
  if (!isMapped(bytes, offset)) return formatIpv6(bytes, offset) as Address;
  return formatIpv4(bytes, offset + 12) as Address;
}

/** Four or sixteen bytes as on the wire and in netlink. */
export function addressToWire(address: Address): Uint8Array {
  const bytes = addressToBytes(address);
  return familyOf(address) === 4 ? bytes.subarray(12) : bytes;
}

/** From four or sixteen bytes on the wire; throws AddressError for a v4-mapped address and RangeError for other sizes. */
export function addressFromWire(bytes: Uint8Array): Address {
  if (bytes.length === 4) return formatIpv4(bytes, 0) as Address;
  if (bytes.length !== 16) throw new RangeError(`an address of ${bytes.length} bytes`);
  if (isMapped(bytes, 0)) throw new AddressError(`::ffff:${formatIpv4(bytes, 12)}`, 'is an IPv4-mapped IPv6 address');
  return formatIpv6(bytes) as Address;
}

/** IPv4 before IPv6, then by value: the order of every list that people see. */
export function compareAddresses(left: Address, right: Address): number {
  return familyOf(left) - familyOf(right) || Buffer.compare(addressToBytes(left), addressToBytes(right));
}

/** `struct address` of the maps; all zeros are no address. */
export const addressCodec = {
  size: 16,
  encode(address: Address | undefined, view: DataView, offset: number): void {
    if (address === undefined) {
      view.setBigUint64(offset, 0n);
      view.setBigUint64(offset + 8, 0n);
    } else writeAddress(address, view, offset);
  },
  decode(view: DataView, offset: number): Address | undefined {
    if (view.getBigUint64(offset) === 0n && view.getBigUint64(offset + 8) === 0n) return undefined;
    return addressFromBytes(new Uint8Array(view.buffer, view.byteOffset + offset, 16));
  },
} as const;

/** `10.0.0.1:80`, `[fd00::1]:80` */
export function formatAddressPort(address: Address, port: number): string {
  return familyOf(address) === 4 ? `${address}:${port}` : `[${address}]:${port}`;
}

export function formatIpv4(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

function writeAddress(address: Address, view: DataView, offset: number): void {
  const ipv4 = parseIpv4Text(address);
  if (ipv4 !== undefined) {
    view.setBigUint64(offset, 0n);
    view.setUint32(offset + 8, 0xffff);
    view.setUint32(offset + 12, ipv4);
    return;
  }
  const ipv6 = parseIpv6Text(address);
  if (ipv6 === undefined) throw new AddressError(address, 'is not an address');
  new Uint8Array(view.buffer, view.byteOffset + offset, 16).set(ipv6);
}

function isMapped(bytes: Uint8Array, offset: number): boolean {
  for (let index = 0; index < 10; index++) if (bytes[offset + index] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

/** 127.0.0.0/8 (RFC 1122 3.2.1.3) and ::1. */
export function isLoopback(address: Address): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** 169.254.0.0/16 (RFC 3927) and fe80::/10. */
export function isLinkLocal(address: Address): boolean {
  return /^(169\.254\.|fe[89ab][0-9a-f]:)/.test(address);
}
