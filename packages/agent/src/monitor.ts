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
import { type Address, formatAddressPort, formatPacket, parsePacket, tryParseAddress } from '@sluice/net';
import type { MonitorEvent } from './report.ts';

/** Who has an address, as far as this node knows: `namespace/pod`, `node NAME`, or empty. */
export type NameOf = (address: Address | undefined) => string;

export interface Monitor {
  /** For `GET /monitor`. */
  follow(send: (event: MonitorEvent) => void): Disposable;
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

/** Turns the programs' events into something to read, for as long as somebody reads. */
export function createMonitor(options: MonitorOptions): Monitor {
  const followers = new Set<(event: MonitorEvent) => void>();
  return {
    follow(send) {
      followers.add(send);
      return { [Symbol.dispose]: () => void followers.delete(send) };
    },
    onEvent(event) {
      if (followers.size === 0 || event.type === 'trace') return;
      const shown = monitorEvent(event, options);
      for (const send of followers) send(shown);
    },
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
    sourceIdentity: identityName(0),
    destinationIdentity: identityName(0),
    interface: pod === '' ? drop.device : `${drop.device} in ${pod}`,
    packet: formatPacket(packet).replace(' (bad checksum)', ''),
    length: drop.packetLength,
  };
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
