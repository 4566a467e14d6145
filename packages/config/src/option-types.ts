import { formatPrefix, isAddress, type Prefix, parsePrefix } from '@sluice/net';
import type { JsonSchema } from './json-schema.ts';

/** What a value may be. `read` returns it in its one form, or throws a TypeError that says what it should be. */
export interface OptionType<T> {
  /** For people: `port (1 to 65535)`. */
  readonly description: string;
  /** For the chart: takes whatever `read` takes, and refuses of the rest what it can tell. */
  readonly schema: JsonSchema;
  read(value: unknown): T;
  format(value: T): string;
}

interface Kind {
  readonly description: string;
  readonly schema: JsonSchema;
}

function optionType<T>(
  { description, schema }: Kind,
  accept: (value: unknown) => T | undefined,
  format: (value: T) => string = String,
): OptionType<T> {
  return {
    description,
    schema,
    read(value) {
      const accepted = accept(value);
      if (accepted === undefined) throw new TypeError(`${show(value)} is not ${description}`);
      return accepted;
    },
    format,
  };
}

export const trueOrFalse = optionType({ description: 'true or false', schema: { type: 'boolean' } }, (value) =>
  typeof value === 'boolean' ? value : undefined,
);

/** Older releases of the incumbent wrote this one as text. */
export const trueOrFalseOrText = optionType(
  { description: 'true or false', schema: { enum: [true, false, 'true', 'false'] } },
  (value) => {
    if (typeof value === 'boolean') return value;
    return value === 'true' ? true : value === 'false' ? false : undefined;
  },
);

// Go, which Helm is written in, knows no lookahead in regular expressions.
const portPattern = '^(0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$';

/** Text or a number, as Helm has it both ways; 0 and empty text mean the default. */
export function port(standard: number): OptionType<number> {
  const schema = {
    anyOf: [
      { type: 'integer', minimum: 0, maximum: 65535 },
      { type: 'string', pattern: portPattern },
    ],
  };
  return optionType({ description: 'a port (1 to 65535)', schema }, (value) => {
    if (value === '' || value === 0) return standard;
    const number = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value;
    return isWholeNumber(number, 1, 65535) ? number : undefined;
  });
}

export interface BindAddress {
  readonly host: string;
  /** 0: nowhere. */
  readonly port: number;
}

export const nowhere: BindAddress = { host: '', port: 0 };

/** `0.0.0.0:10256` or `[::]:10256`; empty: nowhere. */
export const bindAddress = optionType<BindAddress>(
  {
    description: 'an address and a port, such as "0.0.0.0:10256", or empty',
    schema: { type: 'string', pattern: '^(([0-9]{1,3}([.][0-9]{1,3}){3}|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5})?$' },
  },
  (value) => {
    if (typeof value !== 'string') return undefined;
    if (value === '') return nowhere;
    const [, ipv4, ipv6, number] = /^(?:([\d.]+)|\[([\dA-Fa-f:.]+)\]):(\d{1,5})$/.exec(value) ?? [];
    const [host = '', port] = [ipv4 ?? ipv6, Number(number)];
    return isAddress(host) && isWholeNumber(port, 1, 65535) ? { host, port } : undefined;
  },
  ({ host, port }) => (port === 0 ? '' : `${host.includes(':') ? `[${host}]` : host}:${port}`),
);

export interface PortRange {
  readonly first: number;
  /** Included. */
  readonly last: number;
}

/** As the incumbent writes it, with a comma, or as the API server, with a dash. */
export const portRange = optionType<PortRange>(
  {
    description: 'a range of ports, such as "30000,32767"',
    schema: { type: 'string', pattern: '^[0-9]{1,5}[,-][0-9]{1,5}$' },
  },
  (value) => {
    const [, first, last] = typeof value === 'string' ? (/^(\d{1,5})[,-](\d{1,5})$/.exec(value) ?? []).map(Number) : [];
    const isRange = isWholeNumber(first, 1, 65535) && isWholeNumber(last, 1, 65535) && first <= last;
    return isRange ? { first, last } : undefined;
  },
  ({ first, last }) => `${first},${last}`,
);

