import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Program } from '@sluice/bpf';
import { encodeConfiguration } from './generated/configuration.ts';
import { hookObjects, hookPrograms, type LoadObjectsOptions, loadPrograms, type Programs } from './objects.ts';
import type { Paths } from './paths.ts';

export interface PinnedPrograms extends Programs {
  /** Those whose pin somebody has removed. */
  unpinned(): string[];
  repin(): void;
  /** Removes the pins of all other sets, once no link runs them. */
  retireOthers(): void;
}

/**
 * The programs of all hooks. To verify them takes half a second, so a set stays pinned, under a digest of all that
 * makes it what it is: a restart with the same objects, configuration and maps loads nothing and changes nothing.
 */
export function openPinnedPrograms(options: Omit<LoadObjectsOptions, 'names'>, paths: Paths): PinnedPrograms {
  const set = digestOf(options);
  using stack = new DisposableStack();
  const programs = stack.use(openSet(paths, set) ?? loadSet(options, paths, set));
  const unpinned = () => hookPrograms.filter((name) => !paths.isPinned(paths.program(set, name)));
  const owned = stack.move();
  return {
    get: programs.get,
    list: programs.list,
    unpinned,
    repin() {
      for (const name of unpinned()) programs.get(name).pin(paths.program(set, name));
    },
    retireOthers() {
      for (const other of paths.programSets()) if (other !== set) removeSet(paths, other);
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** Undefined unless it is complete. */
function openSet(paths: Paths, set: string): Programs | undefined {
  if (!hookPrograms.every((name) => paths.isPinned(paths.program(set, name)))) return undefined;
  using stack = new DisposableStack();
  const open = (name: string) => stack.use(Program.openPinned(paths.program(set, name), name));
  const programs = new Map(hookPrograms.map((name) => [name, open(name)]));
  const owned = stack.move();
  return {
    get(name) {
      const program = programs.get(name);
      if (program === undefined)
        throw new TypeError(`no program ${name} is pinned; there are ${hookPrograms.join(', ')}`);
      return program;
    },
    list: () => [...programs.values()],
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** Pinned under another name until it is whole: killed in between, the next one loads anew. */
function loadSet(options: Omit<LoadObjectsOptions, 'names'>, paths: Paths, set: string): Programs {
  const unfinished = `${set}_unfinished`;
  for (const left of [set, unfinished]) removeSet(paths, left);
  using stack = new DisposableStack();
  const programs = stack.use(loadPrograms({ ...options, names: hookObjects }));
  for (const program of programs.list()) program.pin(paths.program(unfinished, program.name));
  renameSync(paths.programSet(unfinished), paths.programSet(set));
  stack.move();
  return programs;
}

function removeSet(paths: Paths, set: string): void {
  rmSync(paths.programSet(set), { recursive: true, force: true });
}

/** A bpffs does not outlive its kernel, so that is the same, too. */
function digestOf({ directory, maps, configuration }: Omit<LoadObjectsOptions, 'names'>): string {
  const hash = createHash('sha256');
  for (const name of hookObjects) hash.update(readFileSync(join(directory, `${name}.o`)));
  for (const [name, value] of Object.entries(encodeConfiguration(configuration))) hash.update(`${name}=${value};`);
  for (const [name, map] of maps) hash.update(`${name}=${map.info.id};`);
  return hash.digest('hex').slice(0, 16);
}
