import { join } from 'node:path';
import { AddressFamily, close, getsockopt, SocketLevel, SocketType, socket } from '@sluice/ffi';
import { readFileIfPresent } from '@sluice/runtime';

// include/uapi/linux/netfilter_ipv4/ip_tables.h; IPv6 has the same numbers and a longer entry.
const SO_GET_INFO = 64;
const SO_GET_ENTRIES = 65;
const tableNameBytes = 32;
/** struct ipt_getinfo: name, valid_hooks, hook_entry[5], underflow[5], num_entries, size. */
const infoBytes = 84;
/** struct ipt_get_entries: name, size, padding to 8. */
const entriesHeaderBytes = 40;
const legacyBytesMax = 16 << 20;
const hookCount = 5;

const protocols = [
  { family: 4, names: 'net/ip_tables_names', domain: AddressFamily.INET, level: SocketLevel.IP, ipBytes: 84 },
  { family: 6, names: 'net/ip6_tables_names', domain: AddressFamily.INET6, level: SocketLevel.IPV6, ipBytes: 136 },
] as const;

export type LegacyProtocol = (typeof protocols)[number];

/** A table of legacy iptables as the kernel gives it. */
export interface LegacyTable {
  readonly protocol: LegacyProtocol;
  readonly name: string;
  readonly validHooks: number;
  /** Offsets of the built-in chains, by hook. */
  readonly hookEntries: readonly number[];
  /** Offsets of the built-in chains' policies, by hook. */
  readonly underflows: readonly number[];
  readonly entryCount: number;
  readonly entries: Uint8Array;
}

/** Of both families. Tables are named only once somebody has used them, so asking loads no module. */
export function legacyTables(procPath: string): LegacyTable[] {
  return protocols.flatMap((protocol) =>
    (readFileIfPresent(join(procPath, protocol.names)) ?? '')
      .split('\n')
      .filter((name) => name !== '')
      .map((table) => readTable(protocol, table)),
  );
}

export function legacySocket({ domain }: LegacyProtocol): number {
  return socket(domain, SocketType.RAW, 255);
}

function readTable(protocol: LegacyProtocol, table: string): LegacyTable {
  const fd = legacySocket(protocol);
  try {
    const name = Buffer.alloc(tableNameBytes);
    name.write(table);
    const info = getsockopt(fd, protocol.level, SO_GET_INFO, infoBytes, name);
    const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
    const numbers = (offset: number) =>
      Array.from({ length: hookCount }, (_, hook) => view.getUint32(offset + 4 * hook, true));
    const size = view.getUint32(80, true);
    if (size > legacyBytesMax) throw new Error(`iptables table ${table} has ${size} bytes, more than are read`);
    const question = Buffer.concat([name, Buffer.from(Uint32Array.of(size).buffer), Buffer.alloc(4)]);
    const entries = getsockopt(fd, protocol.level, SO_GET_ENTRIES, entriesHeaderBytes + size, question);
    return {
      protocol,
      name: table,
      validHooks: view.getUint32(32, true),
      hookEntries: numbers(36),
      underflows: numbers(56),
      entryCount: view.getUint32(76, true),
      entries: entries.subarray(entriesHeaderBytes),
    };
  } finally {
    close(fd);
  }
}

/** An entry of a table, be it a rule, the head of a chain or a policy. */
export interface LegacyEntry {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Of a user's chain its name; of a built-in one `built-in`. */
  readonly chain: string;
  /** Names its chain, and is no rule. */
  readonly isHead: boolean;
  /** Where a rule without a target extension goes: from 0 on an offset to jump to, below a verdict. */
  readonly verdict: number | undefined;
}

/** Where in an entry's target a standard target has its verdict, and an ERROR target the name of its chain. */
const targetDataOffset = 32;

/** Entries stand chain after chain; a chain of a user's begins with an ERROR target that names it. */
export function legacyEntries(bytes: Uint8Array, ipBytes: number): LegacyEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: LegacyEntry[] = [];
  let chain = 'built-in';
  for (let offset = 0; offset + ipBytes + 28 <= bytes.length; ) {
    const target = offset + view.getUint16(offset + ipBytes + 4, true);
    const length = view.getUint16(offset + ipBytes + 6, true);
    if (length === 0) break;
    const name = text(bytes.subarray(target + 2, target + 31));
    const isHead = name === 'ERROR';
    if (isHead) chain = text(bytes.subarray(target + targetDataOffset, target + targetDataOffset + 30));
    const isStandard = name === '' && target + targetDataOffset + 4 <= bytes.length;
    const verdict = isStandard ? view.getInt32(target + targetDataOffset, true) : undefined;
    entries.push({ offset, bytes: bytes.subarray(offset, offset + length), chain, isHead, verdict });
    offset += length;
  }
  return entries;
}

/** Of a copy of an entry's bytes: another place to jump to. */
export function writeJump(entry: Uint8Array, ipBytes: number, offset: number): void {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
  view.setInt32(view.getUint16(ipBytes + 4, true) + targetDataOffset, offset, true);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '');
}
