import {
  AddressFamily,
  bind,
  close,
  netlinkAddress,
  recv,
  SocketLevel,
  SocketOption,
  SocketType,
  sendto,
  setsockopt,
  socket,
} from '@sluice/ffi';

// include/uapi/linux/netfilter/nfnetlink.h and nf_tables.h
const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
export const NftMessageType = {
  getTable: 1,
  deleteTable: 2,
  getChain: 4,
  deleteChain: 5,
  getRule: 7,
  deleteRule: 8,
} as const;
const NLM_F_REQUEST = 0x001;
const NLM_F_ACK = 0x004;
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const headerBytes = 16;
const familyHeaderBytes = 4;
/** What is not counted beyond it is not worth reading: the status says "many". */
const answersMax = 100_000;
const batchBytesMax = 64 << 20;

/** All of a kind, each as the bytes behind its netlink header; none where the kernel has no nf_tables. */
export function nftDump(type: number): Uint8Array[] {
  const request = message({ type: nftType(type), flags: NLM_F_REQUEST | NLM_F_DUMP, sequence: 1, family: 0 });
  const answers = conversation((fd) => {
    sendto(fd, request, netlinkAddress());
    return readDump(fd);
  });
  return answers ?? [];
}

/** A deletion, by attributes that name what goes. */
export interface NftDeletion {
  readonly type: number;
  readonly family: number;
  readonly attributes: readonly Uint8Array[];
}

/** All of them or none: the kernel takes a batch as one transaction. */
export function nftDelete(deletions: readonly NftDeletion[]): void {
  if (deletions.length === 0) return;
  const last = deletions.length;
  const batch = Buffer.concat([
    message({
      type: NFNL_MSG_BATCH_BEGIN,
      flags: NLM_F_REQUEST,
      sequence: 0,
      family: 0,
      resource: NFNL_SUBSYS_NFTABLES,
    }),
    ...deletions.map(({ type, family, attributes }, index) =>
      message({
        type: nftType(type),
        // An error is told of any, success of the last one.
        flags: NLM_F_REQUEST | (index + 1 === last ? NLM_F_ACK : 0),
        sequence: index + 1,
        family,
        attributes,
      }),
    ),
    message({
      type: NFNL_MSG_BATCH_END,
      flags: NLM_F_REQUEST,
      sequence: last + 1,
      family: 0,
      resource: NFNL_SUBSYS_NFTABLES,
    }),
  ]);
  if (batch.length > batchBytesMax) throw new Error(`delete nftables rules: ${last} at once are too many`);
  conversation((fd) => {
    // Doubled by the kernel for its own needs, and a batch is one message.
    setsockopt(fd, SocketLevel.SOCKET, SocketOption.SNDBUFFORCE, Math.max(batch.length * 2, 1 << 20));
    sendto(fd, batch, netlinkAddress());
    readAcknowledgement(fd, last);
  });
}

/** `type` and a value, padded to 4 bytes. */
export function nftAttribute(type: number, value: string | bigint): Uint8Array {
  const bytes = typeof value === 'string' ? Buffer.from(`${value}\0`) : bigEndian(value);
  const attribute = Buffer.alloc((4 + bytes.length + 3) & ~3);
  attribute.writeUInt16LE(4 + bytes.length, 0);
  attribute.writeUInt16LE(type, 2);
  attribute.set(bytes, 4);
  return attribute;
}

/** Attributes by their type, of a message's body behind `skip` bytes. A list's elements have the same type: see `nftList`. */
export function nftAttributes(body: Uint8Array, skip = 0): Map<number, Uint8Array> {
  return new Map(nftList(body, skip));
}

export function nftList(body: Uint8Array, skip = 0): [type: number, value: Uint8Array][] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const attributes: [number, Uint8Array][] = [];
  for (let offset = skip; offset + 4 <= body.length; ) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > body.length) break;
    attributes.push([view.getUint16(offset + 2, true) & 0x3fff, body.subarray(offset + 4, offset + length)]);
    offset += (length + 3) & ~3;
  }
  return attributes;
}

