import { type BpfMap, openRingBuffer } from '@sluice/bpf';
import type { Address } from '@sluice/net';
import type { Logger } from '@sluice/runtime';
import { type EventTime, timeOfEvent } from './event-time.ts';
import { Direction, DropReason, EventType, TracePoint } from './generated/enums.ts';
import { dropEventCodec } from './generated/structs.ts';
import { decodeKernelDrop, type KernelDrop } from './kernel-drop-event.ts';
import type { DatapathMaps } from './maps.ts';

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

function memberOf<Value extends number>(members: Readonly<Record<string, Value>>, value: number, what: string): Value {
  const member = Object.values(members).find((candidate) => candidate === value);
  if (member === undefined) throw new RangeError(`${value} is no ${what}`);
  return member;
}

/** What stands in the ring. */
export type DropEvent = PacketDrop | KernelDrop;

export interface Drops extends Disposable {
  /** Reads what is there without waiting to be woken; returns how many. */
  drain(): number;
  /** Events that found the ring full since the map was made. */
  lost(): bigint;
  /** Events that a CPU's budget did not allow since the map was made; their packets are counted all the same. */
  withheld(): bigint;
}

export interface DropsOptions {
  readonly ring: BpfMap;
  readonly maps: Pick<DatapathMaps, 'eventBudgets' | 'eventLosses' | 'kernelBudgets'>;
  readonly onEvent: (event: DropEvent) => void;
  readonly log: Logger;
}

export function openDrops({ ring, maps, onEvent, log }: DropsOptions): Drops {
  const reader = openRingBuffer(ring, (record) => onEvent(decodeEvent(record)), {
    losses: maps.eventLosses,
    // The ring is pinned: it may hold what the programs of another version wrote before ours took their places.
    onError: (error) => log.warn({ error }, 'a drop event cannot be read and is left out'),
  });
  return {
    drain: () => reader.drain(),
    lost: () => reader.lost(),
    withheld: () =>
      [maps.eventBudgets, maps.kernelBudgets]
        .flatMap((budgets) => budgets.lookup(0) ?? [])
        .reduce((sum, budget) => sum + budget.withheld, 0n),
    [Symbol.dispose]: () => reader[Symbol.dispose](),
  };
}

function decodeEvent(record: DataView): DropEvent {
  const isKernel = record.byteLength > 0 && record.getUint8(0) === EventType.KernelDrop;
  return isKernel ? decodeKernelDrop(record, eventTime()) : decodeDrop(record, eventTime());
}

function eventTime(): EventTime {
  return { now: Date.now(), monotonicNs: process.hrtime.bigint() };
}
