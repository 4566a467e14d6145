import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isPinned } from '@sluice/bpf';

/** Where a node's pins stand: `<bpffs>/sluice/{maps,links}/<name>`. */
export interface Paths {
  readonly root: string;
  map(name: string): string;
  link(name: string): string;
  /** Names of the links that are pinned, dead ones too. */
  links(): string[];
  isPinned(path: string): boolean;
}

export function pathsOn(bpffs: string): Paths {
  const root = join(bpffs, 'sluice');
  return {
    root,
    map: (name) => join(root, 'maps', name),
    link: (name) => join(root, 'links', name),
    links: () => (isPinned(join(root, 'links')) ? readdirSync(join(root, 'links')).sort() : []),
    isPinned,
  };
}
