import { attachIterator, type BpfMap, type Codec, type Link, MapType, mapTypeName, readIterator } from '@sluice/bpf';
import { type InspectedTranslation, inspectedMapCodec, inspectedTranslationCodec } from './generated/structs.ts';
import type { DatapathMaps } from './maps.ts';
import type { Programs } from './objects.ts';
import type { MapUsage } from './usage.ts';

/** Questions to the kernel that no look-up answers. */
export interface Inspection extends Disposable {
  /** What sockets remember of services: one for each socket and service, and none of a socket that is closed. */
  translations(): InspectedTranslation[];
  /** Fill of each map, by the kernel's own count. */
  mapUsage(): MapUsage[];
}

export function openInspection(
  programs: Programs,
  pinned: ReadonlyMap<string, BpfMap>,
  maps: Pick<DatapathMaps, 'ipcachePrefix'>,
): Inspection {
  using stack = new DisposableStack();
  stack.use(programs);
  const storage = pinned.get('translations');
  if (storage === undefined) throw new TypeError('map translations is not open');
  const sockets = stack.use(attachIterator({ program: programs.get('inspect_translations'), map: storage }));
  const usage = stack.use(attachIterator({ program: programs.get('inspect_map_usage') }));
  const owned = stack.move();
  const translations = () => readRecords(sockets, inspectedTranslationCodec);
  return {
    translations,
    mapUsage() {
      const counts = new Map(readRecords(usage, inspectedMapCodec).map(({ id, entries }) => [id, Number(entries)]));
      const count = (map: BpfMap) => {
        if (map.info.type === MapType.skStorage) return translations().length;
        // The kernel counts no trie's entries.
        if (map.info.type === MapType.lpmTrie) return maps.ipcachePrefix.count();
        if (map.info.type === MapType.array || map.info.type === MapType.percpuArray) return map.info.maxEntries;
        return map.info.type === MapType.ringbuf ? undefined : counts.get(map.info.id);
      };
      return [...pinned].map(([name, map]) => ({ ...usageOf(map, count(map)), name }));
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
