/** Numbers from 1 to 2^32 - 1, lowest free first. Those in use by an earlier agent are claimed before any is taken. */
export class IdPool {
  /** By id; a set of 250,000 takes several times as long. */
  readonly #used: boolean[] = [];
  #lowest = 1;

  take(): number {
    let id = this.#lowest;
    while (this.#used[id]) id += 1;
    this.#used[id] = true;
    this.#lowest = id + 1;
    return id;
  }

  claim(id: number): void {
    this.#used[id] = true;
  }

  give(id: number): void {
    this.#used[id] = false;
    this.#lowest = Math.min(this.#lowest, id);
  }
}
