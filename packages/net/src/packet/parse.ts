import { macFromBytes } from '../mac.ts';
import { checksum, pseudoHeader } from './checksum.ts';
import type { Icmp, Ipv6Extension, Neighbour, Packet } from './packet.ts';
import { EtherType, IcmpType, Icmpv6Type, Protocol, tcpFlagsText, VXLAN_PORTS } from './protocol.ts';
import { ipv4Text, ipv6Text } from './wire-address.ts';

/** Packets in packets, and extension headers in a row, beyond this are an attack or damage. */
const DEPTH_MAX = 4;
const EXTENSIONS_MAX = 16;

export interface ParseOptions {
  /** What the bytes begin with. Default: ethernet. */
  readonly start?: 'ethernet' | 'ip';
  /** UDP ports that carry VXLAN. Default: 4789 and 8472. */
  readonly vxlanPorts?: readonly number[];
}

/**
 * Reads a packet as far as it can be read. Never throws: what does not fit is in `problem`, with what was read before.
 */
export function parsePacket(bytes: Uint8Array, options: ParseOptions = {}): Packet {
  const reader = new Reader(bytes, options.vxlanPorts ?? VXLAN_PORTS, 0);
  return reader.read(options.start ?? 'ethernet');
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Addresses {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** A header does not fit. */
class Stop {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #vxlanPorts: readonly number[];
  readonly #depth: number;
  readonly #packet: Mutable<Packet> = { payload: new Uint8Array(0) };
  #layer = 'packet';
  /** Start of the header being read. */
  #at = 0;
  /** End of the innermost length that was read. */
  #end: number;

  constructor(bytes: Uint8Array, vxlanPorts: readonly number[], depth: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#vxlanPorts = vxlanPorts;
    this.#depth = depth;
    this.#end = bytes.length;
  }

  read(start: 'ethernet' | 'ip'): Packet {
    try {
      if (start === 'ethernet') this.#ethernet();
      else this.#ip();
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      this.#packet.problem = { layer: this.#layer, offset: this.#at, text: error.text };
    }
    if (this.#packet.vxlan === undefined) this.#packet.payload = this.#bytes.subarray(this.#at, this.#end);
    return this.#packet;
  }

  #ethernet(): void {
    this.#header('ethernet', 14);
    const etherType = this.#u16(12);
    this.#packet.ethernet = {
      destination: macFromBytes(this.#bytes, this.#at),
      source: macFromBytes(this.#bytes, this.#at + 6),
      etherType,
    };
    this.#at += 14;
    if (etherType === EtherType.ipv4) this.#ipv4();
    else if (etherType === EtherType.ipv6) this.#ipv6();
    else if (etherType === EtherType.arp) this.#arp();
  }

  #ip(): void {
    this.#header('ip', 1);
    if (this.#u8(0) >> 4 === 6) this.#ipv6();
    else this.#ipv4();
  }

  #arp(): void {
    this.#header('arp', 28);
    if (this.#u16(0) !== 1 || this.#u16(2) !== EtherType.ipv4 || this.#u16(4) !== 0x0604) {
      throw new Stop('not Ethernet and IPv4');
    }
    this.#packet.arp = {
      operation: this.#u16(6),
      senderMac: macFromBytes(this.#bytes, this.#at + 8),
      senderAddress: ipv4Text(this.#bytes, this.#at + 14),
      targetMac: macFromBytes(this.#bytes, this.#at + 18),
      targetAddress: ipv4Text(this.#bytes, this.#at + 24),
    };
    this.#at += 28;
  }

  #ipv4(): void {
    this.#header('ipv4', 20);
    const version = this.#u8(0) >> 4;
    if (version !== 4) throw new Stop(`version ${version}`);
    const headerBytes = (this.#u8(0) & 0x0f) * 4;
    if (headerBytes < 20) throw new Stop(`a header of ${headerBytes} bytes`);
    this.#header('ipv4', headerBytes);
    const fragment = this.#u16(6);
    const totalLength = this.#u16(2);
    if (totalLength < headerBytes) throw new Stop(`a total length of ${totalLength} bytes`);
    const protocol = this.#u8(9);
    const fragmentOffset = (fragment & 0x1fff) * 8;
    const moreFragments = (fragment & 0x2000) !== 0;
    this.#packet.ipv4 = {
      source: ipv4Text(this.#bytes, this.#at + 12),
      destination: ipv4Text(this.#bytes, this.#at + 16),
      protocol,
      ttl: this.#u8(8),
      typeOfService: this.#u8(1),
      identification: this.#u16(4),
      dontFragment: (fragment & 0x4000) !== 0,
      moreFragments,
      fragmentOffset,
      options: this.#bytes.slice(this.#at + 20, this.#at + headerBytes),
      totalLength,
      checksumValid: checksum(this.#bytes.subarray(this.#at, this.#at + headerBytes)) === 0,
    };
    this.#limit(this.#at + totalLength);
    const addresses = this.#addresses(12, 4);
    this.#at += headerBytes;
    if (fragmentOffset === 0) this.#transport(protocol, { addresses, fragment: moreFragments });
  }

  #ipv6(): void {
    this.#header('ipv6', 40);
    const version = this.#u8(0) >> 4;
    if (version !== 6) throw new Stop(`version ${version}`);
    const first = this.#view.getUint32(this.#at);
    const payloadLength = this.#u16(4);
    const ipv6 = {
      source: ipv6Text(this.#bytes, this.#at + 8),
      destination: ipv6Text(this.#bytes, this.#at + 24),
      hopLimit: this.#u8(7),
      trafficClass: (first >>> 20) & 0xff,
      flowLabel: first & 0xfffff,
      payloadLength,
    };
    const addresses = this.#addresses(8, 16);
    let protocol = this.#u8(6);
    const extensions: Ipv6Extension[] = [];
    this.#packet.ipv6 = { ...ipv6, extensions, protocol };
    this.#limit(this.#at + 40 + payloadLength);
    this.#at += 40;
    while (isExtension(protocol)) {
      if (extensions.length === EXTENSIONS_MAX) throw new Stop(`more than ${EXTENSIONS_MAX} extension headers`);
      const { next, extension } = this.#extension(protocol);
      protocol = next;
      extensions.push(extension);
      this.#packet.ipv6 = { ...ipv6, extensions, protocol };
    }
    const fragment = extensions.find((extension) => extension.kind === 'fragment');
    if ((fragment?.offset ?? 0) > 0) return;
    this.#transport(protocol, { addresses, fragment: fragment?.more ?? false });
  }

  #extension(protocol: ExtensionNumber): { next: number; extension: Ipv6Extension } {
    this.#header('ipv6 extension', 8);
    const next = this.#u8(0);
    if (protocol === Protocol.fragment) {
      const word = this.#u16(2);
      const identification = this.#view.getUint32(this.#at + 4);
      this.#at += 8;
      return { next, extension: { kind: 'fragment', offset: word & 0xfff8, more: (word & 1) !== 0, identification } };
    }
    const length = (this.#u8(1) + 1) * 8;
    this.#header('ipv6 extension', length);
    const data = this.#bytes.slice(this.#at + 2, this.#at + length);
    this.#at += length;
    return { next, extension: { kind: extensionKinds[protocol], data } };
  }

  #transport(protocol: number, around: { addresses: Addresses; fragment: boolean }): void {
    const { addresses } = around;
    const ipv6 = addresses.source.length === 16;
    /** A fragment's checksum covers what is elsewhere. */
    const isWhole = !around.fragment && this.#packet.truncated === undefined;
    const valid = (end: number) => (isWhole ? this.#checksumOf({ addresses, protocol, end }) === 0 : undefined);
    if (protocol === Protocol.tcp) this.#tcp(valid);
    else if (protocol === Protocol.udp) this.#udp(valid, around);
    else if (protocol === Protocol.icmp && !ipv6) {
      this.#icmp('icmp', isWhole ? checksum(this.#bytes.subarray(this.#at, this.#end)) === 0 : undefined);
    } else if (protocol === Protocol.icmpv6 && ipv6) this.#icmp('icmpv6', valid(this.#end));
  }

  #tcp(valid: (end: number) => boolean | undefined): void {
    this.#header('tcp', 20);
    const headerBytes = (this.#u8(12) >> 4) * 4;
    if (headerBytes < 20) throw new Stop(`a header of ${headerBytes} bytes`);
    this.#header('tcp', headerBytes);
    this.#packet.tcp = {
      sourcePort: this.#u16(0),
      destinationPort: this.#u16(2),
      sequence: this.#view.getUint32(this.#at + 4),
      acknowledgement: this.#view.getUint32(this.#at + 8),
      flags: tcpFlagsText(this.#u8(13)),
      window: this.#u16(14),
      urgent: this.#u16(18),
      options: this.#bytes.slice(this.#at + 20, this.#at + headerBytes),
      checksumValid: valid(this.#end),
    };
    this.#at += headerBytes;
  }

  #udp(valid: (end: number) => boolean | undefined, around: { fragment: boolean; addresses: Addresses }): void {
    this.#header('udp', 8);
    const length = this.#u16(4);
    if (length < 8) throw new Stop(`a length of ${length} bytes`);
    const end = this.#at + length;
    const isCut = around.fragment || this.#packet.truncated !== undefined;
    if (end > this.#end && !isCut) throw new Stop(`a length of ${length} bytes, ${this.#end - this.#at} are there`);
    const absent = this.#u16(6) === 0 && around.addresses.source.length === 4;
    const destinationPort = this.#u16(2);
    this.#packet.udp = {
      sourcePort: this.#u16(0),
      destinationPort,
      length,
      checksumValid: absent ? true : valid(Math.min(end, this.#end)),
    };
    this.#end = Math.min(end, this.#end);
    this.#at += 8;
    if (this.#vxlanPorts.includes(destinationPort)) this.#vxlan();
  }

  #vxlan(): void {
    this.#header('vxlan', 8);
    if (this.#u8(0) !== 0x08) throw new Stop(`flags 0x${this.#u8(0).toString(16)}`);
    const vni = this.#view.getUint32(this.#at + 4) >>> 8;
    this.#at += 8;
    this.#packet.vxlan = { vni, inner: this.#inside('ethernet') };
  }

  #icmp(layer: 'icmp' | 'icmpv6', checksumValid: boolean | undefined): void {
    this.#header(layer, 8);
    const type = this.#u8(0);
    const icmp: Mutable<Icmp> = {
      type,
      code: this.#u8(1),
      identifier: this.#u16(4),
      sequence: this.#u16(6),
      checksumValid,
    };
    const flags = this.#u8(4);
    if (layer === 'icmp') this.#packet.icmp = icmp;
    else this.#packet.icmpv6 = icmp;
    this.#at += 8;
    if ((layer === 'icmp' ? icmpErrors : icmpv6Errors).includes(type)) icmp.embedded = this.#inside('ip');
    const isNeighbour = type === Icmpv6Type.neighbourSolicitation || type === Icmpv6Type.neighbourAdvertisement;
    if (layer === 'icmpv6' && isNeighbour) this.#packet.icmpv6 = { ...icmp, neighbour: this.#neighbour(flags) };
  }

  #neighbour(flags: number): Neighbour {
    this.#header('neighbour', 16);
    const neighbour: Mutable<Neighbour> = {
      target: ipv6Text(this.#bytes, this.#at),
      router: (flags & 0x80) !== 0,
      solicited: (flags & 0x40) !== 0,
      override: (flags & 0x20) !== 0,
    };
    this.#at += 16;
    while (this.#at < this.#end) {
      this.#header('neighbour option', 8);
      const length = this.#u8(1) * 8;
      if (length === 0) throw new Stop('a length of 0');
      this.#header('neighbour option', length);
      if (this.#u8(0) === 1) neighbour.sourceMac = macFromBytes(this.#bytes, this.#at + 2);
      if (this.#u8(0) === 2) neighbour.targetMac = macFromBytes(this.#bytes, this.#at + 2);
      this.#at += length;
    }
    return neighbour;
  }

  #inside(start: 'ethernet' | 'ip'): Packet {
    const rest = this.#bytes.subarray(this.#at, this.#end);
    if (this.#depth === DEPTH_MAX) throw new Stop(`more than ${DEPTH_MAX} packets in packets`);
    return new Reader(rest, this.#vxlanPorts, this.#depth + 1).read(start);
  }

  #header(layer: string, length: number): void {
    this.#layer = layer;
    const left = this.#end - this.#at;
    if (left < length) throw new Stop(`${length} bytes wanted, ${left} are left`);
  }

  /** What a length field says; bytes behind it are padding. */
  #limit(end: number): void {
    if (end > this.#bytes.length) this.#packet.truncated = true;
    this.#end = Math.min(this.#end, end);
  }

  #checksumOf(segment: { addresses: Addresses; protocol: number; end: number }): number {
    const bytes = this.#bytes.subarray(this.#at, segment.end);
    return checksum(pseudoHeader(segment.addresses, { protocol: segment.protocol, length: bytes.length }), bytes);
  }

  #addresses(offset: number, length: number): Addresses {
    const from = this.#at + offset;
    return {
      source: this.#bytes.subarray(from, from + length),
      destination: this.#bytes.subarray(from + length, from + 2 * length),
    };
  }

  #u8(offset: number): number {
    return this.#view.getUint8(this.#at + offset);
  }

  #u16(offset: number): number {
    return this.#view.getUint16(this.#at + offset);
  }
}

const icmpErrors: readonly number[] = [IcmpType.unreachable, IcmpType.timeExceeded, IcmpType.parameterProblem];
const icmpv6Errors: readonly number[] = [
  Icmpv6Type.unreachable,
  Icmpv6Type.tooBig,
  Icmpv6Type.timeExceeded,
  Icmpv6Type.parameterProblem,
];

const extensionKinds = { 0: 'hopByHop', 43: 'routing', 60: 'destinationOptions' } as const;
type ExtensionNumber = 0 | 43 | 44 | 60;

function isExtension(protocol: number): protocol is ExtensionNumber {
  return protocol === Protocol.fragment || protocol in extensionKinds;
}