export function wholeNumber(min: number, max: number): OptionType<number> {
  const schema = { type: 'integer', minimum: min, maximum: max };
  return optionType({ description: `a whole number from ${min} to ${max}`, schema }, (value) =>
    isWholeNumber(value, min, max) ? value : undefined,
  );
}

export const mtu = optionType(
  {
    description: '0 (as the devices have it) or a whole number from 1280 to 65535',
    schema: { anyOf: [{ const: 0 }, { type: 'integer', minimum: 1280, maximum: 65535 }] },
  },
  (value) => (value === 0 || isWholeNumber(value, 1280, 65535) ? value : undefined),
);

/** One of a few words. */
export function choice<const T extends string>(words: readonly T[]): OptionType<T> {
  const description = words.length === 1 ? `"${words[0]}"` : `one of ${words.join(', ')}`;
  return optionType({ description, schema: { enum: words } }, (value) => words.find((word) => word === value));
}

/** One of a few numbers. */
export function numberChoice(numbers: readonly number[]): OptionType<number> {
  const description = `one of ${numbers.join(', ')}`;
  return optionType({ description, schema: { enum: numbers } }, (value) => numbers.find((number) => number === value));
}

/** Three numbers of 32 bits: where hashes begin, so that all nodes come to the same. */
export interface HashSeed {
  /** Of the permutations that Maglev tables are made from. */
  readonly table: number;
  /** Of what a client's connection is found in them by. */
  readonly ipv4: number;
  readonly ipv6: number;
}

/** The incumbent's: twelve bytes in Base64. */
export const hashSeed = optionType<HashSeed>(
  {
    description: '12 bytes in Base64, such as `head -c12 /dev/urandom | base64` writes',
    schema: { type: 'string', pattern: '^[A-Za-z0-9+/]{16}$' },
  },
  (value) => {
    if (typeof value !== 'string' || !/^[A-Za-z0-9+/]{16}$/.test(value)) return undefined;
    const bytes = Buffer.from(value, 'base64');
    return { table: bytes.readUInt32BE(0), ipv4: bytes.readUInt32BE(4), ipv6: bytes.readUInt32BE(8) };
  },
  ({ table, ipv4, ipv6 }) => {
    const bytes = Buffer.alloc(12);
    for (const [index, number] of [table, ipv4, ipv6].entries()) bytes.writeUInt32BE(number, 4 * index);
    return bytes.toString('base64');
  },
);

const clusterNamePattern = '^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$';

export const clusterName = optionType(
  {
    description: 'a name of at most 32 lower-case letters, digits and dashes',
    schema: { type: 'string', pattern: clusterNamePattern },
  },
  (value) => (typeof value === 'string' && new RegExp(clusterNamePattern).test(value) ? value : undefined),
);

export const host = optionType(
  { description: 'an IP address or a host name', schema: { type: 'string', pattern: '^[0-9A-Za-z.:-]*$' } },
  (value) => (typeof value === 'string' && (value === '' || isAddress(value) || isHostName(value)) ? value : undefined),
);

/** A list, or text with spaces or commas between the parts. */
function listOf<T>(
  { description, pattern }: { readonly description: string; readonly pattern: string },
  readItem: (text: string) => T | undefined,
  format: (item: T) => string,
) {
  const text = { type: 'string', pattern: `^[\\s,]*(${pattern}([\\s,]+${pattern})*[\\s,]*)?$` };
  const list = { type: 'array', items: { type: 'string', pattern: `^${pattern}$` } };
  return optionType<readonly T[]>(
    {
      description: `a list of ${description} (or text with spaces between them)`,
      schema: { anyOf: [list, text] },
    },
    (value) => {
      const texts = typeof value === 'string' ? value.split(/[\s,]+/).filter((text) => text !== '') : value;
      if (!Array.isArray(texts)) return undefined;
      return texts.map((text: unknown) => {
        const item = typeof text === 'string' ? readItem(text) : undefined;
        if (item === undefined) throw new TypeError(`${show(text)} does not belong into a list of ${description}`);
        return item;
      });
    },
    (items) => items.map(format).join(' '),
  );
}

