import { decodeAttributes, headerView } from './attributes.ts';
import { malformed, NetlinkError, refused } from './error.ts';
import { aligned, decodeMessages, encodeMessage, type Message, messageFlag, messageType } from './message.ts';

/** The datagrams of one netlink socket. The kernel answers while `send` runs, so `receive` never has to wait. */
export interface Transport {
  send(datagram: Uint8Array): void;
  /** Undefined when nothing is there. The bytes are the caller's to keep. */
  receive(): Uint8Array | undefined;
}

/** One question: `action` names it in errors, as in "add route 10.0.0.0/8". */
export interface Request {
  readonly action: string;
  readonly type: number;
  /** Beyond `request` and `ack`. */
  readonly flags?: number;
  readonly body: Uint8Array;
}

/** A dump that saw a change is asked again this often before we give up. */
const dumpAttemptsMax = 10;

/** Questions and answers over one socket, one at a time, matched by sequence number. */
export class Conversation {
  readonly #transport: Transport;
  #sequence = 0;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Asks and returns the replies that came before the acknowledgement. */
  request(request: Request): Message[] {
    return this.#exchange(request, (request.flags ?? 0) | messageFlag.ack).replies;
  }

  /** A whole snapshot: a dump during which something changed is thrown away and asked again. */
  dump(request: Request): Message[] {
    for (let attempt = 0; attempt < dumpAttemptsMax; attempt++) {
      const { replies, interrupted } = this.#exchange(request, (request.flags ?? 0) | messageFlag.dump);
      if (!interrupted) return replies;
    }
    throw new NetlinkError(`${request.action}: changed during each of ${dumpAttemptsMax} readings`, {
      code: 'INTERRUPTED',
    });
  }

  #exchange(request: Request, flags: number): { replies: Message[]; interrupted: boolean } {
    const sequence = this.#nextSequence();
    const { type, body } = request;
    this.#transport.send(encodeMessage({ type, flags: flags | messageFlag.request, sequence, port: 0, body }));
    const replies: Message[] = [];
    let interrupted = false;
    for (;;) {
      const datagram = this.#transport.receive();
      if (datagram === undefined)
        throw new NetlinkError(`${request.action}: the kernel's answer has no end`, { code: 'MALFORMED' });
      for (const message of decodeMessages(datagram)) {
        // What an earlier question left behind, after an error in the middle of its answer.
        if (message.sequence !== sequence) continue;
        interrupted ||= (message.flags & messageFlag.dumpInterrupted) !== 0;
        if (message.type === messageType.error || message.type === messageType.done) {
          throwIfRefused(request.action, message);
          return { replies, interrupted };
        }
        if (message.type === messageType.overrun) throw malformed('the kernel reports lost data');
        if (message.type !== messageType.noop) replies.push(message);
      }
    }
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }
}

const extendedText = 1;
const extendedOffset = 2;

/** NLMSG_ERROR with errno 0 is the acknowledgement; NLMSG_DONE may carry an errno, too. */
function throwIfRefused(action: string, message: Message): void {
  if (message.type === messageType.done && message.body.length < 4) return;
  const errno = -headerView(message.body, 4).getInt32(0, true);
  if (errno === 0) return;
  throw refused(action, errno, kernelText(message));
}

function kernelText(message: Message): string | undefined {
  if ((message.flags & messageFlag.ackAttributes) === 0) return undefined;
  const attributes = decodeAttributes(message.body, message.type === messageType.done ? 4 : echoEnd(message));
  const text = attributes.string(extendedText);
  const offset = attributes.u32(extendedOffset);
  return text ?? (offset === undefined ? undefined : `attribute at byte ${offset} of the request`);
}

/** Behind the errno the request is repeated: its header, and its body unless the acknowledgement is capped. */
function echoEnd(message: Message): number {
  if ((message.flags & messageFlag.ackCapped) !== 0) return 4 + 16;
  return 4 + aligned(headerView(message.body, 8).getUint32(4, true));
}
