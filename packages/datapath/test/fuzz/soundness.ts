/** Whether a packet is whole: what was sound before one of our programs is sound behind it. */
import { checksum, type Packet, parsePacket, pseudoHeader } from '@sluice/net';
import type { Draft } from './mutate.ts';

/** Undefined when all is well. */
export function flaw(bytes: Uint8Array): string | undefined {
  const packet = parsePacket(bytes);
  if (packet.problem !== undefined) return `${packet.problem.layer}: ${packet.problem.text}`;
  if (packet.truncated === true) return 'cut off';
  return flawOfChecksums(packet);
}

function flawOfChecksums({ ipv4, tcp, udp, icmp, icmpv6 }: Packet): string | undefined {
  const layers = { ipv4, tcp, udp, icmp, icmpv6 };
  const wrong = Object.entries(layers).find(([, layer]) => layer?.checksumValid === false);
  return wrong === undefined ? undefined : `wrong checksum of ${wrong[0]}`;
}

const ETHERNET_BYTES = 14;
/** Where a protocol's checksum stands in its header. */
const checksumOffsets = new Map([
  [1, 2],
  [6, 16],
  [17, 6],
  [58, 2],
]);

/** Makes the checksums of a mutated packet right, where its lengths still make sense. */
export function repairChecksums({ bytes, length }: Draft): void {
  const isIpv6 = bytes[12] === 0x86 && bytes[13] === 0xdd;
  const ip = bytes.subarray(ETHERNET_BYTES, length);
  const headerBytes = isIpv6 ? 40 : ((ip[0] ?? 0) & 0x0f) * 4;
  const view = new DataView(ip.buffer, ip.byteOffset, ip.byteLength);
  if (headerBytes < 20 || ip.byteLength < headerBytes) return;
  const end = isIpv6 ? 40 + view.getUint16(4) : view.getUint16(2);
  if (end > ip.byteLength || end < headerBytes) return;
  if (!isIpv6) {
    view.setUint16(10, 0);
    view.setUint16(10, checksum(ip.subarray(0, headerBytes)));
  }
  const protocol = ip[isIpv6 ? 6 : 9] ?? 0;
  const content = ip.subarray(headerBytes, end);
  const at = checksumOffsets.get(protocol);
  if (at === undefined || content.byteLength < at + 2) return;
  const addresses = isIpv6
    ? { source: ip.subarray(8, 24), destination: ip.subarray(24, 40) }
    : { source: ip.subarray(12, 16), destination: ip.subarray(16, 20) };
  const pseudo = protocol === 1 ? new Uint8Array() : pseudoHeader(addresses, { protocol, length: content.byteLength });
  view.setUint16(headerBytes + at, 0);
  view.setUint16(headerBytes + at, checksum(pseudo, content));
}
