import { stringify } from 'yaml';
import type { Context, OutputFormat } from './context.ts';

export interface TextTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Data as JSON or YAML, or the text that people read. */
export function show(
  context: Context,
  format: OutputFormat,
  view: { readonly data: unknown; readonly text: () => string },
): void {
  if (format === 'json') context.out.write(`${jsonText(view.data, 2)}\n`);
  else if (format === 'yaml') context.out.write(yamlText(view.data));
  else context.out.write(printable(view.text()));
}

/** A line or more for people, beside what a command answers. */
export function tell({ err }: Pick<Context, 'err'>, text: string): void {
  err.write(printable(`${text}\n`));
}

/** The same data for every reader, and nothing that a terminal obeys. */
export function jsonText(data: unknown, indent?: number): string {
  return JSON.stringify(data, undefined, indent).replaceAll(unprintable, escapeOf);
}

export function yamlText(data: unknown): string {
  const text = stringify(data);
  if (text.search(unprintable) === -1) return text;
  // Only between these quotes YAML has escapes.
  const quoted = { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'QUOTE_DOUBLE' } as const;
  return stringify(data, quoted).replaceAll(unprintable, escapeOf);
}

const escapeOf = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * What others say, such as an API server or a file, for a terminal: a sequence that would move its cursor, rename its window or
 * turn the order of letters stays to be read, and does nothing.
 */
export function printable(text: string): string {
  return text.replaceAll(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

// All that control a terminal but line ends and tabs; marks that turn the direction of writing.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const unprintable = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** Columns three spaces apart, as kubectl prints them; empty cells stay empty, trailing blanks are cut. */
export function alignTable({ columns, rows: given }: TextTable): string {
  // A line end or a tab of somebody's text would be one of the table's.
  const rows = given.map((row) =>
    row.map((cell) => (/[\n\r\t]/.test(cell) ? cell.replaceAll(/[\n\r\t]+/g, ' ') : cell)),
  );
  // Not by spreading: a list of all identities has 100,000 rows.
  const widths = columns.map((column, index) =>
    rows.reduce((width, row) => Math.max(width, (row[index] ?? '').length), column.length),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => cell.padEnd((widths[index] ?? 0) + 3))
      .join('')
      .trimEnd();
  return `${[columns, ...rows].map(line).join('\n')}\n`;
}

/** Labels and values, the values in one column. */
export function alignPairs(pairs: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([label]) => label.length)) + 3;
  return pairs
    .map(([label, value]) => `${label === '' ? ''.padEnd(width) : `${label}:`.padEnd(width)}${value}`.trimEnd())
    .join('\n');
}

/** `1 packet`, `3 packets`, `2 entries`. */
export function counted(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}

/** `12.0 KiB`, `3.4 MiB`. */
export function formatBytes(bytes: number): string {
  return bytes < 1_048_576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

/** `3m12s` of seconds, the two largest units. */
export function formatAge(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const units: [number, string][] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ];
  const first = units.findIndex(([size]) => whole >= size);
  if (first === -1) return '0s';
  let rest = whole;
  return units
    .slice(first, first + 2)
    .map(([size, name]) => {
      const count = Math.floor(rest / size);
      rest %= size;
      return count === 0 ? '' : `${count}${name}`;
    })
    .join('');
}
