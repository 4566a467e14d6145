import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isPinned } from '@sluice/bpf';

/** Where a node's pins stand: `<bpffs>/sluice/{maps,links}/<name>` and `<bpffs>/sluice/programs/<set>/<name>`. */
export interface Paths {
  readonly root: string;
  map(name: string): string;
  link(name: string): string;
  programSet(set: string): string;
  program(set: string, name: string): string;
  programSets(): string[];
  /** Names of the links that are pinned, dead ones too. */
  links(): string[];
  isPinned(path: string): boolean;
}

export function pathsOn(bpffs: string): Paths {
  const root = join(bpffs, 'sluice');
  const programs = join(root, 'programs');
  const namesIn = (directory: string) => (isPinned(directory) ? readdirSync(directory).sort() : []);
  return {
    root,
    map: (name) => join(root, 'maps', name),
    link: (name) => join(root, 'links', name),
    programSet: (set) => join(programs, set),
    program: (set, name) => join(programs, set, name),
    programSets: () => namesIn(programs),
    links: () => namesIn(join(root, 'links')),
    isPinned,
  };
}
