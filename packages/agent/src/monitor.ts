import { dropReasonText, type PacketDrop, TracePoint, tracePointNames } from '@sluice/datapath';
import { identityName, protocolName } from '@sluice/model';
import { type Address, formatAddressPort, formatPacket, parsePacket } from '@sluice/net';
import type { MonitorEvent } from './report.ts';

/** Who has an address, as far as this node knows: `namespace/pod`, `node NAME`, or empty. */
export type NameOf = (address: Address | undefined) => string;

export interface Monitor {
  /** For `GET /monitor`. */
  follow(send: (event: MonitorEvent) => void): Disposable;
  /** For the datapath. */
  readonly onDrop: (drop: PacketDrop) => void;
}

export interface MonitorOptions {
  readonly nameOf: NameOf;
  readonly interfaceOf: (ifindex: number) => string;
}

/** Turns the programs' events into something to read, for as long as somebody reads. */
export function createMonitor(options: MonitorOptions): Monitor {
  const followers = new Set<(event: MonitorEvent) => void>();
  return {
    follow(send) {
      followers.add(send);
      return { [Symbol.dispose]: () => void followers.delete(send) };
    },
    onDrop(event) {
      if (followers.size === 0) return;
      const shown = monitorEvent(event, options);
      for (const send of followers) send(shown);
    },
  };
}

export function monitorEvent(drop: PacketDrop, { nameOf, interfaceOf }: MonitorOptions): MonitorEvent {
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

/** A local sender leaves the checksum to the device (CHECKSUM_PARTIAL): what is not filled in yet is not wrong. */
function packetText(drop: PacketDrop): string {
  return formatPacket(parsePacket(drop.packet)).replace(' (bad checksum)', '');
}

/** A refused connect(): there was no packet. */
function callText({ source, destination, destinationPort, protocol }: PacketDrop): string {
  const target = destination === undefined ? '' : formatAddressPort(destination, destinationPort);
  return `${protocolName(protocol)} ${source ?? ''} > ${target} connect() refused`;
}
