/** What was counted, and how often it came. */
export interface Count<Value> {
  readonly value: Value;
  count: number;
}

/**
 * Counts what comes most often, in room for so many kinds (Misra and Gries): exact while no more have come, afterwards
 * short by no more than the sum of all divided by the room.
 */
export class TopCounts<Value> {
  readonly #room: number;
  readonly #counts = new Map<string, Count<Value>>();

  constructor(room: number) {
    this.#room = room;
  }

  /** `make` is called for the first of a kind. */
  add(key: string, make: () => Value): Value | undefined {
    const known = this.#counts.get(key);
    if (known) known.count += 1;
    else if (this.#counts.size < this.#room) return this.#insert(key, make());
    else this.#shrink();
    return known?.value;
  }

  /** The most frequent first. */
  list(): Count<Value>[] {
    return [...this.#counts.values()].sort((one, other) => other.count - one.count);
  }

  #insert(key: string, value: Value): Value {
    this.#counts.set(key, { value, count: 1 });
    return value;
  }

  /** One of each kind goes with the one that has no place: as seldom as there are as many counts to take back. */
  #shrink(): void {
    for (const [key, each] of this.#counts) {
      each.count -= 1;
      if (each.count === 0) this.#counts.delete(key);
    }
  }
}
