/** Agents, and pods, start in parallel, as far as the machine's processors allow. */
const lastsMs = { least: 60_000, eachNode: 10_000 };

export interface Reached {
  readonly nodes: readonly { readonly ready: boolean }[];
  readonly pods: { readonly ready: number };
}

/**
 * How long one waits for a lab: for the next node or pod, not for the whole. A machine that is busy with other things gets
 * there late; one on which nothing comes any more is not waited for.
 */
export class Patience {
  #lastsMs = lastsMs.least;
  #sinceMs: number;
  #reached = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  get lastsMs(): number {
    return this.#lastsMs;
  }

  see({ nodes, pods }: Reached, nowMs: number): void {
    this.#lastsMs = Math.max(lastsMs.least, lastsMs.eachNode * nodes.length);
    const reached = nodes.filter(({ ready }) => ready).length + pods.ready;
    if (reached <= this.#reached) return;
    this.#reached = reached;
    this.#sinceMs = nowMs;
  }

  isOver(nowMs: number): boolean {
    return nowMs - this.#sinceMs >= this.#lastsMs;
  }
}
