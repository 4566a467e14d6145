import {
  isKubeProxyChain,
  type LegacyEntry,
  type LegacyTable,
  legacyEntries,
  legacySocket,
  legacyTables,
  writeJump,
} from '@sluice/doctor/rules';
import { addressOf, close, isSystemError, setsockopt } from '@sluice/ffi';
import type { Leftover } from '../leftover.ts';

// include/uapi/linux/netfilter_ipv4/ip_tables.h; IPv6 has the same numbers.
const SO_SET_REPLACE = 64;
const SO_SET_ADD_COUNTERS = 65;
const tableNameBytes = 32;
/** struct ipt_replace up to its entries. */
const replaceBytes = 96;
/** struct xt_counters_info up to its counters. */
const countersInfoBytes = 40;
const counterBytes = 16;
const attemptsMax = 5;

/** What kube-proxy left in the tables of legacy iptables. */
export function kubeProxyLegacyChains(procPath: string): Leftover[] {
  return legacyTables(procPath).flatMap((table) => {
    const { removed } = withoutKubeProxy(table);
    if (removed.length === 0) return [];
    const heads = removed.filter(({ isHead }) => isHead).length;
    return [
      {
        kind: 'rules',
        name: `${nameOf(table)} (legacy) table ${table.name}`,
        // Of each chain there is the end, too, which is no rule.
        detail: `${heads} chains, ${removed.length - 2 * heads} rules`,
        remove: () => replaceTable(procPath, table),
      },
    ];
  });
}

const nameOf = ({ protocol }: LegacyTable): string => (protocol.family === 4 ? 'iptables' : 'ip6tables');

export interface ReducedTable {
  readonly kept: readonly LegacyEntry[];
  readonly removed: readonly LegacyEntry[];
  /** The kept ones, with their jumps to where the chains are now. */
  readonly entries: Uint8Array;
  readonly hookEntries: readonly number[];
  readonly underflows: readonly number[];
}

/** A table without kube-proxy's chains and the rules that jump to them. */
export function withoutKubeProxy(table: LegacyTable): ReducedTable {
  const { ipBytes } = table.protocol;
  const all = legacyEntries(table.entries, ipBytes);
  // A jump leads behind the head of its chain.
  const chains = new Map(
    all.filter(({ isHead }) => isHead).map((head) => [head.offset + head.bytes.length, head.chain]),
  );
  const isDoomed = ({ chain, verdict }: LegacyEntry) =>
    isKubeProxyChain(chain) || (verdict !== undefined && isKubeProxyChain(chains.get(verdict) ?? ''));
  const kept = all.filter((entry) => !isDoomed(entry));
  const moved = movedOffsets(all, new Set(kept));
  const entries = kept.map(({ bytes, verdict }) => {
    const copy = Uint8Array.from(bytes);
    if (verdict !== undefined && verdict >= 0) writeJump(copy, ipBytes, moved(verdict));
    return copy;
  });
  return {
    kept,
    removed: all.filter(isDoomed),
    entries: Buffer.concat(entries),
    hookEntries: table.hookEntries.map(moved),
    underflows: table.underflows.map(moved),
  };
}

/** Where what stood at an offset is afterwards; for one that goes, the next that stays. */
function movedOffsets(all: readonly LegacyEntry[], kept: ReadonlySet<LegacyEntry>): (offset: number) => number {
  const moved = new Map<number, number>();
  let next = 0;
  for (const entry of all) {
    moved.set(entry.offset, next);
    if (kept.has(entry)) next += entry.bytes.length;
  }
  // Of hooks that the table does not have the kernel says anything, and reads none of it.
  return (offset) => moved.get(offset) ?? offset;
}

/** The kernel takes a whole table, and says EAGAIN when it is another one than we read. */
function replaceTable(procPath: string, { protocol, name }: LegacyTable): void {
  for (let attempt = 1; ; attempt += 1) {
    const table = legacyTables(procPath).find((each) => each.protocol === protocol && each.name === name);
    if (table === undefined) return;
    try {
      replace(table, withoutKubeProxy(table));
      return;
    } catch (error) {
      if (attempt >= attemptsMax || !isSystemError(error, 'EAGAIN')) throw error;
    }
  }
}

function replace(table: LegacyTable, reduced: ReducedTable): void {
  const counters = Buffer.alloc(table.entryCount * counterBytes);
  const request = Buffer.alloc(replaceBytes + reduced.entries.length);
  request.write(table.name, 0);
  request.writeUInt32LE(table.validHooks, 32);
  request.writeUInt32LE(reduced.kept.length, 36);
  request.writeUInt32LE(reduced.entries.length, 40);
  for (const [hook, offset] of reduced.hookEntries.entries()) request.writeUInt32LE(offset, 44 + 4 * hook);
  for (const [hook, offset] of reduced.underflows.entries()) request.writeUInt32LE(offset, 64 + 4 * hook);
  request.writeUInt32LE(table.entryCount, 84);
  request.writeBigUInt64LE(addressOf(counters), 88);
  request.set(reduced.entries, replaceBytes);
  const fd = legacySocket(table.protocol);
  try {
    setsockopt(fd, table.protocol.level, SO_SET_REPLACE, request);
    setsockopt(fd, table.protocol.level, SO_SET_ADD_COUNTERS, keptCounters(table, reduced, counters));
  } finally {
    close(fd);
  }
}

/** A new table counts from 0: what the kept rules had counted is added. */
function keptCounters(table: LegacyTable, { kept }: ReducedTable, counters: Buffer): Uint8Array {
  const offsets = legacyEntries(table.entries, table.protocol.ipBytes).map(({ offset }) => offset);
  const header = Buffer.alloc(countersInfoBytes);
  header.write(table.name.slice(0, tableNameBytes - 1), 0);
  header.writeUInt32LE(kept.length, tableNameBytes);
  const places = new Map(offsets.map((offset, index) => [offset, index * counterBytes]));
  return Buffer.concat([
    header,
    ...kept.map(({ offset }) => {
      const at = places.get(offset) ?? 0;
      return counters.subarray(at, at + counterBytes);
    }),
  ]);
}
