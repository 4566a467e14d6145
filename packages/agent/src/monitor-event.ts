/** What the programs report, with names and in words. */
import {
  type ConnectionEnd,
  type ConnectionTrace,
  ctStateNames,
  type DatapathEvent,
  DropReason,
  type DropReasonText,
  dropReasonText,
  type KernelDrop,
  type PacketDrop,
  TracePoint,
  tracePointNames,
} from '@sluice/datapath';
import { identityName, protocolName } from '@sluice/model';
import { formatAddressPort, formatPacket, type Packet, parsePacket, tryParseAddress } from '@sluice/net';
import type { NameOf } from './names.ts';
import type { MonitorDrop, MonitorEvent, MonitorTrace, NamedEnd } from './report.ts';

/** Where names come from. */
export interface NamingOptions {
  readonly nameOf: NameOf;
  readonly interfaceOf: (ifindex: number) => string;
  /** Of the running kernel's own reasons. */
  readonly kernelReason: (reason: number, functionName: string) => DropReasonText;
  /** All of them; a reason may say more, such as the name of a function. */
  readonly kernelReasons: () => readonly string[];
  /** Programs of others at a device, or empty. */
  readonly othersAt: (device: string) => string;
  /** `namespace/pod` of an endpoint, or empty. */
  readonly endpointName: (id: number) => string;
}

export function monitorEvent(event: DatapathEvent, options: NamingOptions): MonitorEvent {
  switch (event.type) {
    case 'drop':
      return programEvent(event, options);
    case 'kernel-drop':
      return kernelEvent(event, options);
    case 'trace':
      return traceEvent(event, options);
    default:
      return event satisfies never;
  }
}

function programEvent(drop: PacketDrop, { nameOf, interfaceOf }: NamingOptions): MonitorDrop {
  const { text, hint } = dropReasonText[drop.reason];
  return {
    type: 'drop',
    at: drop.at,
    reason: text,
    hint,
    direction: drop.direction,
    tracePoint: tracePointNames[drop.tracePoint],
    source: nameOf(drop.source) || (drop.source ?? ''),
    destination: nameOf(drop.destination) || (drop.destination ?? ''),
    sourceAddress: drop.source ?? '',
    sourcePort: drop.sourcePort,
    destinationAddress: drop.destination ?? '',
    destinationPort: drop.destinationPort,
    protocol: drop.protocol === 0 ? '' : protocolName(drop.protocol),
    sourceIdentity: identityName(drop.sourceIdentity),
    destinationIdentity: identityName(drop.destinationIdentity),
    // A call was refused before there was a packet at any device.
    interface: drop.ifindex === 0 ? '' : interfaceOf(drop.ifindex),
    packet: drop.tracePoint === TracePoint.Socket ? callText(drop) : packetText(drop),
    length: drop.packetLength,
  };
}

/** The kernel knows no identities; who it was is read from the packet. */
function kernelEvent(drop: KernelDrop, options: NamingOptions): MonitorDrop {
  const { nameOf, kernelReason, endpointName } = options;
  const { text, hint } = kernelReason(drop.reason, drop.functionName);
  const packet = parsePacket(drop.packet, { start: drop.start });
  const ip = packet.ipv4 ?? packet.ipv6;
  const ports = packet.tcp ?? packet.udp;
  const nameOrText = (text = '') => nameOf(tryParseAddress(text)) || text;
  const pod = drop.endpointId === 0 ? '' : endpointName(drop.endpointId) || `endpoint ${drop.endpointId}`;
  return {
    type: 'drop',
    at: drop.at,
    reason: text,
    hint: isOfAnotherProgram(text) ? options.othersAt(drop.device) || hint : hint,
    direction: 'kernel',
    tracePoint: drop.functionName,
    source: nameOrText(ip?.source),
    destination: nameOrText(ip?.destination),
    sourceAddress: ip?.source ?? '',
    sourcePort: ports?.sourcePort ?? 0,
    destinationAddress: ip?.destination ?? '',
    destinationPort: ports?.destinationPort ?? 0,
    protocol: protocolOf(packet),
    sourceIdentity: identityName(0),
    destinationIdentity: identityName(0),
    interface: pod === '' ? drop.device : `${drop.device} in ${pod}`,
    packet: formatPacket(packet).replace(' (bad checksum)', ''),
    length: drop.packetLength,
  };
}

/** TC_INGRESS, TC_EGRESS and XDP, in the words of the datapath. */
const isOfAnotherProgram = (reason: string): boolean => /by (another program|an XDP program)/.test(reason);

function traceEvent(trace: ConnectionTrace, { nameOf, interfaceOf }: NamingOptions): MonitorTrace {
  const { source, destination, packets, bytes } = trace;
  const end = ({ address, port }: ConnectionEnd): NamedEnd => ({ address: address ?? '', port, name: nameOf(address) });
  return {
    type: 'trace',
    at: trace.at,
    state: ctStateNames[trace.state],
    direction: trace.direction,
    tracePoint: tracePointNames[trace.tracePoint],
    source: nameOf(source.address) || (source.address ?? ''),
    destination: nameOf(destination.address) || (destination.address ?? ''),
    sourceAddress: source.address ?? '',
    sourcePort: source.port,
    destinationAddress: destination.address ?? '',
    destinationPort: destination.port,
    protocol: protocolName(trace.protocol),
    sourceIdentity: identityName(trace.sourceIdentity),
    destinationIdentity: identityName(trace.destinationIdentity),
    interface: interfaceOf(trace.ifindex),
    frontend: trace.frontend && end(trace.frontend),
    translatedSource: trace.translatedSource && end(trace.translatedSource),
    packets: { sent: packets[0] ?? 0, replied: packets[1] ?? 0 },
    bytes: { sent: bytes[0] ?? 0, replied: bytes[1] ?? 0 },
  };
}

function protocolOf({ tcp, udp, icmp, icmpv6 }: Packet): string {
  if (tcp) return 'TCP';
  if (udp) return 'UDP';
  if (icmp) return 'ICMP';
  return icmpv6 ? 'ICMPv6' : '';
}

/** A local sender leaves the checksum to the device (CHECKSUM_PARTIAL): what is not filled in yet is not wrong. */
function packetText(drop: PacketDrop): string {
  return formatPacket(parsePacket(drop.packet)).replace(' (bad checksum)', '');
}

/** A refused connect() or bind(): there was no packet. */
function callText({ reason, source, destination, destinationPort, protocol }: PacketDrop): string {
  const target = destination === undefined ? '' : formatAddressPort(destination, destinationPort);
  if (reason === DropReason.PortOfService) return `${protocolName(protocol)} bind() to ${target} refused`;
  return `${protocolName(protocol)} ${source ?? ''} > ${target} connect() refused`;
}
