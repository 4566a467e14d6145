import { join } from 'node:path';
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import {
  backendsMap,
  endpointsMap,
  frontendsMap,
  ipcacheMap,
  ipcachePrefixMap,
  netnsEndpointsMap,
  slotsMap,
} from '@sluice/datapath';
import type { NodeLayout } from '@sluice/lab';

/** What must be the same after a restart; connection tables simply go on. */
const wholeMaps = [backendsMap, endpointsMap, frontendsMap, ipcacheMap, ipcachePrefixMap, netnsEndpointsMap] as const;

/** Every row of the configuration maps as text, sorted; of the slots those in use, not those in their grace. */
export function configurationRows(node: NodeLayout): Record<string, string[]> {
  const inUse = new Set(read(node, frontendsMap).map(([, { serviceId, generation }]) => `${serviceId}.${generation}`));
  const slots = read(node, slotsMap).filter(([key]) => inUse.has(`${key.serviceId}.${key.generation}`));
  return {
    slots: textOf(slots),
    ...Object.fromEntries(wholeMaps.map((descriptor) => [descriptor.name, textOf(read(node, descriptor as never))])),
  };
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
