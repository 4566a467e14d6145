import { type Address, type Prefix, parseAddress, parsePrefix } from '@sluice/net';

/** The object cannot be used at all, because it has no name or is of another kind. */
export class MalformedObjectError extends Error {
  override readonly name = 'MalformedObjectError';
}

/**
 * A place in an object from outside. What is absent reads as undefined; what has the wrong type or is out of range also
 * does, and leaves a problem that names the field's path, so that the rest of the object can still be used.
 */
export class Field {
  readonly value: unknown;
  readonly #parent: Field | undefined;
  readonly #step: string | number;
  readonly #problems: string[];

  constructor(value: unknown, parent?: Field, step: string | number = '') {
    this.value = value ?? undefined;
    this.#parent = parent;
    this.#step = step;
    this.#problems = parent === undefined ? [] : parent.#problems;
  }

  /** `spec.ports[1].port`; put together only when there is a problem to tell. */
  get path(): string {
    const above = this.#parent?.path ?? '';
    if (typeof this.#step === 'number') return `${above}[${this.#step}]`;
    return above === '' ? this.#step : `${above}.${this.#step}`;
  }

  get problems(): readonly string[] {
    return this.#problems;
  }

  get present(): boolean {
    return this.value !== undefined;
  }

  problem(text: string): void {
    if (this.#problems.length < problemsMax) this.#problems.push(`${this.path}: ${text}`);
  }

  get(name: string): Field {
    const object = this.value === undefined ? {} : this.#object();
    return new Field(object?.[name], this, name);
  }

  items(): Field[] {
    if (this.value === undefined) return [];
    if (!Array.isArray(this.value)) {
      this.problem(`${show(this.value)} is not a list`);
      return [];
    }
    return this.value.map((item, index) => new Field(item, this, index));
  }

  /** `get(name).text()`, where many are read: without a field for each. */
  textOf(name: string): string | undefined {
    const value = this.#valueOf(name);
    return value === undefined || typeof value === 'string' ? value : this.get(name).text();
  }

  /** `get(name).boolean()` in the same way. */
  booleanOf(name: string): boolean | undefined {
    const value = this.#valueOf(name);
    return value === undefined || typeof value === 'boolean' ? value : this.get(name).boolean();
  }

  text(): string | undefined {
    if (this.value === undefined || typeof this.value === 'string') return this.value;
    this.problem(`${show(this.value)} is not text`);
    return undefined;
  }

  boolean(): boolean | undefined {
    if (this.value === undefined || typeof this.value === 'boolean') return this.value;
    this.problem(`${show(this.value)} is not true or false`);
    return undefined;
  }

  integer(min: number, max: number): number | undefined {
    const { value } = this;
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    this.problem(`${show(value)} is not a whole number from ${min} to ${max}`);
    return undefined;
  }

  port(): number | undefined {
    const { value } = this;
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
    this.problem(`${show(value)} is not a port (1 to 65535)`);
    return undefined;
  }

  oneOf<T extends string>(values: readonly T[]): T | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const known = values.find((value) => value === text);
    if (known === undefined) this.problem(`${show(text)} is none of ${values.join(', ')}`);
    return known;
  }

  /** The string values of an object of strings; others are problems. */
  texts(keep: (key: string) => boolean = () => true): Readonly<Record<string, string>> {
    const result: Record<string, string> = {};
    for (const [key, value] of Object.entries(this.#object() ?? {})) {
      if (!keep(key)) continue;
      const text = new Field(value, this, key).text();
      if (text !== undefined) result[key] = text;
    }
    return result;
  }

  address(): Address | undefined {
    return this.#parsed((text) => parseAddress(text), 'is not an IP address');
  }

  /** The API server takes spaces around those of loadBalancerSourceRanges. */
  prefix(): Prefix | undefined {
    return this.#parsed((text) => parsePrefix(text.trim(), { lenient: true }), 'is not a prefix');
  }

  /** RFC 3339, as milliseconds since the epoch. */
  time(): number | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const ms = Date.parse(text);
    if (!Number.isNaN(ms)) return ms;
    this.problem(`${show(text)} is not a time`);
    return undefined;
  }

  #parsed<T>(parse: (text: string) => T, complaint: string): T | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch {
      this.problem(`${show(text)} ${complaint}`);
      return undefined;
    }
  }

  #valueOf(name: string): unknown {
    return isRecord(this.value) ? (this.value[name] ?? undefined) : this.get(name).value;
  }

  #object(): Readonly<Record<string, unknown>> | undefined {
    if (this.value === undefined) return undefined;
    if (isRecord(this.value)) return this.value;
    this.problem(`${show(this.value)} is not an object`);
    return undefined;
  }
}

// One broken object of a thousand endpoints must not fill memory and log with its problems.
const problemsMax = 20;

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * Drops what could not be read; the problem is already noted. Mostly there is none, and a filtered array would keep room for
 * sixteen more: of 250,000 endpoints that is 32 MB.
 */
export function present<T>(values: readonly (T | undefined)[]): readonly T[] {
  return isWhole(values) ? values : values.filter((value) => value !== undefined);
}

function isWhole<T>(values: readonly (T | undefined)[]): values is readonly T[] {
  return !values.includes(undefined);
}

/** Reads each item; a value that was there before is a problem and left out. */
export function distinct<T>(
  fields: readonly Field[],
  read: (field: Field) => T | undefined,
  key: (item: T) => string,
): T[] {
  const seen = new Set<string>();
  const items: T[] = [];
  for (const field of fields) {
    const item = read(field);
    if (item === undefined) continue;
    if (seen.has(key(item))) {
      field.problem(`${key(item)} is there twice`);
      continue;
    }
    seen.add(key(item));
    items.push(item);
  }
  return items;
}
