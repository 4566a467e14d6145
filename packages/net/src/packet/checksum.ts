/** Internet checksum (RFC 1071): the complement of the one's complement sum of big-endian words. */
export function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const [index, part] of parts.entries()) {
    if (part.length % 2 !== 0 && index < parts.length - 1) throw new RangeError('only the last part may be odd');
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** What TCP, UDP and ICMPv6 sum before their own bytes; addresses of 4 or 16 bytes as on the wire. */
export function pseudoHeader(
  addresses: { readonly source: Uint8Array; readonly destination: Uint8Array },
  content: { readonly protocol: number; readonly length: number },
): Uint8Array {
  const { source, destination } = addresses;
  const tailBytes = source.length === 4 ? 4 : 8;
  const bytes = new Uint8Array(source.length + destination.length + tailBytes);
  bytes.set(source);
  bytes.set(destination, source.length);
  const view = new DataView(bytes.buffer, source.length + destination.length);
  if (tailBytes === 4) {
    view.setUint8(1, content.protocol);
    view.setUint16(2, content.length);
  } else {
    view.setUint32(0, content.length);
    view.setUint8(7, content.protocol);
  }
  return bytes;
}
