/** Random changes of a packet in place, of the kinds that break parsers: lengths, flags, chains of headers, ends. */

import { wire } from './corpus.ts';
import type { Random } from './random.ts';

/** A test run takes one page of linear data, less what the kernel keeps for itself. */
export const PACKET_BYTES_MAX = 3300;
const ETHERNET_BYTES = 14;
/** The kernel runs nothing on a frame without content. */
const PACKET_BYTES_MIN = 15;
const MUTATIONS_MAX = 4;
const HEADERS_BYTES = 120;

/** The packet under work: `bytes` has room to grow. */
export interface Draft {
  readonly bytes: Uint8Array;
  length: number;
}

type Mutation = (draft: Draft, random: Random) => void;

/** Puts a packet of the corpus into the draft and changes it some times; once in eight it stays as it is. */
export function draw(draft: Draft, packets: readonly Uint8Array[], random: Random): void {
  const base = random.pick(packets);
  draft.bytes.set(base);
  draft.length = base.byteLength;
  if (random.oneIn(8)) return;
  const count = 1 + random.below(MUTATIONS_MAX);
  for (let done = 0; done < count; done += 1) random.pick(mutations)(draft, random);
}

const byteValues = [0, 1, 2, 4, 0x0f, 0x40, 0x45, 0x46, 0x60, 0x7f, 0x80, 0xf0, 0xff];

const mutations: readonly Mutation[] = [
  anyByte,
  anyBit,
  edgeByte,
  length16,
  cut,
  cutHeaders,
  grow,
  addressOfPool,
  macOfPool,
  etherType,
  protocol,
  port,
  lengthFields,
  ipHeaderLength,
  fragmentField,
  hopLimit,
  transportFields,
  extensionChain,
  spoil,
];

function isIpv6({ bytes }: Draft): boolean {
  return bytes[12] === 0x86 && bytes[13] === 0xdd;
}

/** Whether some header says that it is a part of a datagram. */
export function isFragment(draft: Draft): boolean {
  const { bytes } = draft;
  if (bytes[12] === 0x08 && bytes[13] === 0x00) return (((bytes[20] ?? 0) << 8) | (bytes[21] ?? 0)) % 0x4000 !== 0;
  if (!isIpv6(draft)) return false;
  let [protocol, offset] = [bytes[ETHERNET_BYTES + 6] ?? 59, ETHERNET_BYTES + 40];
  for (let headers = 0; headers < 10 && extensions.includes(protocol); headers += 1) {
    if (protocol === FRAGMENT) return true;
    const [next = 59, length = 0] = bytes.subarray(offset, offset + 2);
    offset += protocol === AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8;
    protocol = next;
  }
  return false;
}

const FRAGMENT = 44;
const AUTHENTICATION = 51;

/** Where the transport header stands in a packet without options. */
function transportOffset(draft: Draft): number {
  return ETHERNET_BYTES + (isIpv6(draft) ? 40 : 20);
}

function offsetIn(draft: Draft, random: Random): number {
  return random.below(Math.max(1, Math.min(draft.length, HEADERS_BYTES)));
}

function write16({ bytes }: Draft, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value & 0xff;
}

function anyByte(draft: Draft, random: Random): void {
  draft.bytes[offsetIn(draft, random)] = random.below(256);
}

function anyBit(draft: Draft, random: Random): void {
  const offset = offsetIn(draft, random);
  draft.bytes[offset] = (draft.bytes[offset] ?? 0) ^ (1 << random.below(8));
}

function edgeByte(draft: Draft, random: Random): void {
  draft.bytes[offsetIn(draft, random)] = random.pick(byteValues);
}

/** A length that is a little more or less than what there is, or extreme, anywhere. */
function length16(draft: Draft, random: Random): void {
  const near = draft.length - random.below(60) + random.below(8);
  write16(draft, offsetIn(draft, random), random.pick([0, 1, 7, 8, 20, 40, 0x7fff, 0xffff, near & 0xffff]));
}

function cut(draft: Draft, random: Random): void {
  draft.length = PACKET_BYTES_MIN + random.below(Math.max(1, draft.length - PACKET_BYTES_MIN));
}

/** In the middle of a header. */
function cutHeaders(draft: Draft, random: Random): void {
  draft.length = Math.min(draft.length, PACKET_BYTES_MIN + random.below(72));
}

function grow(draft: Draft, random: Random): void {
  const length = Math.min(PACKET_BYTES_MAX, draft.length + 1 + random.below(random.oneIn(4) ? PACKET_BYTES_MAX : 40));
  draft.bytes.fill(random.below(256), draft.length, length);
  draft.length = length;
}

