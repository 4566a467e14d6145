import { type BpfMap, openRingBuffer } from '@sluice/bpf';
import type { Logger } from '@sluice/runtime';
import { decodeDrop, type PacketDrop } from './drop-event.ts';
import { EventType } from './generated/enums.ts';
import { decodeKernelDrop, type KernelDrop } from './kernel-drop-event.ts';
import type { DatapathMaps } from './maps.ts';
import { type ConnectionTrace, decodeTrace } from './trace-event.ts';

/** What stands in the ring. */
export type DatapathEvent = PacketDrop | KernelDrop | ConnectionTrace;

export interface Events extends Disposable {
  /** Reads what is there without waiting to be woken; returns how many. */
  drain(): number;
  /** Events that found the ring full since the map was made. */
  lost(): bigint;
  /** Events of drops that a CPU's budget did not allow since the map was made; the packets are counted all the same. */
  withheld(): bigint;
  /** The same of trace events: changes of connections that nobody was told of. */
  tracesWithheld(): bigint;
}

export interface EventsOptions {
  readonly ring: BpfMap;
  readonly maps: Pick<DatapathMaps, 'eventBudgets' | 'eventLosses'>;
  readonly onEvent: (event: DatapathEvent) => void;
  readonly log: Logger;
}

/** Nobody who looks at events sees the difference; to be woken by each costs its CPU 30 us, taken from the traffic. */
const restMs = 50;

export function openEvents({ ring, maps, onEvent, log }: EventsOptions): Events {
  const reader = openRingBuffer(ring, (record) => onEvent(decodeEvent(record)), {
    losses: maps.eventLosses,
    restMs,
    // The ring is pinned: it may hold what the programs of another version wrote before ours took their places.
    onError: (error) => log.warn({ error }, 'an event of the programs cannot be read and is left out'),
  });
  const withheld = (...types: readonly EventType[]): bigint =>
    types.flatMap((type) => maps.eventBudgets.lookup(type) ?? []).reduce((sum, budget) => sum + budget.withheld, 0n);
  return {
    drain: () => reader.drain(),
    lost: () => reader.lost(),
    withheld: () => withheld(EventType.Drop, EventType.KernelDrop),
    tracesWithheld: () => withheld(EventType.Trace),
    [Symbol.dispose]: () => reader[Symbol.dispose](),
  };
}

/** Throws RangeError on a record that no program of this version writes. */
export function decodeEvent(record: DataView): DatapathEvent {
  const time = { now: Date.now(), monotonicNs: process.hrtime.bigint() };
  const type = record.byteLength > 0 ? record.getUint8(0) : 0;
  switch (type) {
    case EventType.Drop:
      return decodeDrop(record, time);
    case EventType.Trace:
      return decodeTrace(record, time);
    case EventType.KernelDrop:
      return decodeKernelDrop(record, time);
    default:
      throw new RangeError(`${type} is no type of event`);
  }
}
