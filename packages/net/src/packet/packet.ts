/**
 * A packet, layer by layer, outermost first; what a VXLAN or an ICMP error carries is a packet inside. Addresses are
 * text as on the wire: unlike `Address`, an IPv6 header may hold a v4-mapped one.
 */
import type { Mac } from '../mac.ts';

export interface Packet {
  readonly ethernet?: Ethernet;
  readonly arp?: Arp;
  readonly ipv4?: Ipv4;
  readonly ipv6?: Ipv6;
  readonly tcp?: Tcp;
  readonly udp?: Udp;
  readonly icmp?: Icmp;
  readonly icmpv6?: Icmpv6;
  readonly vxlan?: Vxlan;
  /** What follows the last header that was read, also what an ICMP error quotes; empty behind VXLAN. */
  readonly payload: Uint8Array;
  /** A length field promises more than there is: usual for captured packets. */
  readonly truncated?: true;
  /** Why reading stopped before the end. */
  readonly problem?: PacketProblem;
}

export interface PacketProblem {
  readonly layer: string;
  /** Of the layer's header, from the start of the bytes given. */
  readonly offset: number;
  readonly text: string;
}

export interface Ethernet {
  readonly destination: Mac;
  readonly source: Mac;
  readonly etherType: number;
}

export interface Arp {
  /** 1 request, 2 reply. */
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderAddress: string;
  readonly targetMac: Mac;
  readonly targetAddress: string;
}

export interface Ipv4 {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ttl: number;
  /** DSCP and ECN. */
  readonly typeOfService: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly options: Uint8Array;
  readonly totalLength: number;
  readonly checksumValid: boolean;
}

export interface Ipv6 {
  readonly source: string;
  readonly destination: string;
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly payloadLength: number;
  readonly extensions: readonly Ipv6Extension[];
  /** What follows the last extension header. */
  readonly protocol: number;
}

export type Ipv6Extension =
  | {
      readonly kind: 'hopByHop' | 'routing' | 'destinationOptions';
      /** After the first two bytes; 6, 14, 22 … bytes. */
      readonly data: Uint8Array;
    }
  | {
      readonly kind: 'fragment';
      /** In bytes, a multiple of 8. */
      readonly offset: number;
      readonly more: boolean;
      readonly identification: number;
    };

export interface Tcp {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** Letters as tcpdump has them: F S R P A U E W. */
  readonly flags: string;
  readonly window: number;
  readonly urgent: number;
  readonly options: Uint8Array;
  /** Undefined where the packet is cut off. */
  readonly checksumValid: boolean | undefined;
}

export interface Udp {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly length: number;
  /** True also for IPv4 without a checksum; undefined where the packet is cut off. */
  readonly checksumValid: boolean | undefined;
}

export interface Icmp {
  readonly type: number;
  readonly code: number;
  /** The four bytes after the checksum, for echo: identifier and sequence number. */
  readonly identifier: number;
  readonly sequence: number;
  readonly checksumValid: boolean | undefined;
  /** What the error is about. */
  readonly embedded?: Packet;
}

export interface Icmpv6 extends Icmp {
  readonly neighbour?: Neighbour;
}

/** Neighbour solicitation and advertisement (RFC 4861 4.3, 4.4). */
export interface Neighbour {
  readonly target: string;
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
  /** Option 1. */
  readonly sourceMac?: Mac;
  /** Option 2. */
  readonly targetMac?: Mac;
}

export interface Vxlan {
  readonly vni: number;
  readonly inner: Packet;
}