function addressOfPool(draft: Draft, random: Random): void {
  const isSource = random.oneIn(2);
  if (isIpv6(draft)) draft.bytes.set(random.pick(wire.ipv6), ETHERNET_BYTES + (isSource ? 8 : 24));
  else draft.bytes.set(random.pick(wire.ipv4), ETHERNET_BYTES + (isSource ? 12 : 16));
}

function macOfPool(draft: Draft, random: Random): void {
  draft.bytes.set(random.pick(wire.macs), random.oneIn(2) ? 0 : 6);
}

function etherType(draft: Draft, random: Random): void {
  // Whatever it is changed to, little else of the packet matters then.
  if (!random.oneIn(4)) return;
  write16(draft, 12, random.pick(wire.ethertypes));
}

function protocol(draft: Draft, random: Random): void {
  draft.bytes[ETHERNET_BYTES + (isIpv6(draft) ? 6 : 9)] = random.pick(wire.protocols);
}

function port(draft: Draft, random: Random): void {
  write16(draft, transportOffset(draft) + (random.oneIn(2) ? 0 : 2), random.pick(wire.ports));
}

/** Of the IP packet or of the UDP datagram: a little beside what is right. */
function lengthFields(draft: Draft, random: Random): void {
  const v6 = isIpv6(draft);
  const isUdp = random.oneIn(3);
  const offset = isUdp ? transportOffset(draft) + 4 : ETHERNET_BYTES + (v6 ? 4 : 2);
  const right = draft.length - (isUdp ? transportOffset(draft) : ETHERNET_BYTES + (v6 ? 40 : 0));
  write16(draft, offset, (right + random.pick([-40, -8, -1, 0, 1, 8, 40])) & 0xffff);
}

function ipHeaderLength(draft: Draft, random: Random): void {
  draft.bytes[ETHERNET_BYTES] = random.pick([0x40, 0x41, 0x44, 0x45, 0x46, 0x4f, 0x55, 0x60, 0x6f, 0x00, 0xff]);
}

function fragmentField(draft: Draft, random: Random): void {
  if (isIpv6(draft)) {
    draft.bytes[ETHERNET_BYTES + 6] = 44;
    write16(draft, ETHERNET_BYTES + 40 + 2, random.pick([0, 1, 8, 9, 0xfff8, 0xfff9]));
  } else
    write16(draft, ETHERNET_BYTES + 6, random.pick([0x2000, 0x4000, 0x6000, 0x0001, 0x2001, 0x1fff, 0x3fff, 0x8000]));
}

function hopLimit(draft: Draft, random: Random): void {
  draft.bytes[ETHERNET_BYTES + (isIpv6(draft) ? 7 : 8)] = random.pick([0, 1, 2, 255]);
}

/** Data offset and flags of TCP; type and code of ICMP. */
function transportFields(draft: Draft, random: Random): void {
  const start = transportOffset(draft);
  if (random.oneIn(2)) {
    draft.bytes[start + 12] = random.below(16) << 4;
    draft.bytes[start + 13] = random.below(256);
  } else {
    draft.bytes[start] = random.pick([0, 1, 2, 3, 4, 5, 8, 11, 12, 128, 129, 133, 134, 135, 136, 137, 143, 255]);
    draft.bytes[start + 1] = random.below(8);
  }
}

const extensions = [0, 43, 44, 51, 60];

/** Some headers behind the IPv6 header, each a little wrong now and then. */
function extensionChain(draft: Draft, random: Random): void {
  if (!isIpv6(draft)) return;
  const { bytes } = draft;
  const count = 1 + random.below(9);
  const added = count * 8;
  const start = ETHERNET_BYTES + 40;
  if (draft.length < start || draft.length + added > PACKET_BYTES_MAX) return;
  bytes.copyWithin(start + added, start, draft.length);
  draft.length += added;
  const last = bytes[ETHERNET_BYTES + 6] ?? 59;
  bytes[ETHERNET_BYTES + 6] = random.pick(extensions);
  for (let index = 0; index < count; index += 1) {
    const at = start + index * 8;
    bytes.fill(0, at, at + 8);
    bytes[at] = index === count - 1 ? last : random.pick(extensions);
    if (random.oneIn(6)) bytes[at + 1] = random.below(random.oneIn(2) ? 4 : 256);
    if (random.oneIn(6)) write16(draft, at + 2, random.pick([0, 1, 8, 0xfff8]));
  }
  const length = draft.length - start;
  if (!random.oneIn(4)) write16(draft, ETHERNET_BYTES + 4, length);
}

/** All of a stretch is something else. */
function spoil(draft: Draft, random: Random): void {
  const start = offsetIn(draft, random);
  const end = Math.min(draft.length, start + 1 + random.below(24));
  for (let offset = start; offset < end; offset += 1) draft.bytes[offset] = random.below(256);
}
