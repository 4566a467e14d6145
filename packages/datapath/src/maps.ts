import {
  BpfMap,
  createFakeMap,
  Link,
  loadBtf,
  type MapCounts,
  mapCounts,
  type ObjectSpec,
  openMap,
  Program,
  perCpu,
  type TypedMap,
} from '@sluice/bpf';
import * as generated from './generated/index.ts';
import type { Paths } from './paths.ts';

function describeMaps(cpus?: number) {
  return {
    affinities: generated.affinitiesMap,
    backends: generated.backendsMap,
    conntrack: generated.conntrackMap,
    conntrackNew: generated.conntrackNewMap,
    counters: perCpu(generated.countersMap, cpus),
    devices: generated.devicesMap,
    endpoints: generated.endpointsMap,
    eventBudgets: perCpu(generated.eventBudgetsMap, cpus),
    eventLosses: perCpu(generated.eventLossesMap, cpus),
    fragments: generated.fragmentsMap,
    frontends: generated.frontendsMap,
    ipcache: generated.ipcacheMap,
    ipcachePrefix: generated.ipcachePrefixMap,
    kernelDevices: generated.kernelDevicesMap,
    kernelSettings: generated.kernelSettingsMap,
    kernelDrops: perCpu(generated.kernelDropsMap, cpus),
    kernelPlaces: generated.kernelPlacesMap,
    netnsEndpoints: generated.netnsEndpointsMap,
    slots: generated.slotsMap,
    sourceRanges: generated.sourceRangesMap,
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

/**
 * Every map of ours, by its name in C: the pinned one, the one that the programs in our links use, should somebody have
 * removed its pin, or a new one; then it is pinned here. A restart finds its connections again this way.
 */
export function openPinnedMaps(contract: ObjectSpec, paths: Paths, stack: DisposableStack): Map<string, BpfMap> {
  const maps = new Map<string, BpfMap>();
  using btf = loadBtf(contract.loadableBtf, contract.name);
  const isComplete = contract.maps.every((spec) => paths.isPinned(paths.map(spec.name)));
  using inUse = isComplete ? undefined : mapsInUse(paths);
  for (const spec of contract.maps) {
    const path = paths.map(spec.name);
    const found = paths.isPinned(path) ? BpfMap.openPinned(path) : inUse?.find(spec.name);
    const map = stack.use(found ?? BpfMap.create(spec, btf.fd));
    if (!paths.isPinned(path)) map.pin(path);
    maps.set(spec.name, map);
  }
  return maps;
}

/** The kernel cuts names. */
const nameLengthMax = 15;

/** What the programs of our pinned links work on, whether or not it is pinned. */
function mapsInUse(paths: Paths) {
  const ids = new Set(paths.links().flatMap((name) => mapIdsOf(paths.link(name))));
  const stack = new DisposableStack();
  const maps = [...ids].map((id) => stack.use(BpfMap.openById(id)));
  return {
    find(name: string): BpfMap | undefined {
      const map = maps.find(({ info }) => info.name === name.slice(0, nameLengthMax));
      return map && BpfMap.openById(map.info.id);
    },
    [Symbol.dispose]: () => stack.dispose(),
  };
}

function mapIdsOf(linkPath: string): readonly number[] {
  using link = Link.openPinned(linkPath);
  using program = Program.openById(link.info().programId);
  return program.info().mapIds;
}

/** What somebody has unpinned: the next agent would look for it. */
export function unpinnedMaps(maps: ReadonlyMap<string, BpfMap>, paths: Paths): string[] {
  return [...maps.keys()].filter((name) => !paths.isPinned(paths.map(name)));
}

export function repinMaps(maps: ReadonlyMap<string, BpfMap>, paths: Paths): void {
  for (const name of unpinnedMaps(maps, paths)) maps.get(name)?.pin(paths.map(name));
}
