import {
  type Address,
  addressFromBytes,
  addressToBytes,
  familyOf,
  type Mac,
  type Prefix,
  parseAddress,
  parseMac,
} from '@sluice/net';
import { malformed } from './error.ts';

/** Address families in the kernel's numbers. */
export const kernelFamily = { 4: 2, 6: 10 } as const;

/** IP version of a kernel family number; undefined for the families that are not ours (bridge, MPLS, multicast routing). */
export function familyFromKernel(number: number): 4 | 6 | undefined {
  if (number === kernelFamily[4]) return 4;
  return number === kernelFamily[6] ? 6 : undefined;
}

/** The address in its own family's bytes, network order: 4 or 16. */
export function inetBytes(address: Address): Uint8Array {
  const bytes = addressToBytes(address);
  return familyOf(address) === 4 ? bytes.slice(12) : bytes;
}

const anyAddress = { 4: parseAddress('0.0.0.0'), 6: parseAddress('::') } as const;

/** Undefined for an IPv4-mapped IPv6 address: it has no text of its own here, it would alias the IPv4 one. */
export function inetAddress(family: 4 | 6, bytes: Uint8Array): Address | undefined {
  const size = family === 4 ? 4 : 16;
  if (bytes.length !== size) throw malformed(`IPv${family} address of ${bytes.length} bytes`);
  if (bytes.every((byte) => byte === 0)) return anyAddress[family];
  const mapped = new Uint8Array(16);
  mapped.fill(0xff, 10, 12);
  if (family === 6) return isMapped(bytes) ? undefined : addressFromBytes(bytes);
  mapped.set(bytes, 12);
  return addressFromBytes(mapped);
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

/** The prefix of a route or rule; without the attribute the family's "any". */
export function inetPrefix(family: 4 | 6, bytes: Uint8Array | undefined, length: number): Prefix | undefined {
  const bits = family === 4 ? 32 : 128;
  if (length > bits) throw malformed(`IPv${family} prefix of ${length} bits`);
  if (bytes === undefined) return { address: anyAddress[family], length };
  const address = inetAddress(family, bytes);
  return address === undefined ? undefined : { address, length };
}

/** Link-layer address, where it is one of Ethernet's. */
export function macFromBytes(bytes: Uint8Array | undefined): Mac | undefined {
  if (bytes?.length !== 6) return undefined;
  return parseMac(Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':'));
}

export function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => Number.parseInt(part, 16));
}
