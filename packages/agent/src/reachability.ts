import type { Address } from '@sluice/net';
import type { NodeRow, NodesFeature } from '@sluice/nodes';
import type { Clock, LifecyclePart, Logger } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import { type Prober, type Reachability, startProber } from './probe.ts';
import type { StatusReport } from './report.ts';

export interface NodeReachabilityOptions {
  readonly nodes: NodesFeature['nodes'];
  readonly controllers: Controllers;
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

  constructor(options: NodeReachabilityOptions) {
    this.#options = options;
  }

  start(): void {
    const { nodes, controllers } = this.#options;
    const prober = this.#running.use(startProber(this.#options));
    this.#prober = prober;
    const probing = controllers.start({
      name: 'node-probe',
      intervalMs: probeIntervalMs,
      run: () => prober.probe(this.#addresses().slice(0, probesMax)),
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

  #judge(node: NodeRow): Pick<StatusReport['nodes'][number], 'state' | 'why'> {
    const answers = targetsOf(node).map((target) => ({
      ...target,
      state: (this.#prober?.reachability(target.address) ?? unknown).state,
    }));
    const silent = answers.filter(({ state }) => state === 'unreachable');
    const reasons = [...node.problems, ...silent.map(({ address, what }) => `${address} (${what}) does not answer`)];
    return { state: worstOf(answers.map(({ state }) => state)), why: reasons.join('; ') || undefined };
  }

  #addresses(): Address[] {
    const remote = this.#options.nodes.list().filter((node) => !node.local);
    return remote.flatMap((node) => targetsOf(node).map((target) => target.address));
  }
}

/** Its own addresses, and its router's, which answer through the tunnel: one family may fail alone. */
function targetsOf(node: NodeRow): { address: Address; what: string }[] {
  return [
    ...node.addresses.map((address) => ({ address, what: 'the node' })),
    ...node.routerAddresses.map((address) => ({ address, what: 'through the tunnel' })),
  ];
}

function worstOf(states: readonly Reachability['state'][]): Reachability['state'] {
  if (states.includes('unreachable')) return 'unreachable';
  return states.length === 0 || states.includes('unknown') ? 'unknown' : 'reachable';
}
