/** The last so many of something, oldest first. */
export class RecentEvents<Event> {
  readonly #max: number;
  readonly #events: Event[] = [];
  /** Where the next one goes once there is no more room: over the oldest. */
  #next = 0;

  constructor(max: number) {
    this.#max = max;
  }

  add(event: Event): void {
    this.#events[this.#next] = event;
    this.#next = (this.#next + 1) % this.#max;
  }

  list(): Event[] {
    return [...this.#events.slice(this.#next), ...this.#events.slice(0, this.#next)];
  }
}
