import { setImmediate } from 'node:timers/promises';
import type { Clock } from '@sluice/runtime';
import { CtKind, CtState } from './generated/enums.ts';
import type { Connection, Tuple } from './generated/structs.ts';
import type { DatapathMaps } from './maps.ts';

export interface CollectionCounts {
  /** Entries looked at, in both tables. */
  readonly scanned: number;
  /** Expired ones, removed. */
  readonly deleted: number;
  /** Those that remained, by what they are; aliases count, too: they fill the tables. */
  readonly alive: number;
  readonly established: number;
  /** Fill of the table that no flood can evict, 0 to 1. */
  readonly fill: number;
}

export interface CollectionOptions {
  /** Entries between two pauses for the rest of the process: whoever waits has several turns to take. Default 128. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  /** Told of each connection that remains, aliases not: who wants to know something of all need not read them again. */
  readonly onConnection?: (tuple: Tuple, connection: Connection) => void;
}

type ConnectionTable = DatapathMaps['conntrack'];

/**
 * Removes the connections that have expired. It pauses after every batch, so nothing waits for it, and it looks again
 * before it removes an entry: a packet may have come meanwhile. Aborting ends it after the present batch.
 */
export async function collectConnections(
  maps: Pick<DatapathMaps, 'conntrack' | 'conntrackNew'>,
  clock: Clock,
  options: CollectionOptions = {},
): Promise<CollectionCounts> {
  const now = () => clock.monotonicNs();
  const promoted = await collectTable(maps.conntrack, { maps, now }, options);
  const fresh = await collectTable(maps.conntrackNew, { maps, now }, options);
  return {
    scanned: promoted.scanned + fresh.scanned,
    deleted: promoted.deleted + fresh.deleted,
    alive: promoted.alive + fresh.alive,
    established: promoted.established + fresh.established,
    fill: promoted.alive / maps.conntrack.descriptor.maxEntries,
  };
}

interface Collection {
  readonly maps: Pick<DatapathMaps, 'conntrack' | 'conntrackNew'>;
  readonly now: () => bigint;
}

async function collectTable(table: ConnectionTable, collection: Collection, options: CollectionOptions) {
  const { batch = 128, signal, onConnection } = options;
  const counts = { scanned: 0, deleted: 0, alive: 0, established: 0 };
  for (const [tuple, connection] of table.entries()) {
    counts.scanned += 1;
    if (isOver(tuple, connection, collection) && removeIfOver(table, tuple, collection)) counts.deleted += 1;
    else {
      counts.alive += 1;
      if (connection.kind === CtKind.Connection) {
        if (connection.state === CtState.Established) counts.established += 1;
        onConnection?.(tuple, connection);
      }
    }
    if (counts.scanned % batch !== 0) continue;
    await setImmediate();
    if (signal?.aborted) break;
  }
  return counts;
}

function removeIfOver(table: ConnectionTable, tuple: Tuple, collection: Collection): boolean {
  const present = table.lookup(tuple);
  return present === undefined || (isOver(tuple, present, collection) && table.delete(tuple));
}

/** An alias comes a moment before its connection (SNAT_GRACE_NS), and is nothing without it. */
const aliasGraceNs = 1_000_000_000n;

function isOver(tuple: Tuple, connection: Connection, { maps, now }: Collection): boolean {
  if (connection.kind === CtKind.Connection) return connection.expiresNs <= now();
  if (connection.createdNs + aliasGraceNs > now()) return false;
  const target = aliasTarget(tuple, connection);
  const found = maps.conntrack.lookup(target) ?? maps.conntrackNew.lookup(target);
  return found === undefined || found.kind !== CtKind.Connection || found.expiresNs <= now();
}

/** The tuple of the connection that an alias leads to (see conntrack.h). */
export function aliasTarget(tuple: Tuple, { kind, dnat, snat }: Connection): Tuple {
  if (kind === CtKind.DnatAlias) {
    const sourcePort = snat.address === undefined ? tuple.sourcePort : snat.port;
    return { ...tuple, sourcePort, destination: dnat.address, destinationPort: dnat.port };
  }
  return {
    source: snat.address,
    sourcePort: snat.port,
    destination: tuple.source,
    destinationPort: tuple.sourcePort,
    protocol: tuple.protocol,
  };
}
