import { type Address, addressFromWire, type Mac, macFromBytes, type Prefix, parseAddress } from '@sluice/net';
import { malformed } from './error.ts';

/** Address families in the kernel's numbers. */
export const kernelFamily = { 4: 2, 6: 10 } as const;

/** IP version of a kernel family number; undefined for the families that are not ours (bridge, MPLS, multicast routing). */
export function familyFromKernel(number: number): 4 | 6 | undefined {
  if (number === kernelFamily[4]) return 4;
  return number === kernelFamily[6] ? 6 : undefined;
}

const anyAddress = { 4: parseAddress('0.0.0.0'), 6: parseAddress('::') } as const;

/** Undefined for an IPv4-mapped IPv6 address: it has no text of its own here, it would alias the IPv4 one. */
export function inetAddress(family: 4 | 6, bytes: Uint8Array): Address | undefined {
  if (bytes.length !== (family === 4 ? 4 : 16)) throw malformed(`IPv${family} address of ${bytes.length} bytes`);
  return isMapped(bytes) ? undefined : addressFromWire(bytes);
}

function isMapped(bytes: Uint8Array): boolean {
  return (
    bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  );
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
export function ethernetAddress(bytes: Uint8Array | undefined): Mac | undefined {
  return bytes?.length === 6 ? macFromBytes(bytes) : undefined;
}
