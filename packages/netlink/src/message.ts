import { malformed } from './error.ts';

/** One netlink message without its header's length: what is asked, how, and the bytes behind the header. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The port of the socket that asked; 0 for the kernel and for multicast. */
  readonly port: number;
  readonly body: Uint8Array;
}

export const messageType = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

/** RTM_*: what a routing message is about. */
export const routing = {
  linkNew: 16,
  linkDelete: 17,
  linkGet: 18,
  addressNew: 20,
  addressDelete: 21,
  addressGet: 22,
  routeNew: 24,
  routeDelete: 25,
  routeGet: 26,
  neighbourNew: 28,
  neighbourDelete: 29,
  neighbourGet: 30,
  ruleNew: 32,
  ruleDelete: 33,
  ruleGet: 34,
  qdiscGet: 38,
  filterGet: 46,
  settingsNew: 80,
  settingsDelete: 81,
} as const;

export const messageFlag = {
  request: 0x1,
  ack: 0x4,
  /** The dump saw a change while it ran: what it returned is not a snapshot. */
  dumpInterrupted: 0x10,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  /** On an acknowledgement: attributes follow (NLMSGERR_ATTR_*). */
  ackAttributes: 0x200,
  /** On an acknowledgement: the request's body is not repeated in it. */
  ackCapped: 0x100,
} as const;

const headerBytes = 16;

/** Rounds up to the 4 bytes that headers and attributes are aligned to. */
export function aligned(bytes: number): number {
  return (bytes + 3) & ~3;
}

// Netlink is in the machine's order. Every platform that Node runs on and BPF is used on here is little-endian.
export function encodeMessage(message: Message): Uint8Array {
  const bytes = new Uint8Array(headerBytes + message.body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, message.type, true);
  view.setUint16(6, message.flags, true);
  view.setUint32(8, message.sequence, true);
  view.setUint32(12, message.port, true);
  bytes.set(message.body, headerBytes);
  return bytes;
}

/** All messages of one datagram; refuses one whose lengths do not add up. */
export function decodeMessages(datagram: Uint8Array): Message[] {
  const messages: Message[] = [];
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  let offset = 0;
  while (offset < datagram.length) {
    if (datagram.length - offset < headerBytes)
      throw malformed(`${datagram.length - offset} bytes behind offset ${offset} are no header`);
    const length = view.getUint32(offset, true);
    if (length < headerBytes || length > datagram.length - offset) {
      throw malformed(`length ${length} at offset ${offset} of a datagram of ${datagram.length} bytes`);
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      port: view.getUint32(offset + 12, true),
      body: datagram.subarray(offset + headerBytes, offset + length),
    });
    offset += aligned(length);
  }
  return messages;
}
