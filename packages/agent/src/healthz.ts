import type { SluiceValues } from '@sluice/config';
import type { NodeObject } from '@sluice/kube';
import type { LoadBalancer } from '@sluice/loadbalancer';
import { type Clock, type JsonAnswer, JsonServer, type LifecyclePart, type Logger } from '@sluice/runtime';
import type { Table } from '@sluice/state';

/** How the autoscaler marks a node before it takes it away. */
const leavingTaint = 'ToBeDeletedByClusterAutoscaler';

export interface HealthzOptions {
  /** `kubeProxyReplacementHealthzBindAddr`; port 0: nobody asks. */
  readonly address: SluiceValues['kubeProxyReplacementHealthzBindAddr'];
  readonly nodeName: string;
  readonly nodes: Table<NodeObject>;
  readonly loadBalancer: () => Pick<LoadBalancer, 'frontends' | 'lag'> | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * kube-proxy's `/healthz`, by which balancers of a cloud find nodes, and its `/livez`. Both want the kernel to have what the
 * API says, and all of it from the start; `/healthz` also that the node is to stay.
 */
export class Healthz implements LifecyclePart {
  readonly name = 'healthz';
  readonly #options: HealthzOptions;
  readonly #server: JsonServer | undefined;

  constructor(options: HealthzOptions) {
    const { address, clock, log } = options;
    this.#options = options;
    const onProblem = (problem: string | undefined) => {
      if (problem !== undefined) log.warn({ problem }, '/healthz of services is not answered');
    };
    const answer = (path: string) => this.answer(path);
    this.#server = address.port === 0 ? undefined : new JsonServer({ ...address, clock, answer, onProblem });
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

  answer(path: string): JsonAnswer | undefined {
    if (path !== '/healthz' && path !== '/livez') return undefined;
    const loadBalancer = this.#options.loadBalancer();
    const isHealthy = loadBalancer?.frontends.initialized === true && loadBalancer.lag.isHealthy;
    const nodeEligible = this.#isNodeEligible();
    const now = this.#options.clock.now();
    // To kube-proxy the last update is now as long as all is well.
    const lastUpdated = isHealthy ? now : (loadBalancer?.lag.inStepAt ?? 0);
    const times = { lastUpdated: new Date(lastUpdated).toISOString(), currentTime: new Date(now).toISOString() };
    if (path === '/livez') return { status: isHealthy ? 200 : 503, body: times };
    return { status: isHealthy && nodeEligible ? 200 : 503, body: { ...times, nodeEligible } };
  }

  #isNodeEligible(): boolean {
    const { nodes, nodeName } = this.#options;
    const node = nodes.get(nodeName);
    if (node === undefined) return !nodes.initialized;
    return !node.terminating && !node.taints.includes(leavingTaint);
  }
}
