import type { Datapath, LinkStatus } from '@sluice/datapath';
import type { Endpoints } from '@sluice/endpoint';
import type { Device, NodeFacts } from '@sluice/nodes';
import type { LifecyclePart, Logger } from '@sluice/runtime';
import type { Controller, Controllers, Table } from '@sluice/state';

/** The pins' names of the socket hooks. */
export const sockHooks = ['connect', 'sendmsg', 'recvmsg', 'getpeername'].flatMap((name) => [
  `sock_${name}4`,
  `sock_${name}6`,
]);

export interface LinksOptions {
  readonly datapath: () => Datapath;
  readonly endpoints: () => Endpoints | undefined;
  readonly facts: () => NodeFacts;
  /** Those that face the network are hooked in both directions. */
  readonly devices: Table<Device>;
  /** Whether services are translated at sockets. */
  readonly sockets: boolean;
  readonly controllers: Controllers;
  readonly log: Logger;
}

const intervalMs = 10_000;

/** Attaches the node's own programs and looks after them and the maps: when somebody removes a link's pin, the hook goes with it. */
export class Links implements LifecyclePart {
  readonly name = 'links';
  readonly #options: LinksOptions;
  #repairing: Controller | undefined;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  start(): void {
    const { controllers } = this.#options;
    this.#repairing = controllers.start({ name: 'datapath-links', intervalMs, run: () => this.#repair() });
    this.#options.devices.subscribe(() => this.#repairing?.trigger());
  }

  async stop(): Promise<void> {
    await this.#repairing?.stop();
  }

  /** At the node's devices as they are now. */
  attach(): void {
    const datapath = this.#options.datapath();
    const { overlayIfindex, netIfindex } = this.#options.facts();
    datapath.attachOverlay(overlayIfindex);
    datapath.attachHost(netIfindex);
    this.attachDevices();
  }

  /** A device that is no longer chosen keeps nothing of ours. */
  attachDevices(): void {
    for (const { name, ifindex } of this.#networkDevices()) this.#options.datapath().attachNetworkDevice(name, ifindex);
    this.#detachUnchosen();
  }

  /** Links of an agent that was configured otherwise are still pinned: what is not wanted is detached. */
  attachSockets(): void {
    const datapath = this.#options.datapath();
    if (this.#options.sockets) datapath.attachSock();
    else datapath.detachSock();
  }

  /** Names of the links that are wanted and, by the kernel's word, not attached. */
  missing(found: readonly LinkStatus[]): string[] {
    const { endpoints, sockets } = this.#options;
    const podDevices = endpoints()?.table.list() ?? [];
    const attached = new Set(found.flatMap((link) => (link.attached ? [link.name] : [])));
    const wanted = [
      'overlay',
      'host',
      ...(sockets ? sockHooks : []),
      ...podDevices.map((row) => `pod_${row.hostName}`),
      ...this.#networkDevices().flatMap(({ name }) => [`from_network_${name}`, `to_network_${name}`]),
    ];
    return wanted.filter((name) => !attached.has(name));
  }

  #networkDevices(): Device[] {
    return this.#options.devices.list().filter((device) => device.selected);
  }

  #detachUnchosen(): void {
    const datapath = this.#options.datapath();
    const chosen = new Set(this.#networkDevices().map(({ name }) => name));
    for (const name of datapath.listNetworkDeviceLinks()) if (!chosen.has(name)) datapath.detachNetworkDevice(name);
  }

  #repair(): void {
    const unpinned = this.#options.datapath().repinMaps();
    if (unpinned.length > 0) this.#options.log.warn({ maps: unpinned }, 'pins of maps were gone, pinned again');
    this.#detachUnchosen();
    const missing = this.missing(this.#options.datapath().links());
    if (missing.length === 0) return;
    this.#options.log.warn({ missing }, 'links are gone, attaching anew');
    if (missing.includes('overlay') || missing.includes('host')) this.attach();
    if (missing.some((name) => name.includes('_network_'))) this.attachDevices();
    if (missing.some((name) => name.startsWith('sock_'))) this.attachSockets();
    if (missing.some((name) => name.startsWith('pod_'))) {
      for (const each of this.#options.endpoints()?.reconcilers ?? []) each.triggerFull();
    }
  }
}
