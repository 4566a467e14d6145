import type { Address } from '@sluice/net';
import { memberOf } from './drop-event.ts';
import { type EventTime, timeOfEvent } from './event-time.ts';
import { CtState, Direction, TracePoint } from './generated/enums.ts';
import { type TupleEnd, traceEventCodec } from './generated/structs.ts';

/** One side of a connection. */
export interface ConnectionEnd {
  readonly address: Address | undefined;
  /** ICMP echo: the identifier. */
  readonly port: number;
}

/** A connection whose state has changed, as conntrack has it. */
export interface ConnectionTrace {
  readonly type: 'trace';
  readonly state: CtState;
  /** Of the packet that changed it, seen from the pod. */
  readonly direction: 'ingress' | 'egress';
  readonly tracePoint: TracePoint;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly ifindex: number;
  /** Who began it, and whom its packets reach: behind a service the backend. */
  readonly source: ConnectionEnd;
  readonly destination: ConnectionEnd;
  /** IPPROTO_* */
  readonly protocol: number;
  /** The frontend that the client named. */
  readonly frontend: ConnectionEnd | undefined;
  /** What the source is translated to. */
  readonly translatedSource: ConnectionEnd | undefined;
  /** 0: unknown. */
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly endpointId: number;
  /** Union of the TCP flags so far, by direction: [0] of who began it, [1] replies. */
  readonly tcpFlags: readonly number[];
  /** So far, by direction. */
  readonly packets: readonly number[];
  readonly bytes: readonly number[];
}

/** Throws RangeError on a record that no program of this version writes. */
export function decodeTrace(record: DataView, time: EventTime): ConnectionTrace {
  if (record.byteLength < traceEventCodec.size) {
    throw new RangeError(`a trace event has ${traceEventCodec.size} bytes, this record ${record.byteLength}`);
  }
  const event = traceEventCodec.decode(record, 0);
  const { tuple } = event;
  return {
    type: 'trace',
    state: memberOf(CtState, event.state, 'state of a connection'),
    direction: event.direction === Direction.Egress ? 'egress' : 'ingress',
    tracePoint: memberOf(TracePoint, event.tracePoint, 'trace point'),
    at: timeOfEvent(event.timestampNs, time),
    ifindex: event.ifindex,
    source: { address: tuple.source, port: tuple.sourcePort },
    destination: { address: tuple.destination, port: tuple.destinationPort },
    protocol: tuple.protocol,
    frontend: endOf(event.dnat),
    translatedSource: endOf(event.snat),
    sourceIdentity: event.sourceIdentity,
    destinationIdentity: event.destinationIdentity,
    endpointId: event.endpointId,
    tcpFlags: event.tcpFlags,
    packets: event.packets.map(Number),
    bytes: event.bytes.map(Number),
  };
}

function endOf({ address, port }: TupleEnd): ConnectionEnd | undefined {
  return address === undefined ? undefined : { address, port };
}
