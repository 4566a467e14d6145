import { type BpfMap, isPerCpuType, type MapDescriptor, openMap, perCpu, type TypedMap } from '@sluice/bpf';
import { mapDescriptors } from './generated/maps.ts';

/** A map of ours by its name in C, for who only shows it; a per-CPU map has a list of values. Undefined: no such map. */
export function openAnyMap(name: string, pinned: ReadonlyMap<string, BpfMap>): TypedMap<unknown, unknown> | undefined {
  const map = pinned.get(name);
  if (map === undefined || !Object.hasOwn(mapDescriptors, name)) return undefined;
  const descriptor = mapDescriptors[name as keyof typeof mapDescriptors] as MapDescriptor<unknown, unknown>;
  return openMap<unknown, unknown>(map, isPerCpuType(map.info.type) ? perCpu(descriptor) : descriptor);
}