// IFNAMSIZ leaves 15 characters; a trailing + matches every name that begins so.
export const devices = listOf(
  { description: 'device names, a trailing + for any ending', pattern: '[^\\s/:+]{1,15}\\+?' },
  (text) => (/^[^\s/:+]{1,15}\+?$/.test(text) && text !== '.' && text !== '..' ? text : undefined),
  String,
);

/** Regular expressions of label keys, as the incumbent has them: `k8s:app`, `!job-name`. */
export const labelPatterns = optionType<readonly string[]>(
  { description: 'patterns of label keys with spaces between them', schema: { type: 'string' } },
  (value) => {
    if (typeof value !== 'string') return undefined;
    const patterns = value.split(/\s+/).filter((text) => text !== '');
    for (const pattern of patterns) if (!isLabelPattern(pattern)) throw new TypeError(`${show(pattern)} is no pattern`);
    return patterns;
  },
  (patterns) => patterns.join(' '),
);

function isLabelPattern(text: string): boolean {
  const expression = /^(?:[a-z0-9-]*:)?!?(.*)$/.exec(text)?.[1] ?? '';
  try {
    return expression !== '' && new RegExp(expression, 'y') instanceof RegExp;
  } catch {
    return false;
  }
}

/** `30m0s`, as Go writes it; in milliseconds. */
export const duration = optionType(
  {
    description: 'a duration such as 90s, 15m0s or 1h30m',
    schema: { type: 'string', minLength: 1, pattern: '^([0-9]+h)?([0-9]+m)?([0-9]+s)?$' },
  },
  (value) => {
    const [text, hours, minutes, seconds] =
      typeof value === 'string' ? (/^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(value) ?? []) : [];
    if (text === undefined || text === '') return undefined;
    return ((Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60 + Number(seconds ?? 0)) * 1000;
  },
  (ms) => (ms % 60_000 === 0 ? `${ms / 60_000}m` : `${ms / 1000}s`),
);

export const serverUrls = listOf(
  { description: 'addresses such as https://10.10.30.10:6443', pattern: '[Hh][Tt][Tt][Pp][Ss]?:[^\\s,]+' },
  readServerUrl,
  String,
);

export function prefixes(family: 4 | 6): OptionType<readonly Prefix[]> {
  const pattern = family === 4 ? '[0-9]{1,3}([.][0-9]{1,3}){3}/[0-9]{1,3}' : '[0-9A-Fa-f:.]+/[0-9]{1,3}';
  return listOf({ description: `IPv${family} prefixes`, pattern }, (text) => readPrefix(text, family), formatPrefix);
}

/** Of both families, one beside the other. */
export const anyPrefixes = listOf(
  { description: 'prefixes such as 10.10.30.0/24 or fd00::/64', pattern: '[0-9A-Fa-f:.]+/[0-9]{1,3}' },
  (text) => readPrefix(text),
  formatPrefix,
);

function readPrefix(text: string, family?: 4 | 6): Prefix | undefined {
  if (family !== undefined && text.includes(':') !== (family === 6)) return undefined;
  try {
    return parsePrefix(text);
  } catch (error) {
    throw new TypeError(error instanceof Error ? error.message : String(error));
  }
}

function readServerUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const usable = (url?.protocol === 'https:' || url?.protocol === 'http:') && url.pathname === '/' && url.search === '';
  return usable ? url.href.replace(/\/$/, '') : undefined;
}

function isHostName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/i.test(text);
}

function isWholeNumber(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
