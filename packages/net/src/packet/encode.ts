/** One function per header: its fields, with defaults, to the bytes of the header and what is inside. */
import { type Mac, macToBytes, parseMac } from '../mac.ts';
import type { ArpFields, EthernetFields, IcmpFields, Ipv4Fields, Ipv6Fields, TcpFields, UdpFields } from './build.ts';
import { checksum, pseudoHeader } from './checksum.ts';
import type { Ipv6Extension, Neighbour } from './packet.ts';
import { EtherType, IcmpType, Protocol, tcpFlagsBits } from './protocol.ts';
import { ipv4Bytes, ipv6Bytes } from './wire-address.ts';

type LayerKind = 'ethernet' | 'arp' | 'ipv4' | 'ipv6' | 'tcp' | 'udp' | 'icmp' | 'icmpv6' | 'vxlan';

export interface Layer {
  readonly kind: LayerKind;
  /** Of IP, for checksums. */
  readonly addresses?: { readonly source: Uint8Array; readonly destination: Uint8Array };
  encode(content: Uint8Array, around: Surroundings): Uint8Array;
}

interface Surroundings {
  readonly outer: Layer | undefined;
  readonly inside: LayerKind | undefined;
}

const DEFAULT_MACS = [parseMac('02:00:00:00:00:01'), parseMac('02:00:00:00:00:02')] as const;
const NO_MAC = parseMac('00:00:00:00:00:00');
const DEFAULT_IPV4 = ['10.0.0.1', '10.0.0.2'] as const;
const DEFAULT_IPV6 = ['fd00::1', 'fd00::2'] as const;
const DEFAULT_TTL = 64;

export function encodeEthernet(fields: EthernetFields): Layer {
  return {
    kind: 'ethernet',
    encode(content, { inside }) {
      const { bytes, view } = withRoom(14, content);
      bytes.set(macToBytes(fields.destination ?? DEFAULT_MACS[1]), 0);
      bytes.set(macToBytes(fields.source ?? DEFAULT_MACS[0]), 6);
      view.setUint16(12, fields.etherType ?? etherTypeOf(inside));
      return bytes;
    },
  };
}

export function encodeArp(fields: ArpFields): Layer {
  return {
    kind: 'arp',
    encode(content) {
      const { bytes, view } = withRoom(28, content);
      // Ethernet, IPv4, and the sizes of their addresses.
      view.setUint16(0, 1);
      view.setUint16(2, EtherType.ipv4);
      view.setUint16(4, 0x0604);
      view.setUint16(6, fields.operation ?? 1);
      bytes.set(macToBytes(fields.senderMac ?? DEFAULT_MACS[0]), 8);
      bytes.set(ipv4Bytes(fields.senderAddress ?? DEFAULT_IPV4[0]), 14);
      bytes.set(macToBytes(fields.targetMac ?? NO_MAC), 18);
      bytes.set(ipv4Bytes(fields.targetAddress ?? DEFAULT_IPV4[1]), 24);
      return bytes;
    },
  };
}

export function encodeIpv4(fields: Ipv4Fields): Layer {
  const source = ipv4Bytes(fields.source ?? DEFAULT_IPV4[0]);
  const destination = ipv4Bytes(fields.destination ?? DEFAULT_IPV4[1]);
  const options = padded(fields.options, 40);
  const headerBytes = 20 + options.length;
  const fragmentOffset = eighths(fields.fragmentOffset);
  return {
    kind: 'ipv4',
    addresses: { source, destination },
    encode(content, { inside }) {
      const { bytes, view } = withRoom(headerBytes, content);
      view.setUint8(0, 0x40 | (headerBytes / 4));
      view.setUint8(1, fields.typeOfService ?? 0);
      view.setUint16(2, fields.totalLength ?? bytes.length);
      view.setUint16(4, fields.identification ?? 0);
      const flags = ((fields.dontFragment ?? false) ? 0x4000 : 0) | ((fields.moreFragments ?? false) ? 0x2000 : 0);
      view.setUint16(6, flags | fragmentOffset);
      view.setUint8(8, fields.ttl ?? DEFAULT_TTL);
      view.setUint8(9, fields.protocol ?? protocolOf(inside));
      bytes.set(source, 12);
      bytes.set(destination, 16);
      bytes.set(options, 20);
      view.setUint16(10, fields.checksum ?? checksum(bytes.subarray(0, headerBytes)));
      return bytes;
    },
  };
}

