import { type Clock, type Gathered, gather, type LifecyclePart, type Logger, MetricsServer } from '@sluice/runtime';
import type { Agent } from '../agent.ts';
import { agentMetrics } from './agent-metrics.ts';
import { MetricsSource } from './source.ts';

/** The agent's metrics: on a TCP port where that is wanted, and for the local API in any case. */
export class MetricsPart implements LifecyclePart {
  readonly name = 'metrics';
  readonly #agent: Agent;
  readonly #server: MetricsServer | undefined;

  constructor(agent: Agent, { log, clock }: { readonly log: Logger; readonly clock: Clock }) {
    const { enabled, port } = agent.values.prometheus;
    this.#agent = agent;
    this.#server = enabled ? new MetricsServer({ port, gather: () => this.gather(), log, clock }) : undefined;
  }

  async start(): Promise<void> {
    await this.#server?.start();
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  get isOn(): boolean {
    return this.#server !== undefined;
  }

  /** Why the port does not answer; undefined while it does, or is not wanted. */
  get problem(): string | undefined {
    return this.#server?.problem;
  }

  gather(): Promise<Gathered> {
    return gather(agentMetrics, new MetricsSource(this.#agent));
  }
}
