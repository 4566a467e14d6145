import { type CollectionCounts, collectConnections, type DatapathMaps, DropReason } from '@sluice/datapath';
import type { Clock, LifecyclePart } from '@sluice/runtime';
import type { Controller, Controllers } from '@sluice/state';
import type { Tallies } from './metrics/tallies.ts';
import { exhaustedRanges, type NatPorts, PortCounts, type TakenPorts } from './nat-ports.ts';

export interface ConnectionsOptions {
  /** Asked when it starts. */
  readonly maps: () => DatapathMaps;
  readonly controllers: Controllers;
  readonly tallies: Pick<Tallies, 'collections'>;
  readonly clock: Clock;
  readonly natPorts: NatPorts;
}

const intervalMs = 10_000;
const intervalNs = BigInt(intervalMs) * 1_000_000n;
const fillMax = 0.9;

/** Keeps conntrack from filling with what is over, and knows how it fares. */
export class Connections implements LifecyclePart {
  readonly name = 'connections';
  readonly #options: ConnectionsOptions;
  #collecting: Controller | undefined;
  /** Of the last collection. */
  counts: CollectionCounts | undefined;
  /** Towards which destinations most ports of the node are taken, by the last collection that came to its end. */
  takenPorts: readonly TakenPorts[] | undefined;
  /** Packets that passed without being remembered: ever, and of those the ones since the collection before. */
  #untracked = 0n;
  #untrackedLately = 0n;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  start(): void {
    const { controllers } = this.#options;
    const maps = this.#options.maps();
    // What an earlier agent saw is no news.
    this.#untracked = countUntracked(maps);
    this.#collecting = controllers.start({
      name: 'conntrack-collection',
      intervalMs,
      run: async (signal) => {
        await this.#collect(maps, signal);
        const untracked = countUntracked(maps);
        this.#untrackedLately = untracked - this.#untracked;
        this.#untracked = untracked;
      },
    });
  }

  async stop(): Promise<void> {
    await this.#collecting?.stop();
  }

  async #collect(maps: DatapathMaps, signal: AbortSignal): Promise<void> {
    const { clock, tallies, natPorts } = this.#options;
    const beganNs = clock.monotonicNs();
    const tell = (status: 'completed' | 'uncompleted') =>
      tallies.collections.observe([status], Number(clock.monotonicNs() - beganNs) / 1e9);
    const ports = new PortCounts(natPorts);
    try {
      this.counts = await collectConnections(maps, clock, { signal, onConnection: ports.add });
      if (!signal.aborted) this.takenPorts = ports.list(exhaustedRanges(maps, beganNs - intervalNs));
      tell(signal.aborted ? 'uncompleted' : 'completed');
    } catch (error) {
      tell('uncompleted');
      throw error;
    }
  }

  /** Undefined while there is room. */
  get problem(): string | undefined {
    const fill = this.counts?.fill ?? 0;
    const full = `${Math.round(fill * 100)}% of the table are in use`;
    if (this.#untrackedLately > 0n) {
      return `${this.#untrackedLately} packets passed untracked in the last ${intervalMs / 1000} s; ${full}`;
    }
    return fill > fillMax ? full : undefined;
  }
}

function countUntracked({ counters }: Pick<DatapathMaps, 'counters'>): bigint {
  let packets = 0n;
  for (const [{ reason }, perCpu] of counters.entries()) {
    if (reason !== DropReason.CtCreateFailed) continue;
    for (const counter of perCpu) packets += counter.packets;
  }
  return packets;
}