export function encodeIpv6(fields: Ipv6Fields): Layer {
  const source = ipv6Bytes(fields.source ?? DEFAULT_IPV6[0]);
  const destination = ipv6Bytes(fields.destination ?? DEFAULT_IPV6[1]);
  return {
    kind: 'ipv6',
    addresses: { source, destination },
    encode(content, { inside }) {
      const last = fields.protocol ?? protocolOf(inside);
      const extensions = encodeExtensions(fields.extensions ?? [], last);
      const { bytes, view } = withRoom(40 + extensions.bytes.length, content);
      view.setUint32(0, ((6 << 28) | ((fields.trafficClass ?? 0) << 20) | (fields.flowLabel ?? 0)) >>> 0);
      view.setUint16(4, fields.payloadLength ?? bytes.length - 40);
      view.setUint8(6, extensions.first);
      view.setUint8(7, fields.hopLimit ?? DEFAULT_TTL);
      bytes.set(source, 8);
      bytes.set(destination, 24);
      bytes.set(extensions.bytes, 40);
      return bytes;
    },
  };
}

/** Each extension header names the next. */
function encodeExtensions(extensions: readonly Ipv6Extension[], last: number): { first: number; bytes: Uint8Array } {
  let first = last;
  let bytes: Uint8Array = new Uint8Array(0);
  for (const extension of extensions.toReversed()) {
    bytes = join(encodeExtension(extension, first), bytes);
    first = Protocol[extension.kind];
  }
  return { first, bytes };
}

function encodeExtension(extension: Ipv6Extension, next: number): Uint8Array {
  if (extension.kind === 'fragment') {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, next);
    view.setUint16(2, (eighths(extension.offset) << 3) | (extension.more ? 1 : 0));
    view.setUint32(4, extension.identification);
    return bytes;
  }
  const length = extension.data.length + 2;
  if (length % 8 !== 0) throw new RangeError(`${extension.data.length} bytes in an extension header: 6, 14, 22, …`);
  return join(Uint8Array.of(next, length / 8 - 1), extension.data);
}

export function encodeTcp(fields: TcpFields): Layer {
  const options = padded(fields.options, 40);
  const headerBytes = 20 + options.length;
  return {
    kind: 'tcp',
    encode(content, { outer }) {
      const { bytes, view } = withRoom(headerBytes, content);
      view.setUint16(0, fields.sourcePort ?? 40000);
      view.setUint16(2, fields.destinationPort ?? 80);
      view.setUint32(4, fields.sequence ?? 1);
      view.setUint32(8, fields.acknowledgement ?? 0);
      view.setUint8(12, (headerBytes / 4) << 4);
      view.setUint8(13, tcpFlagsBits(fields.flags ?? 'S'));
      view.setUint16(14, fields.window ?? 64240);
      view.setUint16(18, fields.urgent ?? 0);
      bytes.set(options, 20);
      view.setUint16(16, fields.checksum ?? transportChecksum(outer, { protocol: Protocol.tcp, bytes }));
      return bytes;
    },
  };
}

export function encodeUdp(fields: UdpFields): Layer {
  return {
    kind: 'udp',
    encode(content, { outer }) {
      const { bytes, view } = withRoom(8, content);
      view.setUint16(0, fields.sourcePort ?? 40000);
      view.setUint16(2, fields.destinationPort ?? 53);
      view.setUint16(4, fields.length ?? bytes.length);
      // 0 would mean that there is none (RFC 768).
      const sum = () => transportChecksum(outer, { protocol: Protocol.udp, bytes }) || 0xffff;
      view.setUint16(6, fields.checksum ?? sum());
      return bytes;
    },
  };
}

