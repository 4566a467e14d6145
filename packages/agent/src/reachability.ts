import type { Address } from '@sluice/net';
import type { NodeRow, NodesFeature } from '@sluice/nodes';
import type { Clock, LifecyclePart, Logger } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import type { Tallies } from './metrics/tallies.ts';
import { type Prober, type Reachability, startProber } from './probe.ts';
import type { StatusReport } from './report.ts';

export interface NodeReachabilityOptions {
  readonly nodes: NodesFeature['nodes'];
  readonly controllers: Controllers;
  readonly tallies: Pick<Tallies, 'nodeLatency'>;
  readonly clock: Clock;
  readonly log: Logger;
}

const probeIntervalMs = 5_000;
/** Addresses asked in a round; the nodes beyond stay "unknown". */
const probesMax = 1024;
const unknown: Reachability = { state: 'unknown', roundTripMs: undefined };

/** Whether the other nodes answer, at their own addresses and through the tunnel. */
export class NodeReachability implements LifecyclePart {
  readonly name = 'reachability';
  readonly #options: NodeReachabilityOptions;
  readonly #running = new AsyncDisposableStack();
  #prober: Prober | undefined;
  /** Of the round under way: what an address is of its node. */
  #targets: ReadonlyMap<Address, Target> = new Map();

  constructor(options: NodeReachabilityOptions) {
    this.#options = options;
  }

  start(): void {
    const { nodes, controllers, clock, log } = this.#options;
    const onAnswer = (address: Address, roundTripMs: number) => this.#answered(address, roundTripMs);
    const prober = this.#running.use(startProber({ clock, log, onAnswer }));
    this.#prober = prober;
    const probing = controllers.start({
      name: 'node-probe',
      intervalMs: probeIntervalMs,
      run: () => {
        this.#targets = new Map(
          this.#remote()
            .flatMap(targetsOf)
            .map((target) => [target.address, target]),
        );
        prober.probe([...this.#targets.keys()].slice(0, probesMax));
      },
    });
    this.#running.use(probing);
    this.#running.use(nodes.subscribe(() => probing.trigger()));
  }

  async stop(): Promise<void> {
    this.#prober = undefined;
    await this.#running.disposeAsync();
  }

  report(): StatusReport['nodes'] {
    return this.#options.nodes.list().map((node) => ({
      name: node.name,
      local: node.local,
      addresses: node.addresses,
      ...(node.local ? { state: 'reachable', why: undefined } : this.#judge(node)),
    }));
  }

  /** How many of the other nodes are so: `node` at their own addresses, `endpoint` through the tunnel. */
  count(type: Target['type'], state: Reachability['state']): number {
    return this.#remote().filter((node) => {
      const targets = targetsOf(node).filter((target) => target.type === type);
      return worstOf(targets.map(({ address }) => this.#stateOf(address))) === state;
    }).length;
  }

  #judge(node: NodeRow): Pick<StatusReport['nodes'][number], 'state' | 'why'> {
    const answers = targetsOf(node).map((target) => ({
      ...target,
      state: this.#stateOf(target.address),
    }));
    const silent = answers.filter(({ state }) => state === 'unreachable');
    const reasons = [...node.problems, ...silent.map(({ address, what }) => `${address} (${what}) does not answer`)];
    return { state: worstOf(answers.map(({ state }) => state)), why: reasons.join('; ') || undefined };
  }

  #stateOf(address: Address): Reachability['state'] {
    return (this.#prober?.reachability(address) ?? unknown).state;
  }

  #answered(address: Address, roundTripMs: number): void {
    const target = this.#targets.get(address);
    if (target === undefined) return;
    this.#options.tallies.nodeLatency.observe(
      [target.type, target.isFirst ? 'primary' : 'secondary'],
      roundTripMs / 1000,
    );
  }

  #remote(): NodeRow[] {
    return this.#options.nodes.list().filter((node) => !node.local);
  }
}

interface Target {
  readonly address: Address;
  readonly type: 'node' | 'endpoint';
  readonly what: string;
  readonly isFirst: boolean;
}

/** Its own addresses, and its router's, which answer through the tunnel: one family may fail alone. */
function targetsOf(node: NodeRow): Target[] {
  return [
    ...node.addresses.map(
      (address, index) => ({ address, type: 'node', what: 'the node', isFirst: index === 0 }) as const,
    ),
    ...node.routerAddresses.map(
      (address, index) => ({ address, type: 'endpoint', what: 'through the tunnel', isFirst: index === 0 }) as const,
    ),
  ];
}

function worstOf(states: readonly Reachability['state'][]): Reachability['state'] {
  if (states.includes('unreachable')) return 'unreachable';
  return states.length === 0 || states.includes('unknown') ? 'unknown' : 'reachable';
}
