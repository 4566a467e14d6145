import type { Mac } from '../mac.ts';
import {
  encodeArp,
  encodeEthernet,
  encodeIcmp,
  encodeIpv4,
  encodeIpv6,
  encodeTcp,
  encodeUdp,
  encodeVxlan,
  type Layer,
} from './encode.ts';
import type { Arp, Ethernet, Icmp, Ipv4, Ipv6, Neighbour, Tcp, Udp } from './packet.ts';
import { Icmpv6Type } from './protocol.ts';

/** Fields given here overrule what would be right, to build packets that are wrong. */
type Fields<T, Overrides = object> = Partial<Omit<T, 'checksumValid' | 'embedded' | 'neighbour' | keyof Overrides>> &
  Overrides;
interface Checksummed {
  readonly checksum?: number;
}

export type EthernetFields = Fields<Ethernet>;
export type ArpFields = Fields<Arp>;
export type Ipv4Fields = Fields<Ipv4, Checksummed>;
export type Ipv6Fields = Fields<Ipv6>;
export type TcpFields = Fields<Tcp, Checksummed>;
export type UdpFields = Fields<Udp, Checksummed>;
export type IcmpFields = Fields<Icmp, Checksummed>;
export interface NeighbourFields {
  readonly target: string;
  readonly router?: boolean;
  readonly solicited?: boolean;
  readonly override?: boolean;
  readonly sourceMac?: Mac;
  readonly targetMac?: Mac;
}

/**
 * Builds a packet from the outside in; lengths, next protocols and checksums are filled in at the end. Immutable, so
 * that a common beginning can be used several times.
 *
 *     packet().ethernet().ipv4({ source: '10.0.0.1', destination: '10.0.0.2' }).udp({ destinationPort: 53 }).payload('hi')
 */
export class PacketBuilder {
  readonly #layers: readonly Layer[];

  constructor(layers: readonly Layer[] = []) {
    this.#layers = layers;
  }

  ethernet(fields: EthernetFields = {}): PacketBuilder {
    return this.#with(encodeEthernet(fields));
  }

  /** A request, unless the operation says otherwise. */
  arp(fields: ArpFields = {}): PacketBuilder {
    return this.#with(encodeArp(fields));
  }

  ipv4(fields: Ipv4Fields = {}): PacketBuilder {
    return this.#with(encodeIpv4(fields));
  }

  ipv6(fields: Ipv6Fields = {}): PacketBuilder {
    return this.#with(encodeIpv6(fields));
  }

  /** A SYN, unless the flags say otherwise. */
  tcp(fields: TcpFields = {}): PacketBuilder {
    return this.#with(encodeTcp(fields));
  }

  udp(fields: UdpFields = {}): PacketBuilder {
    return this.#with(encodeUdp(fields));
  }

  /** An echo request, unless the type says otherwise. */
  icmp(fields: IcmpFields = {}): PacketBuilder {
    return this.#with(encodeIcmp('icmp', fields));
  }

  /** An echo request, unless the type says otherwise. */
  icmpv6(fields: IcmpFields = {}): PacketBuilder {
    return this.#with(encodeIcmp('icmpv6', { type: Icmpv6Type.echoRequest, ...fields }));
  }

  neighbourSolicitation(fields: NeighbourFields): PacketBuilder {
    return this.#neighbour(Icmpv6Type.neighbourSolicitation, fields);
  }

  /** Solicited and overriding, unless it says otherwise. */
  neighbourAdvertisement(fields: NeighbourFields): PacketBuilder {
    return this.#neighbour(Icmpv6Type.neighbourAdvertisement, { solicited: true, override: true, ...fields });
  }

  /** Goes on with the packet inside. */
  vxlan(fields: { readonly vni: number }): PacketBuilder {
    return this.#with(encodeVxlan(fields.vni));
  }

  /** Ends the packet: text, bytes or nothing. */
  payload(content: string | Uint8Array = ''): Uint8Array {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    return this.#layers.reduceRight(
      (inner, layer, index) =>
        layer.encode(inner, { outer: this.#layers[index - 1], inside: this.#layers[index + 1]?.kind }),
      bytes,
    );
  }

  #neighbour(type: number, fields: NeighbourFields): PacketBuilder {
    const neighbour: Neighbour = { router: false, solicited: false, override: false, ...fields };
    return this.#with(encodeIcmp('icmpv6', { type, neighbour }));
  }

  #with(layer: Layer): PacketBuilder {
    return new PacketBuilder([...this.#layers, layer]);
  }
}

export function packet(): PacketBuilder {
  return new PacketBuilder();
}
