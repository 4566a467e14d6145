/**
 * Numbers of affinity groups: all frontends of a service's port and family, at which a client keeps one backend. They come
 * from the same pool as the frontends' ids. The kernel has them with each frontend, so that a restart goes on with them.
 */
import type { IdPool } from './id-pool.ts';

interface Group {
  readonly id: number;
  /** Keys of its frontends. */
  readonly frontends: Set<string>;
}

export class AffinityIds {
  readonly #ids: IdPool;
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<string, string>();
  readonly #used = new Set<number>();

  constructor(ids: IdPool) {
    this.#ids = ids;
  }

  /** The id of the group, which the frontend joins; `found` is what the kernel has for the frontend, or 0. */
  join(name: string, frontend: string, found: number): number {
    const before = this.#groupOf.get(frontend);
    const group = this.#groups.get(name) ?? this.#create(name, before === undefined ? found : 0);
    if (before !== name) this.leave(frontend);
    group.frontends.add(frontend);
    this.#groupOf.set(frontend, name);
    return group.id;
  }

  leave(frontend: string): void {
    const name = this.#groupOf.get(frontend);
    const group = name === undefined ? undefined : this.#groups.get(name);
    this.#groupOf.delete(frontend);
    if (name === undefined || group === undefined || !group.frontends.delete(frontend)) return;
    if (group.frontends.size > 0) return;
    this.#groups.delete(name);
    this.#used.delete(group.id);
    this.#ids.give(group.id);
  }

  /** A port that moved to another service while nobody looked does not take its number along. */
  #create(name: string, found: number): Group {
    const id = found !== 0 && !this.#used.has(found) ? found : this.#ids.take();
    this.#ids.claim(id);
    const group = { id, frontends: new Set<string>() };
    this.#groups.set(name, group);
    this.#used.add(id);
    return group;
  }
}
