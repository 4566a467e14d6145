/** Keys that somebody must look at again, in the order in which they were added; what takes long stands behind the rest. */
export class DirtyKeys {
  readonly #isSlow: (key: string) => boolean;
  readonly #keys = new Set<string>();
  /** Were in front once and found slow. */
  readonly #slow = new Set<string>();

  constructor(isSlow: (key: string) => boolean) {
    this.#isSlow = isSlow;
  }

  get size(): number {
    return this.#keys.size + this.#slow.size;
  }

  has(key: string): boolean {
    return this.#keys.has(key) || this.#slow.has(key);
  }

  add(key: string): void {
    // One that waits among the slow stays there, whatever it is by now: so each is in one place.
    if (!this.#slow.has(key)) this.#keys.add(key);
  }

  delete(key: string): void {
    this.#keys.delete(key);
    this.#slow.delete(key);
  }

  /** One after the other, as many as that at most; those added meanwhile as well. */
  *take(limit: number): Generator<string> {
    for (let left = limit; left > 0; left -= 1) {
      const key = this.#firstQuick() ?? this.#slow.keys().next().value;
      if (key === undefined) return;
      this.delete(key);
      yield key;
    }
  }

  #firstQuick(): string | undefined {
    for (const key of this.#keys) {
      if (!this.#isSlow(key)) return key;
      this.#keys.delete(key);
      this.#slow.add(key);
    }
    return undefined;
  }
}