export function encodeIcmp(kind: 'icmp' | 'icmpv6', fields: IcmpFields & { readonly neighbour?: Neighbour }): Layer {
  return {
    kind,
    encode(content, { outer }) {
      const body = fields.neighbour === undefined ? content : join(encodeNeighbour(fields.neighbour), content);
      const { bytes, view } = withRoom(8, body);
      view.setUint8(0, fields.type ?? IcmpType.echoRequest);
      view.setUint8(1, fields.code ?? 0);
      if (fields.neighbour === undefined) {
        view.setUint16(4, fields.identifier ?? 1);
        view.setUint16(6, fields.sequence ?? 1);
      } else view.setUint8(4, neighbourFlags(fields.neighbour));
      const sum = () =>
        kind === 'icmp' ? checksum(bytes) : transportChecksum(outer, { protocol: Protocol.icmpv6, bytes });
      view.setUint16(2, fields.checksum ?? sum());
      return bytes;
    },
  };
}

function neighbourFlags(neighbour: Neighbour): number {
  return (neighbour.router ? 0x80 : 0) | (neighbour.solicited ? 0x40 : 0) | (neighbour.override ? 0x20 : 0);
}

function encodeNeighbour({ target, sourceMac, targetMac }: Neighbour): Uint8Array {
  const option = (type: number, mac: Mac | undefined) =>
    mac === undefined ? new Uint8Array(0) : join(Uint8Array.of(type, 1), macToBytes(mac));
  return join(ipv6Bytes(target), option(1, sourceMac), option(2, targetMac));
}

export function encodeVxlan(vni: number): Layer {
  if (!Number.isInteger(vni) || vni < 0 || vni > 0xffffff) throw new RangeError(`VNI ${vni} has more than 24 bits`);
  return {
    kind: 'vxlan',
    encode(content) {
      const { bytes, view } = withRoom(8, content);
      // The flag I: the VNI is valid.
      view.setUint8(0, 0x08);
      view.setUint32(4, (vni << 8) >>> 0);
      return bytes;
    },
  };
}

/** The checksum field must still be 0. Without an IP header around there is no pseudo header, so no right one. */
function transportChecksum(outer: Layer | undefined, segment: { protocol: number; bytes: Uint8Array }): number {
  if (outer?.addresses === undefined) return 0;
  const { protocol, bytes } = segment;
  return checksum(pseudoHeader(outer.addresses, { protocol, length: bytes.length }), bytes);
}

function etherTypeOf(kind: LayerKind | undefined): number {
  return kind === 'arp' || kind === 'ipv4' || kind === 'ipv6' ? EtherType[kind] : 0;
}

function protocolOf(kind: LayerKind | undefined): number {
  if (kind === 'tcp' || kind === 'udp' || kind === 'icmp' || kind === 'icmpv6' || kind === 'ipv6')
    return Protocol[kind];
  // 4: IPv4 in IP. 255 is reserved: nobody parses the payload as something.
  return kind === 'ipv4' ? 4 : 255;
}

function withRoom(headerBytes: number, content: Uint8Array): { bytes: Uint8Array; view: DataView } {
  const bytes = join(new Uint8Array(headerBytes), content);
  return { bytes, view: new DataView(bytes.buffer) };
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Options fill whole words. */
function padded(options: Uint8Array | undefined, limit: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((options?.length ?? 0) / 4) * 4);
  if (bytes.length > limit) throw new RangeError(`${bytes.length} bytes of options, ${limit} fit`);
  bytes.set(options ?? []);
  return bytes;
}

function eighths(offset = 0): number {
  if (offset % 8 !== 0 || offset < 0 || offset > 0xfff8) throw new RangeError(`fragment offset ${offset}`);
  return offset / 8;
}