/** The family of a body, and its attributes. */
export function nftBody(body: Uint8Array): { family: number; attributes: Map<number, Uint8Array> } {
  return { family: body[0] ?? 0, attributes: nftAttributes(body, familyHeaderBytes) };
}

export function nftText(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? [])
    .toString('utf8')
    .replace(/\0.*$/s, '');
}

function bigEndian(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

const nftType = (type: number): number => (NFNL_SUBSYS_NFTABLES << 8) | type;

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly family: number;
  readonly resource?: number;
  readonly attributes?: readonly Uint8Array[];
}

function message({ type, flags, sequence, family, resource = 0, attributes = [] }: Message): Uint8Array {
  const header = Buffer.alloc(headerBytes + familyHeaderBytes);
  const length = attributes.reduce((sum, attribute) => sum + attribute.length, header.length);
  header.writeUInt32LE(length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence, 8);
  header.writeUInt8(family, headerBytes);
  header.writeUInt16BE(resource, headerBytes + 2);
  return Buffer.concat([header, ...attributes]);
}

/** On a socket of its own; undefined where the kernel has no NETLINK_NETFILTER, and so no rules. */
function conversation<Result>(talk: (fd: number) => Result): Result | undefined {
  let fd: number;
  try {
    fd = socket(AddressFamily.NETLINK, SocketType.RAW, NETLINK_NETFILTER);
  } catch (error) {
    if (hasErrno(error, 'EPROTONOSUPPORT')) return undefined;
    throw error;
  }
  try {
    // A dump comes while it is read; a second without anything means that the kernel is stuck.
    setsockopt(fd, SocketLevel.SOCKET, SocketOption.RCVTIMEO, new Uint8Array(BigInt64Array.of(1n, 0n).buffer));
    bind(fd, netlinkAddress());
    return talk(fd);
  } finally {
    close(fd);
  }
}

function readDump(fd: number): Uint8Array[] {
  const answers: Uint8Array[] = [];
  while (answers.length < answersMax) {
    for (const { type, error, body } of receive(fd, 'list nftables rules')) {
      if (type === NLMSG_DONE) return answers;
      if (type === NLMSG_ERROR) {
        // EINVAL and EOPNOTSUPP: nfnetlink is there, nf_tables is not.
        if (error === 22 || error === 95 || error === 0) return answers;
        throw new Error(`list nftables rules: errno ${error}`);
      }
      answers.push(body);
    }
  }
  return answers;
}

function readAcknowledgement(fd: number, last: number): void {
  for (;;) {
    for (const { type, error, sequence } of receive(fd, 'delete nftables rules')) {
      if (type !== NLMSG_ERROR) continue;
      if (error !== 0) throw new Error(`delete nftables rules: errno ${error} for change ${sequence} of ${last}`);
      if (sequence === last) return;
    }
  }
}

interface Answer {
  readonly type: number;
  readonly sequence: number;
  /** Of an NLMSG_ERROR; 0: it is an acknowledgement. */
  readonly error: number;
  readonly body: Uint8Array;
}

function receive(fd: number, what: string): Answer[] {
  const buffer = new Uint8Array(65_536);
  const length = recv(fd, buffer);
  if (length === undefined) throw new Error(`${what}: the kernel did not end its answer`);
  const view = new DataView(buffer.buffer, 0, length);
  const answers: Answer[] = [];
  for (let offset = 0; offset + headerBytes <= length; ) {
    const messageLength = view.getUint32(offset, true);
    const type = view.getUint16(offset + 4, true);
    if (messageLength < headerBytes + familyHeaderBytes) throw new Error(`${what}: damaged answer`);
    answers.push({
      type,
      sequence: view.getUint32(offset + 8, true),
      error: type === NLMSG_ERROR ? -view.getInt32(offset + headerBytes, true) : 0,
      body: buffer.subarray(offset + headerBytes, Math.min(offset + messageLength, length)),
    });
    offset += (messageLength + 3) & ~3;
  }
  return answers;
}

function hasErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
