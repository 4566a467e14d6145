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
import type { FoundRule } from './foreign-rules.ts';

// include/uapi/linux/netfilter/nfnetlink.h and nf_tables.h
const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_GETRULE = 7;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NLM_F_REQUEST_DUMP = 0x301;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const headerBytes = 16;
const familyHeaderBytes = 4;
/** What is not counted beyond it is not worth reading: the status says "many". */
const rulesMax = 100_000;

const families: Readonly<Record<number, string>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
};
/** Tables that iptables-nft makes. */
const iptablesTables = new Set(['filter', 'nat', 'mangle', 'raw', 'security']);
const iptablesFamilies = new Set(['ip', 'ip6', 'arp', 'bridge']);

/** All rules of nftables, those of iptables-nft among them; none where the kernel has no nf_tables. */
export function nftablesRules(): FoundRule[] {
  let fd: number;
  try {
    fd = socket(AddressFamily.NETLINK, SocketType.RAW, NETLINK_NETFILTER);
  } catch (error) {
    if (hasErrno(error, 'EPROTONOSUPPORT')) return [];
    throw error;
  }
  try {
    // A dump comes while it is read; a second without anything means that the kernel is stuck.
    setsockopt(fd, SocketLevel.SOCKET, SocketOption.RCVTIMEO, new Uint8Array(BigInt64Array.of(1n, 0n).buffer));
    bind(fd, netlinkAddress());
    sendto(fd, dumpRequest(), netlinkAddress());
    return readDump(fd);
  } finally {
    close(fd);
  }
}

function dumpRequest(): Uint8Array {
  const bytes = new Uint8Array(headerBytes + familyHeaderBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETRULE, true);
  view.setUint16(6, NLM_F_REQUEST_DUMP, true);
  view.setUint32(8, 1, true);
  return bytes;
}

function readDump(fd: number): FoundRule[] {
  const buffer = new Uint8Array(65_536);
  const rules: FoundRule[] = [];
  while (rules.length < rulesMax) {
    const length = recv(fd, buffer);
    if (length === undefined) throw new Error('list nftables rules: the kernel did not end its answer');
    const view = new DataView(buffer.buffer, 0, length);
    for (let offset = 0; offset + headerBytes <= length; ) {
      const messageLength = view.getUint32(offset, true);
      const type = view.getUint16(offset + 4, true);
      if (type === NLMSG_DONE) return rules;
      if (type === NLMSG_ERROR) {
        const errno = -view.getInt32(offset + headerBytes, true);
        // EINVAL and EOPNOTSUPP: nfnetlink is there, nf_tables is not.
        if (errno === 22 || errno === 95 || errno === 0) return rules;
        throw new Error(`list nftables rules: errno ${errno}`);
      }
      if (messageLength < headerBytes + familyHeaderBytes) throw new Error('list nftables rules: damaged answer');
      rules.push(parseRule(buffer.subarray(offset + headerBytes, Math.min(offset + messageLength, length))));
      offset += (messageLength + 3) & ~3;
    }
  }
  return rules;
}

/** One NFT_MSG_NEWRULE behind its netlink header. */
export function parseRule(body: Uint8Array): FoundRule {
  const family = families[body[0] ?? 0] ?? `family ${body[0]}`;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let table = '';
  let chain = '';
  for (let offset = familyHeaderBytes; offset + 4 <= body.length; ) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > body.length) break;
    const type = view.getUint16(offset + 2, true) & 0x3fff;
    const value = body.subarray(offset + 4, offset + length);
    if (type === NFTA_RULE_TABLE) table = text(value);
    if (type === NFTA_RULE_CHAIN) chain = text(value);
    offset += (length + 3) & ~3;
  }
  const isIptables = iptablesFamilies.has(family) && iptablesTables.has(table);
  return { kind: isIptables ? 'iptables' : 'nftables', table: isIptables ? table : `${family} ${table}`, chain };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8').replace(/\0.*$/s, '');
}

function hasErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
