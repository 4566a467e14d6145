import type { Address } from '@sluice/net';
import { type EventTime, timeOfEvent } from './event-time.ts';
import { Direction, DropReason, TracePoint } from './generated/enums.ts';
import { dropEventCodec } from './generated/structs.ts';

/** A packet that was dropped by one of our programs. */
export interface PacketDrop {
  readonly type: 'drop';
  readonly reason: DropReason;
  /** Seen from the pod. */
  readonly direction: 'ingress' | 'egress';
  readonly tracePoint: TracePoint;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly ifindex: number;
  /** Undefined where the packet ended before. */
  readonly source: Address | undefined;
  readonly destination: Address | undefined;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** IPPROTO_*; 0 where it could not be read. */
  readonly protocol: number;
  /** 0: unknown. */
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly endpointId: number;
  readonly packetLength: number;
  /** In the program's C source: one reason can have several places. */
  readonly line: number;
  /** The packet's beginning, from its Ethernet header on. */
  readonly packet: Uint8Array;
}

/** Throws RangeError on a record that no program of this version writes. */
export function decodeDrop(record: DataView, time: EventTime): PacketDrop {
  if (record.byteLength < dropEventCodec.size) {
    throw new RangeError(`a drop event has ${dropEventCodec.size} bytes, this record ${record.byteLength}`);
  }
  const event = dropEventCodec.decode(record, 0);
  const { tuple } = event;
  return {
    type: 'drop',
    reason: memberOf(DropReason, event.reason, 'drop reason'),
    direction: event.direction === Direction.Egress ? 'egress' : 'ingress',
    tracePoint: memberOf(TracePoint, event.tracePoint, 'trace point'),
    at: timeOfEvent(event.timestampNs, time),
    ifindex: event.ifindex,
    source: tuple.source,
    destination: tuple.destination,
    sourcePort: tuple.sourcePort,
    destinationPort: tuple.destinationPort,
    protocol: tuple.protocol,
    sourceIdentity: event.sourceIdentity,
    destinationIdentity: event.destinationIdentity,
    endpointId: event.endpointId,
    packetLength: event.packetLength,
    line: event.line,
    packet: event.packet.slice(0, event.capturedLength),
  };
}

/** Throws RangeError on a number that is none of an enum's. */
export function memberOf<Value extends number>(
  members: Readonly<Record<string, Value>>,
  value: number,
  what: string,
): Value {
  const member = Object.values(members).find((candidate) => candidate === value);
  if (member === undefined) throw new RangeError(`${value} is no ${what}`);
  return member;
}
