/** Numbers of the wire (IANA). */
export const EtherType = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;

export const Protocol = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  icmpv6: 58,
  noNext: 59,
  destinationOptions: 60,
  sctp: 132,
} as const;

/** RFC 7348; the kernel's default of 8472 is older. Which port carries VXLAN here is the parser's option. */
export const VXLAN_PORTS: readonly number[] = [4789, 8472];

export const IcmpType = {
  echoReply: 0,
  unreachable: 3,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
} as const;
export const Icmpv6Type = {
  unreachable: 1,
  tooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
  neighbourSolicitation: 135,
  neighbourAdvertisement: 136,
} as const;

/** As tcpdump writes them, in the order of the bits. */
const TCP_FLAGS = 'FSRPAUEW';

/** `SA` from bits; bits beyond the eight are ignored. */
export function tcpFlagsText(bits: number): string {
  return [...TCP_FLAGS].filter((_, index) => (bits & (1 << index)) !== 0).join('');
}

/** Bits from `SA`, in any order; throws RangeError for another letter. */
export function tcpFlagsBits(flags: string): number {
  return [...flags].reduce((bits, letter) => {
    const index = TCP_FLAGS.indexOf(letter);
    if (index < 0) throw new RangeError(`"${letter}" is not one of the TCP flags ${TCP_FLAGS}`);
    return bits | (1 << index);
  }, 0);
}
