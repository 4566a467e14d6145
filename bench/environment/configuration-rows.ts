/** What a node's kernel has from its agent alone, as bytes: every row of the maps of services, nodes and pods. */
import { join } from 'node:path';
import { BpfMap, bytesCodec, type MapDescriptor, openMap } from '@sluice/bpf';
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

const configurationMaps = [
  ...[frontendsMap, slotsMap, backendsMap, sourceRangesMap, maglevMap],
  ...[endpointsMap, netnsEndpointsMap, ipcacheMap, ipcachePrefixMap],
].map((descriptor) => asBytes(descriptor as MapDescriptor<unknown, unknown>));

export const configurationMapNames: readonly string[] = configurationMaps.map(({ name }) => name);

function asBytes(descriptor: MapDescriptor<unknown, unknown>): MapDescriptor<Uint8Array, Uint8Array> {
  const { keySize, valueSize } = descriptor;
  return { ...descriptor, key: bytesCodec(keySize), value: bytesCodec(valueSize) };
}

/** By the map's name and the row's key. */
export type ConfigurationRows = ReadonlyMap<string, ReadonlyMap<string, string>>;

export function configurationRows(bpffs: string): ConfigurationRows {
  return new Map(
    configurationMaps.map((descriptor) => {
      using map = BpfMap.openPinned(join(bpffs, 'sluice/maps', descriptor.name));
      const rows = [...openMap(map, descriptor).entries()].map(([key, value]) => [text(key), text(value)] as const);
      return [descriptor.name, new Map(rows)];
    }),
  );
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Rows that only one of the two has, or that are not the same in both. */
export function differingRows(before: ConfigurationRows, after: ConfigurationRows): number {
  let count = 0;
  for (const [name, rows] of before) {
    const others = after.get(name) ?? new Map<string, string>();
    for (const [key, value] of rows) if (others.get(key) !== value) count += 1;
    for (const key of others.keys()) if (!rows.has(key)) count += 1;
  }
  return count;
}
