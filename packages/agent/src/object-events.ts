import { type Endpoints, endpointKey } from '@sluice/endpoint';
import { type EventRecorder, eventRecorder, tellTroubles } from '@sluice/kube';
import type { HostPortNode, LoadBalancer } from '@sluice/loadbalancer';
import type { NodesFeature } from '@sluice/nodes';
import type { Clock, LifecyclePart, Logger } from '@sluice/runtime';
import type { Controller, Controllers } from '@sluice/state';
import type { Kubernetes } from './kubernetes.ts';
import type { PortRange } from './nat-ports.ts';
import { type FailedFrontend, nodeTroubles, refusedElsewhere } from './troubles.ts';

export interface ObjectEventsOptions {
  readonly nodeName: string;
  readonly kubernetes: Kubernetes;
  readonly nodes: NodesFeature;
  readonly endpoints: () => Endpoints | undefined;
  readonly loadBalancer: () => LoadBalancer | undefined;
  /** Pod CIDRs that have no room for a pod; empty: none. */
  readonly tooSmall: () => string;
  readonly hostPorts: () => HostPortNode | undefined;
  readonly scarcePorts: () => Iterable<PortRange>;
  readonly controllers: Controllers;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Events on the pods of this node, on its Node and on Services, when something of them is not served here. */
export class ObjectEvents implements LifecyclePart {
  readonly name = 'object-events';
  readonly #options: ObjectEventsOptions;
  readonly #recorder: EventRecorder;
  #teller: Controller | undefined;
  #elsewhere: { readonly revision: string; readonly problems: readonly string[] } | undefined;

  constructor(options: ObjectEventsOptions) {
    this.#options = options;
    const { kubernetes, nodeName, log, clock } = options;
    this.#recorder = eventRecorder({
      client: kubernetes.client,
      component: 'sluice-agent',
      host: nodeName,
      log,
      clock,
    });
  }

  start(): void {
    const { controllers, clock } = this.#options;
    const find = () => this.#find();
    this.#teller = tellTroubles({ name: this.name, find, recorder: this.#recorder, controllers, clock });
  }

  async stop(): Promise<void> {
    await this.#teller?.stop();
    await this.#recorder.stop();
  }

  /** Why what is told on objects does not get there. */
  get problem(): string | undefined {
    return this.#recorder.problem;
  }

  #find() {
    const { nodeName, kubernetes, nodes, tooSmall, hostPorts, scarcePorts } = this.#options;
    const endpoints = this.#options.endpoints();
    return nodeTroubles({
      nodeName,
      pods: kubernetes.pods.list(),
      endpoints: endpoints?.table.list() ?? [],
      endpointStatus: (endpoint) => endpoints?.statusOf(endpointKey(endpoint)),
      node: nodes.nodes.get(nodeName),
      tooSmall: tooSmall(),
      hostPorts: hostPorts(),
      refusedElsewhere: this.#refusedElsewhere(),
      failedFrontends: this.#failedFrontends(),
      failedHealthChecks: this.#failedHealthChecks(),
      scarcePorts: scarcePorts(),
      service: (name) => kubernetes.services.get(name),
      clockAheadMs: kubernetes.client.clockAheadMs,
    });
  }

  // All nodes are compared with each other for it: only when one has changed.
  #refusedElsewhere(): readonly string[] {
    const { nodeName, kubernetes } = this.#options;
    const { nodes, serviceCidrs } = kubernetes;
    const revision = `${nodes.revision} ${serviceCidrs.revision}`;
    if (this.#elsewhere?.revision !== revision) {
      const prefixes = serviceCidrs.list().flatMap(({ cidrs }) => cidrs);
      this.#elsewhere = { revision, problems: refusedElsewhere(nodeName, nodes.list(), prefixes) };
    }
    return this.#elsewhere.problems;
  }

  #failedHealthChecks() {
    const checks = this.#options.loadBalancer()?.healthChecks.list() ?? [];
    return checks.filter(({ problem }) => problem !== undefined && problem !== 'starting');
  }

  #failedFrontends(): FailedFrontend[] {
    const loadBalancer = this.#options.loadBalancer();
    const errors = loadBalancer?.reconciler.errors() ?? [];
    return errors.map(([key, { error = '' }]) => ({
      key,
      service: loadBalancer?.frontends.get(key)?.service ?? '',
      error,
    }));
  }
}
