import {
  BpfMap,
  createFakeMap,
  isMapReusable,
  loadBtf,
  type MapCounts,
  mapCounts,
  type ObjectSpec,
  openMap,
  perCpu,
  type TypedMap,
} from '@sluice/bpf';
import * as generated from './generated/index.ts';
import { mapsInUse } from './maps-in-use.ts';
import type { Paths } from './paths.ts';
import { Successors } from './successors.ts';

function describeMaps(cpus?: number) {
  return {
    affinities: generated.affinitiesMap,
    backends: generated.backendsMap,
    connectedSockets: generated.connectedSocketsMap,
    conntrack: generated.conntrackMap,
    conntrackNew: generated.conntrackNewMap,
    counters: perCpu(generated.countersMap, cpus),
    devices: generated.devicesMap,
    endpoints: generated.endpointsMap,
    eventBudgets: perCpu(generated.eventBudgetsMap, cpus),
    eventLosses: perCpu(generated.eventLossesMap, cpus),
    fragments: generated.fragmentsMap,
    frameCounters: perCpu(generated.frameCountersMap, cpus),
    frameDevices: generated.frameDevicesMap,
    frontends: generated.frontendsMap,
    ipcache: generated.ipcacheMap,
    ipcachePrefix: generated.ipcachePrefixMap,
    kernelDevices: generated.kernelDevicesMap,
    kernelSettings: generated.kernelSettingsMap,
    kernelDrops: perCpu(generated.kernelDropsMap, cpus),
    kernelPlaces: generated.kernelPlacesMap,
    maglev: generated.maglevMap,
    netnsEndpoints: generated.netnsEndpointsMap,
    rests: generated.restsMap,
    shortages: generated.shortagesMap,
    slots: generated.slotsMap,
    sourceRanges: generated.sourceRangesMap,
    staleSockets: generated.staleSocketsMap,
    takeovers: generated.takeoversMap,
  } as const;
}

type Descriptors = ReturnType<typeof describeMaps>;

/** Our maps as typed rows. `events` (ring) and `translations` (socket storage) are no tables and not among them. */
export type DatapathMaps = {
  readonly [Name in keyof Descriptors]: Descriptors[Name] extends { key: { decode(...args: never): infer Key } }
    ? Descriptors[Name] extends { value: { decode(...args: never): infer Value } }
      ? TypedMap<Key, Value>
      : never
    : never;
};

/** Maps in memory that behave like the kernel's; each has room for the same number of rows. */
export function createFakeDatapathMaps(): DatapathMaps {
  const descriptors = describeMaps(1);
  return mapsOf(descriptors, (descriptor) => createFakeMap(descriptor));
}

/**
 * Typed access to the kernel's maps, by their names in C. Throws LayoutMismatchError where one is not ours. What is done
 * to each is counted in `counts`, by its name.
 */
export function openMaps(maps: ReadonlyMap<string, BpfMap>, counts: Map<string, MapCounts> = new Map()): DatapathMaps {
  return mapsOf(describeMaps(), (descriptor) => {
    const map = maps.get(descriptor.name);
    if (map === undefined) throw new TypeError(`map ${descriptor.name} is not open`);
    const counted = mapCounts();
    counts.set(descriptor.name, counted);
    return openMap(map, descriptor, counted);
  });
}

type AnyDescriptor = Parameters<typeof openMap<unknown, unknown>>[1];

function mapsOf(descriptors: Descriptors, open: (descriptor: AnyDescriptor) => unknown): DatapathMaps {
  const opened = Object.entries(descriptors).map(([name, descriptor]) => [name, open(descriptor as AnyDescriptor)]);
  return Object.fromEntries(opened) as DatapathMaps;
}

/** Rows that maps must have room for, by the names in C, where that is not what C says. */
export type MapSizes = Readonly<Record<string, number>>;

export interface PinnedMaps {
  /** By their names in C. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  /** In place of those that another version has pinned with another layout. */
  readonly successors: Successors;
}

/**
 * Every map of ours: the pinned one, the one that the programs in our links use, should somebody have removed its pin,
 * or a new one; then it is pinned here. A restart finds its connections again this way, and so does an upgrade: where
 * the layout has changed, or the map is smaller than `sizes` wants it, there is a successor, see `Successors`.
 */
export function openPinnedMaps(
  contract: ObjectSpec,
  paths: Paths,
  stack: DisposableStack,
  sizes: MapSizes = {},
): PinnedMaps {
  const maps = new Map<string, BpfMap>();
  using btf = loadBtf(contract.loadableBtf, contract.name);
  const isComplete = contract.maps.every((spec) => paths.isPinned(paths.map(spec.name)));
  using inUse = isComplete ? undefined : mapsInUse(paths);
  const successors = new Successors(paths);
  for (const declared of contract.maps) {
    const spec = { ...declared, maxEntries: sizes[declared.name] ?? declared.maxEntries };
    const path = paths.map(spec.name);
    const found = paths.isPinned(path) ? BpfMap.openPinned(path) : inUse?.find(spec.name);
    const map = stack.use(found ?? BpfMap.create(spec, btf.fd));
    if (!paths.isPinned(path)) map.pin(path);
    const isSmall = sizes[spec.name] !== undefined && map.info.maxEntries < spec.maxEntries;
    const isOurs = found === undefined || (!isSmall && isMapReusable(map, spec, contract.btf));
    const types = { btf: contract.btf, fd: btf.fd, change: isSmall ? 'size' : 'layout' } as const;
    if (isOurs) successors.refuse(spec.name);
    maps.set(spec.name, isOurs ? map : stack.use(successors.add(map, spec, types)));
  }
  return { maps, successors };
}

/** What somebody has unpinned: the next agent would look for it. */
export function unpinnedMaps(maps: ReadonlyMap<string, BpfMap>, paths: Paths): string[] {
  return [...maps.keys()].filter((name) => !paths.isPinned(paths.map(name)));
}

export function repinMaps(maps: ReadonlyMap<string, BpfMap>, paths: Paths): void {
  for (const name of unpinnedMaps(maps, paths)) maps.get(name)?.pin(paths.map(name));
}
