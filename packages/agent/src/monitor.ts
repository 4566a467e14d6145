import {
  type DatapathEvent,
  type DropReasonText,
  dropReasonText,
  type KernelDrop,
  type PacketDrop,
  TracePoint,
  tracePointNames,
} from '@sluice/datapath';
import { identityName, protocolName } from '@sluice/model';
import { type Address, formatAddressPort, formatPacket, type Packet, parsePacket, tryParseAddress } from '@sluice/net';
import { knownParameters, QueryError, wholeParameter } from './query.ts';
import { RecentEvents } from './recent-events.ts';
import type { MonitorEvent } from './report.ts';
import { type Traffic, trafficFilter, trafficParameters } from './traffic.ts';

/** Who has an address, as far as this node knows: `namespace/pod`, `node NAME`, or empty. */
export type NameOf = (address: Address | undefined) => string;

/** What of the events is asked for. */
export interface MonitorQuery {
  readonly isWanted: (event: MonitorEvent) => boolean;
  /** Of those that have been, the last so many. */
  readonly last: number;
}

export interface Monitor {
  /** For `GET /monitor`: those that have been, as far as the query wants any, and those to come. */
  follow(query: MonitorQuery, send: (event: MonitorEvent) => void): Disposable;
  /** For `GET /events`: only those that have been, oldest first. */
  recent(query: MonitorQuery): MonitorEvent[];
  /** For the datapath. */
  readonly onEvent: (event: DatapathEvent) => void;
}

export interface MonitorOptions {
  readonly nameOf: NameOf;
  readonly interfaceOf: (ifindex: number) => string;
  /** Of the running kernel's own reasons. */
  readonly kernelReason: (reason: number, functionName: string) => DropReasonText;
  /** `namespace/pod` of an endpoint, or empty. */
  readonly endpointName: (id: number) => string;
}

/** Kept for who asks afterwards: half a megabyte. */
const recentMax = 1_000;

/** Turns the programs' events into something to read, for as long as somebody reads, and keeps the last ones. */
export function createMonitor(options: MonitorOptions): Monitor {
  const followers = new Set<(event: MonitorEvent) => void>();
  const events = new RecentEvents<PacketDrop | KernelDrop>(recentMax);
  const recent = ({ isWanted, last }: MonitorQuery): MonitorEvent[] => {
    if (last === 0) return [];
    const shown = events.list().map((event) => monitorEvent(event, options));
    return shown.filter(isWanted).slice(-last);
  };
  return {
    recent,
    follow(query, send) {
      const sendWanted = (event: MonitorEvent): void => {
        if (query.isWanted(event)) send(event);
      };
      for (const event of recent(query)) send(event);
      followers.add(sendWanted);
      return { [Symbol.dispose]: () => void followers.delete(sendWanted) };
    },
    onEvent(event) {
      if (event.type === 'trace') return;
      events.add(event);
      if (followers.size === 0) return;
      const shown = monitorEvent(event, options);
      for (const send of followers) send(shown);
    },
  };
}

/** Of a question such as `?type=drop&pod=shop/web&last=20`; throws QueryError. */
export function monitorQuery(parameters: URLSearchParams): MonitorQuery {
  const query = knownParameters(parameters, ['type', 'reason', 'since', 'last', ...trafficParameters]);
  const type = query.get('type') ?? 'drop';
  if (type !== 'drop') throw new QueryError(`type ${type}: drop`);
  const reasons = query.getAll('reason').map(plainReason);
  const since = wholeParameter(query, 'since');
  const isWantedTraffic = trafficFilter(query);
  return {
    isWanted: (event) =>
      (since === undefined || event.at >= since) &&
      (reasons.length === 0 || reasons.some((reason) => plainReason(event.reason).includes(reason))) &&
      isWantedTraffic(trafficOf(event)),
    last: wholeParameter(query, 'last') ?? (since === undefined ? 0 : recentMax),
  };
}

/** `No backend`, `no_backend` and `no-backend` are the same. */
const plainReason = (text: string): string => text.toLowerCase().replaceAll(/[_-]/g, ' ');

function trafficOf(event: MonitorEvent): Traffic {
  return {
    source: { address: tryParseAddress(event.sourceAddress), port: event.sourcePort, name: event.source },
    destination: {
      address: tryParseAddress(event.destinationAddress),
      port: event.destinationPort,
      name: event.destination,
    },
    protocol: event.protocol,
  };
}

export function monitorEvent(drop: PacketDrop | KernelDrop, options: MonitorOptions): MonitorEvent {
  return drop.type === 'drop' ? programEvent(drop, options) : kernelEvent(drop, options);
}

function programEvent(drop: PacketDrop, { nameOf, interfaceOf }: MonitorOptions): MonitorEvent {
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
    interface: interfaceOf(drop.ifindex),
    packet: drop.tracePoint === TracePoint.Socket ? callText(drop) : packetText(drop),
    length: drop.packetLength,
  };
}

/** The kernel knows no identities; who it was is read from the packet. */
function kernelEvent(drop: KernelDrop, { nameOf, kernelReason, endpointName }: MonitorOptions): MonitorEvent {
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
    hint,
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

/** A refused connect(): there was no packet. */
function callText({ source, destination, destinationPort, protocol }: PacketDrop): string {
  const target = destination === undefined ? '' : formatAddressPort(destination, destinationPort);
  return `${protocolName(protocol)} ${source ?? ''} > ${target} connect() refused`;
}
