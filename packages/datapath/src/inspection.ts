import { attachIterator, type BpfMap, type Codec, type Link, MapType, mapTypeName, readIterator } from '@sluice/bpf';
import { type InspectedTranslation, inspectedMapCodec, inspectedTranslationCodec } from './generated/structs.ts';
import type { DatapathMaps } from './maps.ts';
import type { Programs } from './objects.ts';
import type { MapUsage } from './usage.ts';

/** Maps of what sockets remember, and the program that reads each: no key leads to all of it, or most of it is empty. */
const socketMaps = {
  connected_sockets: 'inspect_connected_sockets',
  connected_translations: 'inspect_connected',
  translations: 'inspect_translations',
} as const;
export type SocketMap = keyof typeof socketMaps;
const socketMapNames = Object.keys(socketMaps) as readonly SocketMap[];

export function isSocketMap(name: string): name is SocketMap {
  return Object.hasOwn(socketMaps, name);
}

/** Questions to the kernel that no look-up answers. */
export interface Inspection extends Disposable {
  /**
   * What sockets remember of services, and none of a socket that is closed: what they are connected to, one for each, or what
   * they send to without a connection, one for each socket and service.
   */
  translations(of?: SocketMap): InspectedTranslation[];
  /** Fill of each map, by the kernel's own count. */
  mapUsage(): MapUsage[];
}

export function openInspection(
  programs: Programs,
  pinned: ReadonlyMap<string, BpfMap>,
  maps: Pick<DatapathMaps, 'ipcachePrefix' | 'sourceRanges'>,
): Inspection {
  using stack = new DisposableStack();
  stack.use(programs);
  const readerOf = (name: SocketMap) => {
    const map = pinned.get(name);
    if (map === undefined) throw new TypeError(`map ${name} is not open`);
    return stack.use(attachIterator({ program: programs.get(socketMaps[name]), map }));
  };
  /** The kernel counts no trie's entries. */
  const tries = new Map<string, Pick<DatapathMaps['sourceRanges'], 'count'>>([
    ['ipcache_prefix', maps.ipcachePrefix],
    ['source_ranges', maps.sourceRanges],
  ]);
  const readers = new Map(socketMapNames.map((name) => [name, readerOf(name)]));
  const usage = stack.use(attachIterator({ program: programs.get('inspect_map_usage') }));
  const owned = stack.move();
  const translations = (of?: SocketMap) =>
    [...readers].flatMap(([name, reader]) =>
      of === undefined || of === name ? readRecords(reader, inspectedTranslationCodec) : [],
    );
  return {
    translations,
    mapUsage() {
      const counts = new Map(readRecords(usage, inspectedMapCodec).map(({ id, entries }) => [id, Number(entries)]));
      const count = (name: string, map: BpfMap) => {
        if (isSocketMap(name)) return translations(name).length;
        if (map.info.type === MapType.lpmTrie) return tries.get(name)?.count();
        if (map.info.type === MapType.array || map.info.type === MapType.percpuArray) return map.info.maxEntries;
        return map.info.type === MapType.ringbuf ? undefined : counts.get(map.info.id);
      };
      return [...pinned].map(([name, map]) => ({ ...usageOf(map, count(name, map)), name }));
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** Without its name, which the kernel cuts. */
function usageOf(map: BpfMap, entries: number | undefined): Omit<MapUsage, 'name'> {
  const { type, maxEntries } = map.info;
  return { type: mapTypeName(type), entries, maxEntries, bytes: map.memoryBytes() };
}

function readRecords<Row>(link: Link, codec: Codec<Row>): Row[] {
  const bytes = readIterator(link);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: Row[] = [];
  for (let offset = 0; offset + codec.size <= bytes.byteLength; offset += codec.size) {
    rows.push(codec.decode(view, offset));
  }
  return rows;
}
