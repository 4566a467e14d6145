import { type Datapath, type LinkStatus, sockHookNames } from '@sluice/datapath';
import type { Endpoints } from '@sluice/endpoint';
import type { Device, NodeFacts } from '@sluice/nodes';
import type { LifecyclePart, Logger } from '@sluice/runtime';
import type { Controller, Controllers, Table } from '@sluice/state';

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

export interface LinkProblem {
  /** Of the pin. */
  readonly name: string;
  readonly why: string;
}

const intervalMs = 10_000;

/** Attaches the node's own programs, and looks after them and all pins: without those nothing would go on without us. */
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

  /** The links that are wanted and that, by the kernel's word, do not run our program where they should. */
  problems(found: readonly LinkStatus[]): LinkProblem[] {
    const present = new Map(found.map((link) => [link.name, link]));
    return [...this.#wanted()].flatMap(([name, ifindex]) => {
      const why = whyWrong(present.get(name), ifindex);
      return why === undefined ? [] : [{ name, why }];
    });
  }

  /** By name: at which device, where it is at one. */
  #wanted(): Map<string, number | undefined> {
    const { endpoints, sockets, facts } = this.#options;
    const { overlayIfindex, netIfindex } = facts();
    const pods = endpoints()?.table.list() ?? [];
    return new Map([
      ['overlay', overlayIfindex],
      ['host', netIfindex],
      ...(sockets ? sockHookNames.map((name) => [name, undefined] as const) : []),
      ...pods.map((row) => [`pod_${row.hostName}`, row.hostIfindex] as const),
      ...this.#networkDevices().flatMap(({ name, ifindex }) => [
        [`from_network_${name}`, ifindex] as const,
        [`to_network_${name}`, ifindex] as const,
      ]),
    ]);
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
    const unpinned = this.#options.datapath().unpinned();
    if (unpinned.length > 0) {
      this.#options.log.warn({ unpinned }, 'pins were gone, pinning again');
      this.#options.datapath().repin();
    }
    this.#detachUnchosen();
    const problems = this.problems(this.#options.datapath().links());
    if (problems.length === 0) return;
    this.#options.log.warn({ problems }, 'links are not as they must be, attaching anew');
    const isAmong = (pattern: RegExp) => problems.some(({ name }) => pattern.test(name));
    if (isAmong(/^(overlay|host)$/)) this.attach();
    if (isAmong(/_network_/)) this.attachDevices();
    if (isAmong(/^sock_/)) this.attachSockets();
    if (isAmong(/^pod_/)) for (const each of this.#options.endpoints()?.reconcilers ?? []) each.triggerFull();
  }
}

function whyWrong(link: LinkStatus | undefined, ifindex: number | undefined): string | undefined {
  if (link === undefined) return 'no link';
  if (link.why !== undefined) return link.why;
  return ifindex === undefined || link.ifindex === ifindex
    ? undefined
    : `it is at device ${link.ifindex}, not ${ifindex}`;
}
