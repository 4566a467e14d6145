import { type Address, familyOf, type Mac, packet } from '@sluice/net';

export interface ProbePacket {
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: 'TCP' | 'UDP';
  readonly sourceMac: Mac;
  readonly destinationMac: Mac;
}

/** The first packet of a connection, as its client's kernel would send it: a SYN, or a datagram. */
export function probePacket(probe: ProbePacket): Uint8Array {
  const { source, destination, sourcePort, destinationPort, protocol } = probe;
  const frame = packet().ethernet({ source: probe.sourceMac, destination: probe.destinationMac });
  const ends = { source, destination };
  const network = familyOf(destination) === 4 ? frame.ipv4(ends) : frame.ipv6(ends);
  const ports = { sourcePort, destinationPort };
  return protocol === 'TCP' ? network.tcp(ports).payload() : network.udp(ports).payload('explain');
}
