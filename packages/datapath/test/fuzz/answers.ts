/**
 * What comes back: replies to, and errors about, packets that our programs have translated before. Without the
 * connections that these leave behind, the ways back would never be walked.
 */
import { type Address, type Packet, packet, parseAddress, parsePacket } from '@sluice/net';
import { type Bench, gateway, pod } from '../programs.ts';
import { service, world } from './corpus.ts';

const ETHERNET_BYTES = 14;
/** Replies count as many times, or they would drown in the rest. */
const WEIGHT = 6;

/** Of what a pod sent, for programs that see what comes back. */
export function answers(bench: Bench, program: string): Uint8Array[] {
  const sent = program.startsWith('netdev')
    ? translated(bench, 'pod_from_pod', world).flatMap((bytes) => left(bench, 'netdev_to_network', bytes))
    : [...translated(bench, 'pod_from_pod', service), ...translated(bench, 'host_from_host', service)];
  const back = sent.flatMap((bytes) => [reply(parsePacket(bytes)), error(bytes)]);
  return Array.from({ length: WEIGHT }, () => back).flat();
}

type Families = { readonly ipv4: Address; readonly ipv6: Address };

/** As they leave the program, which has them go on. */
function translated(bench: Bench, program: string, to: Families): Uint8Array[] {
  const source = program.startsWith('host') ? gateway : pod;
  const frame = packet().ethernet({ source: source.mac, destination: gateway.mac });
  const sent = [
    frame.ipv4({ source: source.ipv4, destination: to.ipv4 }),
    frame.ipv6({ source: source.ipv6, destination: to.ipv6 }),
  ].flatMap((ip) => [
    ...[40_001, 40_002, 40_003].map((sourcePort) => ip.tcp({ sourcePort, destinationPort: 80 }).payload()),
    ip.udp({ sourcePort: 40_001, destinationPort: 53 }).payload('question'),
    ip.icmp({ identifier: 40_001, sequence: 1 }).payload('ping'),
    ip.icmpv6({ identifier: 40_001, sequence: 1 }).payload('ping'),
  ]);
  return sent.flatMap((bytes) => left(bench, program, bytes));
}

function left(bench: Bench, program: string, bytes: Uint8Array): Uint8Array[] {
  const { action, bytes: behind } = bench.run(program, bytes);
  return action === 'drop' ? [] : [behind];
}

/** Lets the packets begin their connections where they would begin: a device of the network only goes on with those. */
export function begin(bench: Bench, program: string, packets: readonly Uint8Array[]): void {
  if (program !== 'netdev_to_network') return;
  for (const bytes of packets) bench.run('pod_from_pod', bytes);
}

function reply({ ipv4, ipv6, tcp, udp, icmp, icmpv6, payload }: Packet): Uint8Array {
  const frame = packet().ethernet({ source: gateway.mac, destination: gateway.mac });
  const ends = ipv4 ?? ipv6;
  if (ends === undefined) throw new Error('a program made something else than IP of a packet');
  const turned = { source: ends.destination, destination: ends.source };
  const ip = ipv4 === undefined ? frame.ipv6(turned) : frame.ipv4(turned);
  const ports = tcp ?? udp;
  const back = { sourcePort: ports?.destinationPort ?? 0, destinationPort: ports?.sourcePort ?? 0 };
  if (tcp !== undefined) return ip.tcp({ ...back, flags: 'SA' }).payload();
  if (udp !== undefined) return ip.udp(back).payload('answer');
  if (icmp !== undefined) return ip.icmp({ ...icmp, type: 0 }).payload(payload);
  return ip.icmpv6({ identifier: icmpv6?.identifier ?? 0, sequence: 1, type: 129 }).payload(payload);
}

/** From a router on the way. */
function error(bytes: Uint8Array): Uint8Array {
  const { ipv4, ipv6 } = parsePacket(bytes);
  const quoted = bytes.subarray(ETHERNET_BYTES, ETHERNET_BYTES + 128);
  const frame = packet().ethernet({ source: gateway.mac, destination: gateway.mac });
  if (ipv4 !== undefined) {
    return frame.ipv4({ source: '198.51.100.1', destination: ipv4.source }).icmp({ type: 3, code: 1 }).payload(quoted);
  }
  const destination = ipv6?.source ?? parseAddress('::1');
  return frame.ipv6({ source: '2001:db8:1::1', destination }).icmpv6({ type: 1, code: 3 }).payload(quoted);
}
