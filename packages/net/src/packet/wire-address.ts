import { AddressError, formatIpv4 } from '../address.ts';
import { formatIpv6, parseIpv4Text, parseIpv6Text } from '../ipv6-text.ts';

/** Four bytes; throws AddressError. */
export function ipv4Bytes(text: string): Uint8Array {
  const value = parseIpv4Text(text);
  if (value === undefined) throw new AddressError(text, 'is not an IPv4 address');
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Sixteen bytes, v4-mapped ones too: packets may hold them. Throws AddressError. */
export function ipv6Bytes(text: string): Uint8Array {
  const bytes = parseIpv6Text(text);
  if (bytes === undefined) throw new AddressError(text, 'is not an IPv6 address');
  return bytes;
}

export function ipv4Text(bytes: Uint8Array, offset: number): string {
  return formatIpv4(bytes, offset);
}

export function ipv6Text(bytes: Uint8Array, offset: number): string {
  return formatIpv6(bytes, offset);
}
