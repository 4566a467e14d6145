import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import {
  backendsMap,
  endpointsMap,
  frontendsMap,
  ipcacheMap,
  ipcachePrefixMap,
  maglevMap,
  netnsEndpointsMap,
  slotsMap,
  sourceRangesMap,
} from '@sluice/datapath';
import type { NodeLayout } from '@sluice/lab';

/** What must be the same after a restart; connection tables simply go on. */
const wholeMaps = [backendsMap, endpointsMap, frontendsMap, ipcacheMap, ipcachePrefixMap, netnsEndpointsMap] as const;

/** Every row of the configuration maps as text, sorted; of the slots those in use, not those in their grace. */
export function configurationRows(node: NodeLayout): Record<string, string[]> {
  const isInUse = generationsInUse(node);
  return {
    maglev: textOf(read(node, maglevMap).filter(isInUse)),
    slots: textOf(read(node, slotsMap).filter(isInUse)),
    sourceRanges: textOf(read(node, sourceRangesMap).filter(isInUse)),
    ...Object.fromEntries(wholeMaps.map((descriptor) => [descriptor.name, textOf(read(node, descriptor as never))])),
  };
}

/** Chunks of all tables in use, without what is each node's own: ids and generations. */
export function maglevTables(node: NodeLayout): string[] {
  const chunks = read(node, maglevMap).filter(generationsInUse(node));
  return chunks.map(([{ chunk }, { slots }]) => `${chunk}: ${slots.join(' ')}`).sort();
}

type GenerationRow = [key: { readonly serviceId: number; readonly generation: number }, value: unknown];

function generationsInUse(node: NodeLayout): (row: GenerationRow) => boolean {
  const inUse = new Set(read(node, frontendsMap).map(([, { serviceId, generation }]) => `${serviceId}.${generation}`));
  return ([{ serviceId, generation }]) => inUse.has(`${serviceId}.${generation}`);
}

const settledMs = 1_000;
const settleTimeoutMs = 30_000;

/** The rows of each node once they stay as they are: nodes learn of each other's pods a moment after these are ready. */
export async function settledRows(nodes: readonly NodeLayout[]): Promise<Record<string, string[]>[]> {
  const deadline = performance.now() + settleTimeoutMs;
  for (let before = nodes.map(configurationRows); performance.now() < deadline; ) {
    await delay(settledMs);
    const rows = nodes.map(configurationRows);
    if (isDeepStrictEqual(rows, before)) return rows;
    before = rows;
  }
  return assert.fail(`the maps do not come to rest within ${settleTimeoutMs} ms`);
}

function read<Key, Value>(node: NodeLayout, descriptor: MapDescriptor<Key, Value>): [Key, Value][] {
  using map = BpfMap.openPinned(join(node.bpffs, 'sluice/maps', descriptor.name));
  return [...openMap(map, descriptor).entries()];
}

function textOf(rows: readonly unknown[]): string[] {
  return rows.map((row) => JSON.stringify(row, plain)).sort();
}

function plain(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
