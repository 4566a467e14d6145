/**
 * Sockets that a service has led to a backend which is gone are ended: a connected UDP socket would send there for ever. Its
 * owner gets ECONNABORTED and asks anew, as a DNS client does.
 */
import { statSync } from 'node:fs';
import type { Datapath, InspectedTranslation, StaleSocket } from '@sluice/datapath';
import type { Endpoint, Endpoints } from '@sluice/endpoint';
import { type BackendPlace, goneBackends, leftAddresses } from '@sluice/loadbalancer';
import { protocolNumbers } from '@sluice/model';
import type { Address } from '@sluice/net';
import type { Clock, LifecyclePart, Logger, Timer } from '@sluice/runtime';
import type { Controller, Controllers } from '@sluice/state';
import type { Kubernetes } from './kubernetes.ts';
import { ownNetnsCookie } from './netns-cookie.ts';

export interface EndedSocketsOptions {
  /** `kubeProxyReplacement`: otherwise nobody is led anywhere by us. */
  readonly enabled: boolean;
  /** `socketLB.terminatePodConnections`: those of pods as well, and not of the node's processes alone. */
  readonly ofPods: boolean;
  /** `socketLB.terminateAllProtocols`: TCP as well. */
  readonly ofTcp: boolean;
  readonly kubernetes: Pick<Kubernetes, 'endpointSlices'>;
  readonly datapath: () => Datapath;
  readonly endpoints: () => Endpoints | undefined;
  readonly controllers: Controllers;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is missed is found then. */
const intervalMs = 60_000;
/** By then nobody is led there any more, who asks anew least of all. */
const firstMs = 50;
/** Many endpoints go one after the other; and the kernel's row of a backend outlives its service by a second. */
const settleMs = 1_200;

export class EndedSockets implements LifecyclePart {
  readonly name = 'ended-sockets';
  readonly #options: EndedSocketsOptions;
  readonly #subscriptions = new DisposableStack();
  #controller: Controller | undefined;
  #timers: readonly Timer[] = [];
  /** Of backends that have left a slice since sockets were looked at. */
  #left = new Set<Address>();
  /** Namespaces whose sockets could not be ended, each told once. */
  readonly #failed = new Set<bigint>();

  constructor(options: EndedSocketsOptions) {
    this.#options = options;
  }

  start(): void {
    const { enabled, controllers, kubernetes } = this.#options;
    if (!enabled) return;
    this.#controller = controllers.start({ name: 'ended-sockets', intervalMs, run: () => this.#run() });
    const onSlices = kubernetes.endpointSlices.subscribe((changes) => {
      const left = changes.flatMap(leftAddresses);
      for (const address of left) this.#left.add(address);
      if (left.length > 0) this.#soon();
    });
    this.#subscriptions.use(onSlices);
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#subscriptions.dispose();
    await this.#controller?.stop();
  }

  #soon(): void {
    if (this.#timers.length > 0) return;
    const { clock } = this.#options;
    const look = () => this.#controller?.trigger();
    const settled = () => {
      this.#timers = [];
      look();
    };
    this.#timers = [clock.setTimeout(look, firstMs), clock.setTimeout(settled, settleMs)];
  }

  #run(): void {
    const { kubernetes, log } = this.#options;
    // What the API has not told of yet is not gone.
    if (!kubernetes.endpointSlices.initialized) return;
    const left = this.#left;
    this.#left = new Set();
    for (const [netnsCookie, led] of Map.groupBy(this.#gone(left), (each) => each.netnsCookie)) {
      const ended = this.#endIn(netnsCookie, led);
      if (ended > 0) log.info({ sockets: ended, ...this.#ownerOf(netnsCookie) }, 'ended sockets whose backend is gone');
    }
  }

  #gone(left: ReadonlySet<Address>): Led[] {
    const { ofPods, ofTcp, datapath, kubernetes } = this.#options;
    const { maps } = datapath();
    const own = ownNetnsCookie();
    // Who has no peer is left alone.
    const led = datapath()
      .inspection()
      .translations()
      .map(ledBy)
      .filter((each) => (ofTcp || each.protocol === 'UDP') && (ofPods || each.netnsCookie === own));
    // What the kernel still leads to needs no search, unless it has just left.
    const isKnown = (place: Led) => {
      const backend = maps.backends.lookup(place.id);
      const isThere = backend?.address === place.address && backend.port === place.port;
      return isThere && backend.protocol === protocolNumbers[place.protocol];
    };
    const doubtful = led.filter((place) => (left.has(place.address) || !isKnown(place)) && !this.#isHostPort(place));
    return doubtful.length === 0 ? [] : goneBackends(doubtful, kubernetes.endpointSlices.list());
  }

  /** They are in no slice; a backend may have got another number. */
  #isHostPort({ address, port, protocol }: BackendPlace): boolean {
    const pods = this.#options.endpoints()?.table.list() ?? [];
    const pod = pods.find(({ ipv4, ipv6 }) => ipv4 === address || ipv6 === address);
    return pod?.hostPorts.some((each) => each.containerPort === port && each.protocol === protocol) ?? false;
  }

  #endIn(netnsCookie: bigint, led: readonly Led[]): number {
    const sockets = led.map(({ cookie, address, port }): StaleSocket => ({ cookie, backend: { address, port } }));
    if (netnsCookie === ownNetnsCookie()) return this.#options.datapath().staleSockets().end(sockets).length;
    const endpoint = this.#endpointOf(netnsCookie);
    if (endpoint === undefined) return 0;
    try {
      // A path may have become another namespace's.
      if (statSync(endpoint.netns, { bigint: true }).ino !== endpoint.netnsInode) return 0;
      return this.#options.datapath().staleSockets().end(sockets, endpoint.netns).length;
    } catch (error) {
      this.#tellFailed(endpoint, error);
      return 0;
    }
  }

  #tellFailed({ netnsCookie, netns, pod }: Endpoint, error: unknown): void {
    if (this.#failed.has(netnsCookie)) return;
    this.#failed.add(netnsCookie);
    this.#options.log.warn(
      { netns, pod: pod && `${pod.namespace}/${pod.name}`, error },
      'sockets of a pod whose backend is gone go on: they could not be ended',
    );
  }

  #endpointOf(netnsCookie: bigint): Endpoint | undefined {
    return this.#options
      .endpoints()
      ?.table.list()
      .find((endpoint) => endpoint.netnsCookie === netnsCookie);
  }

  #ownerOf(netnsCookie: bigint): object {
    const pod = this.#endpointOf(netnsCookie)?.pod;
    return pod === undefined ? {} : { pod: `${pod.namespace}/${pod.name}` };
  }
}

interface Led extends BackendPlace {
  readonly cookie: bigint;
  readonly netnsCookie: bigint;
  /** The backend's. */
  readonly id: number;
}

function ledBy({ socketCookie, netnsCookie, protocol, translation }: InspectedTranslation): Led {
  const { backend, backendPort, backendId } = translation;
  if (backend === undefined) throw new TypeError('a translation without a backend');
  const led = {
    address: backend,
    port: backendPort,
    protocol: protocol === protocolNumbers.TCP ? 'TCP' : 'UDP',
  } as const;
  return { ...led, cookie: socketCookie, netnsCookie, id: backendId };
}
