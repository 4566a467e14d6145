declare const brand: unique symbol;
/** A set of labels in few bytes. Equal sets of one `LabelSets` are equal texts; outside of it the text means nothing. */
export type LabelSet = string & { readonly [brand]: 'LabelSet' };

/**
 * Each label once, however many sets have it; a set is the numbers of its labels, two code units each. 100,000 sets of
 * six labels then take some 10 MB instead of 60.
 */
export class LabelSets {
  readonly #labels: (string | undefined)[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #free: number[] = [];
  /** Labels that no set had at the last sweep. */
  #unused = new Set<number>();

  /** Distinct labels. */
  get size(): number {
    return this.#numbers.size;
  }

  /** Labels in their order: whoever compares sets sorts them first. */
  of(labels: readonly string[]): LabelSet {
    let set = '';
    for (const label of labels) set += encode(this.#number(label));
    return set as LabelSet;
  }

  /** Undefined: one of the labels is in no set, so neither are all of them. */
  find(labels: readonly string[]): LabelSet | undefined {
    let set = '';
    for (const label of labels) {
      const number = this.#numbers.get(label);
      if (number === undefined) return undefined;
      set += encode(number);
    }
    return set as LabelSet;
  }

  labelsOf(set: LabelSet): string[] {
    return [...numbersOf(set)].map((number) => {
      const label = this.#labels[number];
      if (label === undefined) throw new RangeError(`no label has the number ${number}`);
      return label;
    });
  }

  /**
   * Forgets labels that were in no living set at this sweep and at the one before: a set that was made just now may
   * not be where `living` looks yet. So sweeps must be further apart than a list of all objects takes.
   */
  sweep(living: Iterable<LabelSet>): void {
    const used = new Set<number>();
    for (const set of living) for (const number of numbersOf(set)) used.add(number);
    const unused = new Set<number>();
    for (const number of this.#numbers.values()) if (!used.has(number)) unused.add(number);
    for (const number of unused) {
      if (!this.#unused.has(number)) continue;
      this.#forget(number);
      unused.delete(number);
    }
    this.#unused = unused;
  }

  #number(label: string): number {
    const known = this.#numbers.get(label);
    if (known !== undefined) {
      this.#unused.delete(known);
      return known;
    }
    const number = this.#free.pop() ?? this.#labels.length;
    this.#labels[number] = label;
    this.#numbers.set(label, number);
    return number;
  }

  #forget(number: number): void {
    const label = this.#labels[number];
    if (label === undefined) return;
    this.#labels[number] = undefined;
    this.#numbers.delete(label);
    this.#free.push(number);
  }
}

function encode(number: number): string {
  return String.fromCharCode(number & 0xffff, number >>> 16);
}

function* numbersOf(set: LabelSet): Generator<number, void> {
  for (let index = 0; index < set.length; index += 2) {
    yield set.charCodeAt(index) | (set.charCodeAt(index + 1) << 16);
  }
}
