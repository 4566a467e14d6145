import { BpfMap, Link, Program } from '@sluice/bpf';
import type { Paths } from './paths.ts';

/** The kernel cuts names. */
const nameLengthMax = 15;

/** Ids of the maps that the programs of our pinned links work on. */
export function mapIdsInUse(paths: Paths): ReadonlySet<number> {
  return new Set(paths.links().flatMap((name) => mapIdsOf(paths.link(name))));
}

/** Those maps, whether or not they are pinned. */
export function mapsInUse(paths: Paths) {
  const stack = new DisposableStack();
  const maps = [...mapIdsInUse(paths)].map((id) => stack.use(BpfMap.openById(id)));
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
