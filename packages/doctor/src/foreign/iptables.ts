import { join } from 'node:path';
import { AddressFamily, close, getsockopt, SocketLevel, SocketType, socket } from '@sluice/ffi';
import { readFileIfPresent } from '@sluice/runtime';
import type { FoundRule } from './foreign-rules.ts';

// include/uapi/linux/netfilter_ipv4/ip_tables.h; IPv6 has the same numbers and a longer entry.
const SO_GET_INFO = 64;
const SO_GET_ENTRIES = 65;
const tableNameBytes = 32;
/** struct ipt_getinfo: name, valid_hooks, hook_entry[5], underflow[5], num_entries, size. */
const infoBytes = 84;
/** struct ipt_get_entries: name, size, padding to 8. */
const entriesHeaderBytes = 40;
const legacyBytesMax = 16 << 20;

const protocols = [
  { names: 'net/ip_tables_names', domain: AddressFamily.INET, level: SocketLevel.IP, ipBytes: 84 },
  { names: 'net/ip6_tables_names', domain: AddressFamily.INET6, level: SocketLevel.IPV6, ipBytes: 136 },
] as const;

type LegacyProtocol = (typeof protocols)[number];

/** Rules of legacy iptables. Tables are named only once somebody has used them, so asking loads no module. */
export function legacyRules(procPath: string): FoundRule[] {
  return protocols.flatMap((protocol) =>
    (readFileIfPresent(join(procPath, protocol.names)) ?? '')
      .split('\n')
      .filter((name) => name !== '')
      .flatMap((table) => readTable(protocol, table)),
  );
}

function readTable(protocol: LegacyProtocol, table: string): FoundRule[] {
  const fd = socket(protocol.domain, SocketType.RAW, 255);
  try {
    const name = Buffer.alloc(tableNameBytes);
    name.write(table);
    const info = getsockopt(fd, protocol.level, SO_GET_INFO, infoBytes, name);
    const infoView = new DataView(info.buffer, info.byteOffset, info.byteLength);
    const size = infoView.getUint32(80, true);
    if (size > legacyBytesMax) throw new Error(`iptables table ${table} has ${size} bytes, more than are read`);
    const question = Buffer.concat([name, Buffer.from(Uint32Array.of(size).buffer), Buffer.alloc(4)]);
    const entries = getsockopt(fd, protocol.level, SO_GET_ENTRIES, entriesHeaderBytes + size, question);
    const underflows = new Set(Array.from({ length: 5 }, (_, hook) => infoView.getUint32(56 + 4 * hook, true)));
    return parseEntries(entries.subarray(entriesHeaderBytes), { table, ipBytes: protocol.ipBytes, underflows });
  } finally {
    close(fd);
  }
}

interface TableLayout {
  readonly table: string;
  readonly ipBytes: number;
  /** Offsets of the built-in chains' policies. */
  readonly underflows: ReadonlySet<number>;
}

/**
 * Entries stand chain after chain. A chain of a user's begins with an ERROR target that names it and ends with a bare
 * RETURN; a built-in chain ends with its policy. None of these is a rule.
 */
export function parseEntries(bytes: Uint8Array, { table, ipBytes, underflows }: TableLayout): FoundRule[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rules: FoundRule[] = [];
  let chain = 'built-in';
  let userChain = false;
  for (let offset = 0; offset + ipBytes + 28 <= bytes.length; ) {
    const targetOffset = view.getUint16(offset + ipBytes + 4, true);
    const nextOffset = view.getUint16(offset + ipBytes + 6, true);
    if (nextOffset === 0) break;
    const target = offset + targetOffset;
    const name = text(bytes.subarray(target + 2, target + 31));
    if (name === 'ERROR') {
      if (userChain) rules.pop();
      chain = text(bytes.subarray(target + 32, target + 62));
      userChain = true;
    } else if (!underflows.has(offset)) {
      rules.push({ kind: 'iptables', table, chain });
    }
    offset += nextOffset;
  }
  return rules;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '');
}
