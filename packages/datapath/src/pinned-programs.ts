import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isPinned, Program } from '@sluice/bpf';
import type { Logger } from '@sluice/runtime';
import { encodeConfiguration } from './generated/configuration.ts';
import { hookObjects, hookPrograms, type LoadObjectsOptions, loadPrograms, type Programs } from './objects.ts';
import type { Paths } from './paths.ts';

export interface PinnedProgramsOptions extends Omit<LoadObjectsOptions, 'names'> {
  readonly log: Logger;
}

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
export function openPinnedPrograms(options: PinnedProgramsOptions, paths: Paths): PinnedPrograms {
  const set = digestOf(options);
  using stack = new DisposableStack();
  const programs = stack.use(openSet(options.log, paths, set) ?? loadSet(options, paths, set));
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

/** Undefined unless it is complete, and each pin holds what its name says: the next step loads it anew. */
function openSet(log: Logger, paths: Paths, set: string): Programs | undefined {
  using stack = new DisposableStack();
  const programs = new Map<string, Program>();
  for (const name of hookPrograms) {
    const program = openProgram(paths.program(set, name), name);
    if (program === undefined) {
      // None at all is the first start, or another configuration.
      if (isPinned(paths.programSet(set)))
        log.warn({ program: name }, 'its pin is gone or holds another: loading all anew');
      return undefined;
    }
    programs.set(name, stack.use(program));
  }
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

/** The kernel cuts names. */
const nameLengthMax = 15;

/** Whatever stands there instead, a start must not end by it. */
function openProgram(path: string, name: string): Program | undefined {
  if (!isPinned(path)) return undefined;
  try {
    using stack = new DisposableStack();
    const program = stack.use(Program.openPinned(path, name));
    if (program.info().name !== name.slice(0, nameLengthMax)) return undefined;
    stack.move();
    return program;
  } catch {
    return undefined;
  }
}

/** Pinned under another name until it is whole: killed in between, the next one loads anew. */
function loadSet(options: PinnedProgramsOptions, paths: Paths, set: string): Programs {
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
function digestOf({ directory, maps, configuration }: PinnedProgramsOptions): string {
  const hash = createHash('sha256');
  for (const name of hookObjects) hash.update(readFileSync(join(directory, `${name}.o`)));
  for (const [name, value] of Object.entries(encodeConfiguration(configuration))) hash.update(`${name}=${value};`);
  for (const [name, map] of maps) hash.update(`${name}=${map.info.id};`);
  return hash.digest('hex').slice(0, 16);
}
