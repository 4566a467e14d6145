import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';

/** Knows which outputs are up to date: their inputs' times and sizes are those of the last build. */
export interface Freshness {
  /** `recipe` is whatever else decides the output, such as compiler flags. */
  isFresh(output: string, recipe: string): boolean;
  /** Call with the inputs that were read, after the output has been written. */
  record(output: string, recipe: string, inputs: readonly string[]): void;
  save(): void;
}

interface Entry {
  readonly recipe: string;
  readonly inputs: Readonly<Record<string, string>>;
}

export function openFreshness(path: string, { force }: { force: boolean }): Freshness {
  const entries: Record<string, Entry> = force ? {} : readEntries(path);
  const isFresh = (output: string, recipe: string) => {
    const entry = entries[output];
    if (entry?.recipe !== recipe || signature(output) === undefined) return false;
    return Object.entries(entry.inputs).every(([input, known]) => signature(input) === known);
  };
  const record = (output: string, recipe: string, inputs: readonly string[]) => {
    const known = inputs.map((input) => [input, signature(input) ?? 'missing'] as const);
    entries[output] = { recipe, inputs: Object.fromEntries(known) };
  };
  const save = () => {
    writeFileSync(`${path}.tmp`, JSON.stringify(entries));
    renameSync(`${path}.tmp`, path);
  };
  return { isFresh, record, save };
}

function readEntries(path: string): Record<string, Entry> {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return {}; // none yet, or cut short by a full disk: everything is built again
  }
}

function signature(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && `${stat.mtimeMs} ${stat.size}`;
}
