import { setImmediate } from 'node:timers/promises';
import type { Clock } from '@sluice/runtime';
import { CtState } from './generated/enums.ts';
import type { Connection, Tuple } from './generated/structs.ts';
import type { DatapathMaps } from './maps.ts';

export interface CollectionCounts {
  /** Entries looked at, in both tables. */
  readonly scanned: number;
  /** Expired ones, removed. */
  readonly deleted: number;
  /** Those that remained, by what they are. */
  readonly alive: number;
  readonly established: number;
  /** Fill of the table that no flood can evict, 0 to 1. */
  readonly fill: number;
}

export interface CollectionOptions {
  /** Entries between two pauses for the rest of the process; 1024 take about a millisecond. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
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
  const promoted = await collectTable(maps.conntrack, clock, options);
  const fresh = await collectTable(maps.conntrackNew, clock, options);
  return {
    scanned: promoted.scanned + fresh.scanned,
    deleted: promoted.deleted + fresh.deleted,
    alive: promoted.alive + fresh.alive,
    established: promoted.established + fresh.established,
    fill: promoted.alive / maps.conntrack.descriptor.maxEntries,
  };
}

async function collectTable(table: ConnectionTable, clock: Clock, options: CollectionOptions) {
  const { batch = 1024, signal } = options;
  const counts = { scanned: 0, deleted: 0, alive: 0, established: 0 };
  for (const [tuple, connection] of table.entries()) {
    counts.scanned += 1;
    if (isExpired(connection, clock) && removeIfExpired(table, tuple, clock)) counts.deleted += 1;
    else {
      counts.alive += 1;
      if (connection.state === CtState.Established) counts.established += 1;
    }
    if (counts.scanned % batch !== 0) continue;
    await setImmediate();
    if (signal?.aborted) break;
  }
  return counts;
}

function removeIfExpired(table: ConnectionTable, tuple: Tuple, clock: Clock): boolean {
  const now = table.lookup(tuple);
  return now === undefined || (isExpired(now, clock) && table.delete(tuple));
}

function isExpired(connection: Connection, clock: Clock): boolean {
  return connection.expiresNs <= clock.monotonicNs();
}
