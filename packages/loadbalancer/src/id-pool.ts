/** Numbers from 1 to 2^32 - 1, lowest free first. Those in use by an earlier agent are claimed before any is taken. */
export class IdPool {
  readonly #used = new Set<number>();
  #lowest = 1;

  take(): number {
    let id = this.#lowest;
    while (this.#used.has(id)) id += 1;
    this.#used.add(id);
    this.#lowest = id + 1;
    return id;
  }

  claim(id: number): void {
    this.#used.add(id);
  }

  give(id: number): void {
    this.#used.delete(id);
    this.#lowest = Math.min(this.#lowest, id);
  }
}
