declare const brand: unique symbol;
/** A set of labels in few bytes. Equal sets of one `LabelSets` are equal texts; outside of it the text means nothing. */
export type LabelSet = string & { readonly [brand]: 'LabelSet' };

/**
 * Sets of labels as short texts: keys, of which a cluster has few, are numbers, values stand as they are. A set of seven
 * labels takes 100 bytes instead of 700, and two of them are compared as texts are.
 *
 * A number is written in digits of 64: bytes from 0x80 on, the last one from 0xc0 on. Values are ASCII (validation of
 * labels), so a number ends the value before it; a label that is none of that counts as a key as a whole.
 */
export class LabelSets {
  readonly #keys: (string | undefined)[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #free: number[] = [];
  /** Keys that no set had at the last sweep. */
  #unused = new Set<number>();

  /** Distinct keys. */
  get size(): number {
    return this.#numbers.size;
  }

  /** Labels in their order: whoever compares sets sorts them first. */
  of(labels: readonly string[]): LabelSet {
    // Joined and not added up: the engine would keep the parts of a sum.
    return labels.map((label) => this.#encode(label, (key) => this.#number(key))).join('') as LabelSet;
  }

  /** Undefined: one of the keys is in no set, so neither are these labels. */
  find(labels: readonly string[]): LabelSet | undefined {
    const parts: string[] = [];
    for (const label of labels) {
      const part = this.#encode(label, (key) => this.#numbers.get(key));
      if (part === undefined) return undefined;
      parts.push(part);
    }
    return parts.join('') as LabelSet;
  }

  labelsOf(set: LabelSet): string[] {
    return [...partsOf(set)].map(({ number, value }) => {
      const key = this.#keys[number];
      if (key === undefined) throw new RangeError(`no key has the number ${number}`);
      return key + value;
    });
  }

  /**
   * Forgets keys that were in no living set at this sweep and at the one before: a set that was made just now may not be
   * where `living` looks yet. So sweeps must be further apart than a list of all objects takes.
   */
  sweep(living: Iterable<LabelSet>): void {
    const used = new Set<number>();
    for (const set of living) for (const { number } of partsOf(set)) used.add(number);
    const unused = new Set<number>();
    for (const number of this.#numbers.values()) if (!used.has(number)) unused.add(number);
    for (const number of unused) {
      if (!this.#unused.has(number)) continue;
      this.#forget(number);
      unused.delete(number);
    }
    this.#unused = unused;
  }

  #encode(label: string, numberOf: (key: string) => number): string;
  #encode(label: string, numberOf: (key: string) => number | undefined): string | undefined;
  #encode(label: string, numberOf: (key: string) => number | undefined): string | undefined {
    const end = isPlain(label) ? label.indexOf('=') + 1 : label.length;
    const number = numberOf(label.slice(0, end));
    return number === undefined ? undefined : digits(number) + label.slice(end);
  }

  #number(key: string): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) {
      this.#unused.delete(known);
      return known;
    }
    const number = this.#free.pop() ?? this.#keys.length;
    this.#keys[number] = key;
    this.#numbers.set(key, number);
    return number;
  }

  #forget(number: number): void {
    const key = this.#keys[number];
    if (key === undefined) return;
    this.#keys[number] = undefined;
    this.#numbers.delete(key);
    this.#free.push(number);
  }
}

function isPlain(label: string): boolean {
  return /^[\x20-\x7e]*=[\x20-\x7e]*$/.test(label);
}

function digits(number: number): string {
  const last = String.fromCharCode(0xc0 | (number & 0x3f));
  return number < 64 ? last : head(number >>> 6) + last;
}

function head(number: number): string {
  const digit = String.fromCharCode(0x80 | (number & 0x3f));
  return number < 64 ? digit : head(number >>> 6) + digit;
}

function* partsOf(set: LabelSet): Generator<{ number: number; value: string }, void> {
  for (let index = 0; index < set.length; ) {
    let number = 0;
    for (let code = 0; code < 0xc0; index += 1) {
      code = set.charCodeAt(index);
      number = (number << 6) | (code & 0x3f);
    }
    const start = index;
    while (index < set.length && set.charCodeAt(index) < 0x80) index += 1;
    yield { number, value: set.slice(start, index) };
  }
}
