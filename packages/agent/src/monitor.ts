import {
  type Direction,
  type DropEvent,
  type DropReason,
  directionNames,
  dropReasonText,
  type TracePoint,
  tracePointNames,
} from '@sluice/datapath';
import { identityName } from '@sluice/model';
import { type Address, formatPacket, parsePacket } from '@sluice/net';
import type { Clock } from '@sluice/runtime';
import type { MonitorEvent } from './report.ts';

/** Who has an address, as far as this node knows: `namespace/pod`, `node NAME`, or empty. */
export type NameOf = (address: Address | undefined) => string;

export interface Monitor {
  /** For `GET /monitor`. */
  follow(send: (event: MonitorEvent) => void): Disposable;
  /** For the datapath. */
  readonly onDrop: (event: DropEvent) => void;
}

export interface MonitorOptions {
  readonly nameOf: NameOf;
  readonly interfaceOf: (ifindex: number) => string;
  readonly clock: Clock;
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

export function monitorEvent(event: DropEvent, { nameOf, interfaceOf, clock }: MonitorOptions): MonitorEvent {
  const { text, hint } = dropReasonText[event.reason as DropReason] ?? {
    text: `reason ${event.reason}`,
    hint: 'the programs are newer than the agent',
  };
  return {
    type: 'drop',
    // The event is less than a wake-up old; the kernel's clock counts from the machine's start.
    at: clock.now(),
    reason: text,
    hint,
    direction: directionNames[event.direction as Direction] === 'ingress' ? 'ingress' : 'egress',
    tracePoint: tracePointNames[event.tracePoint as TracePoint] ?? String(event.tracePoint),
    source: nameOf(event.tuple.source) || (event.tuple.source ?? ''),
    destination: nameOf(event.tuple.destination) || (event.tuple.destination ?? ''),
    sourceIdentity: identityName(event.sourceIdentity),
    destinationIdentity: identityName(event.destinationIdentity),
    interface: interfaceOf(event.ifindex),
    packet: describePacket(event.packet.subarray(0, event.capturedLength)),
    length: event.packetLength,
  };
}

// What was captured may end in the middle of a header: that is often why it was dropped.
function describePacket(bytes: Uint8Array): string {
  try {
    return formatPacket(parsePacket(bytes));
  } catch (error) {
    return `${Buffer.from(bytes.subarray(0, 32)).toString('hex')} (${error instanceof Error ? error.message : String(error)})`;
  }
}
