/**
 * Addresses, prefixes, Ethernet addresses, checksums and packets: pure functions on text and bytes. It opens no socket
 * and knows no map. Begin with `address.ts`; packets are built by `packet()` and read by `parsePacket`.
 */
export {
  type Address,
  AddressError,
  type AddressFamily,
  addressCodec,
  addressFromBytes,
  addressFromWire,
  addressToBytes,
  addressToWire,
  compareAddresses,
  familyOf,
  formatAddressPort,
  isAddress,
  isLinkLocal,
  isLoopback,
  parseAddress,
  tryParseAddress,
} from './address.ts';
export { type Mac, macCodec, macFromBytes, macToBytes, parseMac } from './mac.ts';
export {
  type ArpFields,
  type EthernetFields,
  type IcmpFields,
  type Ipv4Fields,
  type Ipv6Fields,
  type NeighbourFields,
  type PacketBuilder,
  packet,
  type TcpFields,
  type UdpFields,
} from './packet/build.ts';
export { checksum, pseudoHeader } from './packet/checksum.ts';
export { formatPacket } from './packet/format.ts';
export type {
  Arp,
  Ethernet,
  Icmp,
  Icmpv6,
  Ipv4,
  Ipv6,
  Ipv6Extension,
  Neighbour,
  Packet,
  PacketProblem,
  Tcp,
  Udp,
  Vxlan,
} from './packet/packet.ts';
export { type ParseOptions, parsePacket } from './packet/parse.ts';
export { EtherType, IcmpType, Icmpv6Type, Protocol } from './packet/protocol.ts';
export {
  formatPrefix,
  hostPrefix,
  type Prefix,
  parsePrefix,
  prefixAddressAt,
  prefixContains,
  prefixesOverlap,
  prefixIndexOf,
  prefixOf,
  prefixSize,
} from './prefix.ts';
