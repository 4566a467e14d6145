import type { Icmp, Icmpv6, Packet } from './packet.ts';
import { IcmpType, Icmpv6Type } from './protocol.ts';

/** One line, in the manner of tcpdump; what could not be read stands at the end. */
export function formatPacket(packet: Packet): string {
  const parts = [describe(packet)];
  if (packet.truncated === true) parts.push('cut off');
  const { problem } = packet;
  if (problem !== undefined) parts.push(`[${problem.layer} at ${problem.offset}: ${problem.text}]`);
  return parts.filter((part) => part !== '').join(' ');
}

function describe(packet: Packet): string {
  const { ethernet, arp, ipv4, ipv6 } = packet;
  if (arp !== undefined) {
    return arp.operation === 1
      ? `ARP, Request who-has ${arp.targetAddress} tell ${arp.senderAddress}`
      : `ARP, Reply ${arp.senderAddress} is-at ${arp.senderMac}`;
  }
  const ip = ipv4 ?? ipv6;
  if (ip !== undefined) return `${ipv4 === undefined ? 'IP6' : 'IP'} ${describeIp(packet, ip)}`;
  if (ethernet === undefined) return '';
  const type = ethernet.etherType.toString(16).padStart(4, '0');
  return `${ethernet.source} > ${ethernet.destination}, ethertype 0x${type}, length ${packet.payload.length}`;
}

function describeIp(packet: Packet, ip: { source: string; destination: string; protocol: number }): string {
  const { tcp, udp } = packet;
  const ports = tcp ?? udp;
  const from = ports === undefined ? ip.source : `${ip.source}.${ports.sourcePort}`;
  const to = ports === undefined ? ip.destination : `${ip.destination}.${ports.destinationPort}`;
  return `${from} > ${to}: ${[describeFragment(packet), describeContent(packet, ip.protocol)].filter((text) => text !== '').join(', ')}`;
}

function describeFragment({ ipv4, ipv6 }: Packet): string {
  const fragment = ipv6?.extensions.find(({ kind }) => kind === 'fragment');
  const offset = ipv4?.fragmentOffset ?? (fragment?.kind === 'fragment' ? fragment.offset : 0);
  const more = ipv4?.moreFragments ?? (fragment?.kind === 'fragment' && fragment.more);
  return offset > 0 || more ? `frag at ${offset}${more ? '+' : ''}` : '';
}

function describeContent(packet: Packet, protocol: number): string {
  const { tcp, udp, icmp, icmpv6, vxlan, payload } = packet;
  const bad = (valid: boolean | undefined) => (valid === false ? ' (bad checksum)' : '');
  if (tcp !== undefined) {
    // tcpdump writes a dot for ACK.
    const flags = tcp.flags.replace('A', '.');
    const acknowledgement = tcp.flags.includes('A') ? `, ack ${tcp.acknowledgement}` : '';
    const sequence = `seq ${tcp.sequence}${acknowledgement}, win ${tcp.window}`;
    return `Flags [${flags === '' ? 'none' : flags}], ${sequence}, length ${payload.length}${bad(tcp.checksumValid)}`;
  }
  if (vxlan !== undefined) return `VXLAN, vni ${vxlan.vni} | ${formatPacket(vxlan.inner)}`;
  if (udp !== undefined) return `UDP, length ${payload.length}${bad(udp.checksumValid)}`;
  if (icmp !== undefined) return `ICMP ${describeIcmp(icmp, packet)}${bad(icmp.checksumValid)}`;
  if (icmpv6 !== undefined) return `ICMP6, ${describeIcmpv6(icmpv6, packet)}${bad(icmpv6.checksumValid)}`;
  return `protocol ${protocol}, length ${payload.length}`;
}

const unreachable = ['net', 'host', 'protocol', 'port', 'need to frag'];
const unreachable6 = ['no route', 'prohibited', 'beyond scope', 'address', 'port'];

function describeIcmp(icmp: Icmp, packet: Packet): string {
  const { type, code } = icmp;
  if (type === IcmpType.echoRequest) return `echo request${describeEcho(icmp, packet)}`;
  if (type === IcmpType.echoReply) return `echo reply${describeEcho(icmp, packet)}`;
  if (type === IcmpType.unreachable) return `${unreachable[code] ?? `code ${code}`} unreachable${about(icmp)}`;
  if (type === IcmpType.timeExceeded) return `time exceeded${about(icmp)}`;
  return `type ${type}, code ${code}${about(icmp)}`;
}

function describeIcmpv6(icmp: Icmpv6, packet: Packet): string {
  const { type, code, neighbour } = icmp;
  switch (type) {
    case Icmpv6Type.echoRequest:
      return `echo request${describeEcho(icmp, packet)}`;
    case Icmpv6Type.echoReply:
      return `echo reply${describeEcho(icmp, packet)}`;
    case Icmpv6Type.unreachable:
      return `${unreachable6[code] ?? `code ${code}`} unreachable${about(icmp)}`;
    case Icmpv6Type.tooBig:
      return `packet too big, mtu ${icmp.identifier * 0x10000 + icmp.sequence}${about(icmp)}`;
    case Icmpv6Type.timeExceeded:
      return `time exceeded${about(icmp)}`;
    case Icmpv6Type.neighbourSolicitation:
      return `neighbor solicitation, who has ${neighbour?.target ?? '?'}`;
    case Icmpv6Type.neighbourAdvertisement:
      return `neighbor advertisement, tgt is ${neighbour?.target ?? '?'}`;
    default:
      return `type ${type}, code ${code}`;
  }
}

function describeEcho(icmp: Icmp, packet: Packet): string {
  return `, id ${icmp.identifier}, seq ${icmp.sequence}, length ${packet.payload.length + 8}`;
}

function about(icmp: Icmp): string {
  return icmp.embedded === undefined ? '' : ` (${formatPacket(icmp.embedded)})`;
}
