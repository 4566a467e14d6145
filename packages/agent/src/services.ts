import type { Datapath, DatapathMaps } from '@sluice/datapath';
import {
  ExternalIpGuard,
  type ExternalIpRules,
  type HostPortSource,
  type LoadBalancer,
  type MaglevSettings,
  startLoadBalancer,
  type Viewpoint,
  type WithdrawnPods,
} from '@sluice/loadbalancer';
import type { NodesFeature } from '@sluice/nodes';
import type { Clock, LifecyclePart, Logger } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import type { Kubernetes } from './kubernetes.ts';
import type { Links } from './links.ts';
import { measureFrontends } from './metrics/service-tallies.ts';
import type { Tallies } from './metrics/tallies.ts';

export interface ServicesOptions {
  /** `kubeProxyReplacement` */
  readonly enabled: boolean;
  readonly viewpoint: Viewpoint;
  readonly maglev: MaglevSettings;
  readonly externalIpRules: ExternalIpRules;
  /** Addresses of this node's devices. */
  readonly networks: NodesFeature['addresses'];
  readonly hostPorts: () => HostPortSource;
  readonly withdrawn: () => WithdrawnPods | undefined;
  readonly kubernetes: Kubernetes;
  readonly datapath: () => Datapath;
  readonly links: Links;
  readonly controllers: Controllers;
  readonly tallies: Pick<Tallies, 'serviceDelay'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Services translated at sockets, or left to somebody else. */
export class Services implements LifecyclePart {
  readonly name = 'services';
  loadBalancer: LoadBalancer | undefined;
  readonly #options: ServicesOptions;
  #externalIpGuard: ExternalIpGuard | undefined;
  #measuring: Disposable | undefined;

  constructor(options: ServicesOptions) {
    this.#options = options;
  }

  start(): void {
    const { enabled, kubernetes, links, log, clock, controllers, tallies } = this.#options;
    const { maps } = this.#options.datapath();
    links.attachSockets();
    if (!enabled) {
      forgetServices(maps);
      return;
    }
    const { services, endpointSlices, nodes } = kubernetes;
    const rules = this.#options.externalIpRules;
    this.#externalIpGuard = new ExternalIpGuard({
      rules,
      services,
      nodes,
      networks: this.#options.networks,
      endpointSlices,
    });
    const withdrawn = this.#options.withdrawn();
    this.loadBalancer = startLoadBalancer({
      externalIpGuard: this.#externalIpGuard,
      ...{ services, endpointSlices, nodes, maps, log, clock, controllers },
      viewpoint: this.#options.viewpoint,
      maglev: this.#options.maglev,
      hostPorts: this.#options.hostPorts(),
      ...(withdrawn && { withdrawn }),
    });
    this.#measuring = measureFrontends(this.loadBalancer.frontends, { tallies, clock });
  }

  async stop(): Promise<void> {
    this.#measuring?.[Symbol.dispose]();
    await this.loadBalancer?.[Symbol.asyncDispose]();
    this.#externalIpGuard?.[Symbol.dispose]();
  }
}

/**
 * What an agent that did translate has left: with these rows the programs at the pods would refuse what is meant for
 * the other load balancer. In the order in which nothing refers to what is gone.
 */
function forgetServices(maps: DatapathMaps): void {
  empty(maps.frontends);
  empty(maps.slots);
  empty(maps.sourceRanges);
  empty(maps.maglev);
  empty(maps.backends);
  empty(maps.affinities);
}

function empty<Key>(map: {
  entries(): IterableIterator<[Key, unknown]>;
  deleteBatch(keys: Iterable<Key>): number;
}): void {
  map.deleteBatch([...map.entries()].map(([key]) => key));
}
