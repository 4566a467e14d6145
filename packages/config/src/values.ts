import { readFileSync, statSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
} from 'yaml';
import { checkTogether } from './checks.ts';
import { ConfigError, type ConfigProblem } from './error.ts';
import { lackedOptions } from './lacked.ts';
import { nearest } from './nearest.ts';
import { type Option, type OptionPath, optionPaths, options, type ValueOf } from './options.ts';

type Head<P extends string> = P extends `${infer H}.${string}` ? H : P;
type Below<T, H extends string> = { [P in keyof T as P extends `${H}.${infer Rest}` ? Rest : never]: T[P] };
type Nested<T> = { readonly [H in Head<keyof T & string>]: H extends keyof T ? T[H] : Nested<Below<T, H>> };

/** Every option's value, nested as in the YAML: `values.ipam.operator.clusterPoolIPv4MaskSize`. */
export type SluiceValues = Nested<{ [P in OptionPath]: ValueOf<P> }>;

export interface ReadValues {
  readonly values: SluiceValues;
  /** What was accepted but does something else than asked, each with its path. */
  readonly warnings: readonly string[];
  /** Options that the text sets, with their lines. */
  readonly given: ReadonlyMap<string, number>;
}

// Far beyond any chart's values; a limit so that a wrong file is told from values.
const bytesMax = 1024 * 1024;

/** Reads a values file; throws ConfigError with every problem in it. */
export function readValues(path: string): ReadValues {
  let text: string;
  try {
    const stat = statSync(path);
    // One without an end would be read for ever.
    if (stat.isCharacterDevice() || stat.isBlockDevice()) throw new Error('it is a device');
    if (stat.size > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(path, [{ path: '', line: 0, message: `cannot be read: ${message}` }]);
  }
  return parseValues(text, path);
}

/** `source` is what errors call the text, such as its file name. */
export function parseValues(text: string, source = 'values'): ReadValues {
  const lines = new LineCounter();
  const document = parseYaml(text, source, lines);
  const reading = new Reading(document, lines);
  reading.readMap(document.contents, '');
  if (reading.problems.length === 0) checkTogether(reading.given, (path) => reading.value(path), reading.problem);
  if (reading.problems.length > 0) throw new ConfigError(source, reading.problems);
  const given = new Map([...reading.given].map(([path, { line }]) => [path as string, line]));
  return { values: nest((path) => reading.value(path)), warnings: reading.warnings, given };
}

/** What an empty file gives. */
export function defaultValues(): SluiceValues {
  return parseValues('').values;
}

function parseYaml(text: string, source: string, lines: LineCounter): Document.Parsed {
  if (text.length > bytesMax) {
    throw new ConfigError(source, [{ path: '', line: 0, message: `larger than ${bytesMax} bytes` }]);
  }
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length === 0) return document;
  const problems = document.errors.map(({ pos, message }) => ({ path: '', line: lines.linePos(pos[0]).line, message }));
  throw new ConfigError(source, problems);
}

class Reading {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
  readonly problems: ConfigProblem[] = [];
  readonly warnings: string[] = [];
  readonly given = new Map<OptionPath, { readonly value: unknown; readonly line: number }>();
  readonly #lackedSeen = new Set<string>();

  constructor(document: Document.Parsed, lines: LineCounter) {
    this.document = document;
    this.lines = lines;
  }

  value(path: OptionPath): unknown {
    const given = this.given.get(path);
    return given === undefined ? options[path].standard : given.value;
  }

  readonly problem = (path: string, line: number, message: string): void => {
    this.problems.push({ path, line, message });
  };

  readMap(node: ParsedNode | null, path: string): void {
    if (node === null || (isScalar(node) && node.value === null)) return;
    if (!isMap(node)) {
      this.problem(path, this.#line(node), 'must be a map of options');
      return;
    }
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : String(key);
      this.#readEntry(path === '' ? name : `${path}.${name}`, this.#resolved(value), this.#line(key));
    }
  }

