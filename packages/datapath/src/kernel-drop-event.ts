import { type EventTime, timeOfEvent } from './event-time.ts';
import { kernelDropEventCodec } from './generated/structs.ts';
import { textOf } from './kernel-text.ts';

/** A packet that the kernel dropped after, or before, our programs had it. */
export interface KernelDrop {
  readonly type: 'kernel-drop';
  /** enum skb_drop_reason of the running kernel. */
  readonly reason: number;
  /** Whose code freed it. */
  readonly functionName: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly device: string;
  /** 0: the device is the node's; else it is inside this endpoint's namespace. */
  readonly endpointId: number;
  readonly packetLength: number;
  /** The packet's beginning, and with which header. */
  readonly packet: Uint8Array;
  readonly start: 'ethernet' | 'ip';
}

/** Throws RangeError on a record that no program of this version writes. */
export function decodeKernelDrop(record: DataView, time: EventTime): KernelDrop {
  if (record.byteLength < kernelDropEventCodec.size) {
    throw new RangeError(
      `a kernel drop event has ${kernelDropEventCodec.size} bytes, this record ${record.byteLength}`,
    );
  }
  const event = kernelDropEventCodec.decode(record, 0);
  return {
    type: 'kernel-drop',
    reason: event.reason,
    functionName: textOf(event.function),
    at: timeOfEvent(event.timestampNs, time),
    device: textOf(event.device),
    endpointId: event.endpointId,
    packetLength: event.packetLength,
    packet: event.packet.slice(0, event.capturedLength),
    start: event.networkOffset === 0 ? 'ip' : 'ethernet',
  };
}
