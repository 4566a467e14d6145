import { type Endpoints, type Publisher, startPublisher } from '@sluice/endpoint';
import type { NodeFacts, NodesFeature } from '@sluice/nodes';
import type { Clock, LifecyclePart, Logger } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import type { Kubernetes } from './kubernetes.ts';

export interface PublisherPartOptions {
  readonly nodeName: string;
  readonly kubernetes: Kubernetes;
  readonly nodes: NodesFeature;
  /** Asked when it starts. */
  readonly endpoints: () => Endpoints;
  readonly facts: () => NodeFacts;
  readonly controllers: Controllers;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Tells other nodes of our endpoints, from the node's addresses and object as they are now. */
export class PublisherPart implements LifecyclePart {
  readonly name = 'publisher';
  readonly #options: PublisherPartOptions;
  readonly #subscriptions = new DisposableStack();
  /** Undefined until it starts. */
  publisher: Publisher | undefined;

  constructor(options: PublisherPartOptions) {
    this.#options = options;
  }

  start(): void {
    const { kubernetes, nodes, endpoints, controllers, clock, log } = this.#options;
    const { client, slices } = kubernetes;
    const own = { endpoints: endpoints().table, node: () => this.#node() };
    const publisher = startPublisher({ client, slices, ...own, controllers, clock, log });
    this.publisher = publisher;
    this.#subscriptions.use(kubernetes.nodes.subscribe(() => publisher.trigger()));
    this.#subscriptions.use(nodes.onFactsChange(() => publisher.trigger()));
  }

  async stop(): Promise<void> {
    this.#subscriptions.dispose();
    await this.publisher?.stop();
  }

  #node() {
    const object = this.#options.kubernetes.nodes.get(this.#options.nodeName);
    const { nodeIpv4, nodeIpv6 } = this.#options.facts();
    const address = nodeIpv4 ?? nodeIpv6;
    return object && address && { name: object.name, uid: object.uid, address };
  }
}