  #readEntry(path: string, node: ParsedNode | null, line: number): void {
    if (isOptionPath(path)) this.#readOption(path, node, line);
    else if (isParent(path)) this.readMap(node, path);
    else {
      const lacked = lackedEntry(path);
      if (lacked !== undefined) this.#noteLacked(lacked, node);
      else this.problem(path, line, unknownOption(path));
    }
  }

  #readOption(path: OptionPath, node: ParsedNode | null, line: number): void {
    const option: Option<unknown> = options[path];
    const raw = plain(node);
    // Helm's way to say "the default".
    if (raw === null || raw === undefined) return;
    const words = option.unsupported ?? {};
    const instead = typeof raw === 'string' && Object.hasOwn(words, raw) ? words[raw] : undefined;
    if (instead !== undefined) {
      this.warnings.push(`${path}: ${JSON.stringify(raw)} is not supported: ${instead}`);
      return;
    }
    try {
      const value = option.type.read(raw);
      this.given.set(path, { value, line });
      if (option.pending !== undefined && value === true) this.warnings.push(`${path}: ${option.pending}`);
    } catch (error) {
      this.problem(path, line, error instanceof Error ? error.message : String(error));
    }
  }

  // What is switched off, or empty, is what we do anyway.
  #noteLacked(entry: string, node: ParsedNode | null): void {
    if (this.#lackedSeen.has(entry) || isOff(plain(node))) return;
    this.#lackedSeen.add(entry);
    this.warnings.push(`${entry}: accepted, but ${lackedOptions[entry]}`);
  }

  #resolved(node: ParsedNode | null): ParsedNode | null {
    const target: unknown = isAlias(node) ? node.resolve(this.document) : node;
    return isNode(target) ? (target as ParsedNode) : null;
  }

  #line(node: Node | null): number {
    const start = node?.range?.[0];
    return start === undefined ? 0 : this.lines.linePos(start).line;
  }
}

function plain(node: ParsedNode | null): unknown {
  return isScalar(node) ? node.value : node?.toJSON();
}

function isOptionPath(path: string): path is OptionPath {
  return Object.hasOwn(options, path);
}

/** `ipam`, `ipam.operator`, ... */
const parents: ReadonlySet<string> = new Set(
  optionPaths.flatMap((path) =>
    path
      .split('.')
      .map((_, depth, names) => names.slice(0, depth).join('.'))
      .slice(1),
  ),
);

function isParent(path: string): boolean {
  return parents.has(path);
}

/** The name in the list that covers this path: itself or one above it. */
function lackedEntry(path: string): string | undefined {
  for (let name = path; ; name = name.slice(0, name.lastIndexOf('.'))) {
    if (Object.hasOwn(lackedOptions, name)) return name;
    if (!name.includes('.')) return undefined;
  }
}

function isOff(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '' || value === 0) return true;
  return typeof value === 'object' && Object.values(value).every(isOff);
}

function unknownOption(path: string): string {
  const suggestion = nearest(path, [...optionPaths, ...parents, ...Object.keys(lackedOptions)]);
  return suggestion === undefined ? 'there is no such option' : `there is no such option; did you mean ${suggestion}?`;
}

function nest(value: (path: OptionPath) => unknown): SluiceValues {
  const root: Record<string, unknown> = {};
  for (const path of optionPaths) {
    const names = path.split('.');
    const last = names.pop() ?? path;
    let parent = root;
    for (const name of names) parent = childOf(parent, name);
    parent[last] = value(path);
  }
  // Filled from the very table that the type is derived from.
  return root as SluiceValues;
}

/** Of an option by its path, such as `ipam.mode`; undefined where there is none. */
export function optionValue(values: SluiceValues, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], values);
}

function childOf(parent: Record<string, unknown>, name: string): Record<string, unknown> {
  const child = (parent[name] ?? {}) as Record<string, unknown>;
  parent[name] = child;
  return child;
}
