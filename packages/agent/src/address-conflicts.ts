import { type Address, familyOf, type Mac } from '@sluice/net';
import type { Netlink } from '@sluice/netlink';
import type { Device, NodesFeature } from '@sluice/nodes';
import type { Clock, LifecyclePart, Logger } from '@sluice/runtime';
import type { Controller, Controllers } from '@sluice/state';
import { probeAddresses } from './arp-probe.ts';

export interface AddressConflictsOptions {
  readonly nodes: Pick<NodesFeature, 'devices' | 'addresses'>;
  readonly netlink: Netlink;
  readonly controllers: Controllers;
  readonly clock: Clock;
  readonly log: Logger;
}

const intervalMs = 60_000;

/**
 * Addresses of this node that somebody else on the LAN has, too. Of IPv6 the kernel finds out by itself and says so
 * (duplicate address detection, RFC 4862); of IPv4 it never asks, so we do.
 */
export class AddressConflicts implements LifecyclePart {
  readonly name = 'address-conflicts';
  readonly #options: AddressConflictsOptions;
  #claimed: ReadonlyMap<string, Mac> = new Map();
  #controller: Controller | undefined;

  constructor(options: AddressConflictsOptions) {
    this.#options = options;
  }

  start(): void {
    const { controllers } = this.#options;
    this.#controller = controllers.start({ name: this.name, intervalMs, run: (signal) => this.look(signal) });
  }

  async stop(): Promise<void> {
    await this.#controller?.stop();
  }

  /** One sentence each. */
  list(): string[] {
    const duplicates = this.#options.nodes.addresses
      .list()
      .filter(({ marks }) => marks.includes('duplicate'))
      .map((row) => `${row.address} of ${row.device} is somebody else's on the LAN, too: the kernel does not use it`);
    const claimed = [...this.#claimed].map(
      ([what, mac]) => `${what} is claimed by ${mac} on the LAN, too: one of the two must get another address`,
    );
    return [...duplicates, ...claimed];
  }

  async look(signal?: AbortSignal): Promise<void> {
    const { nodes, log } = this.#options;
    const claimed = new Map<string, Mac>();
    for (const device of nodes.devices.list().filter(({ selected, up }) => selected && up)) {
      if (signal?.aborted) return;
      for (const [address, mac] of await this.#ask(device)) claimed.set(`${address} of ${device.name}`, mac);
    }
    for (const [what, mac] of claimed) {
      if (this.#claimed.get(what) !== mac)
        log.warn({ address: what, mac }, 'somebody else on the LAN has the address, too');
    }
    this.#claimed = claimed;
  }

  async #ask(device: Device): Promise<ReadonlyMap<Address, Mac>> {
    const { netlink, clock } = this.#options;
    const links = netlink.links.list();
    const link = links.find(({ ifindex }) => ifindex === device.ifindex);
    const addresses = device.addresses.filter((address) => familyOf(address) === 4);
    // Without link addresses (tunnels, point-to-point) nobody is there to ask.
    if (!link?.arp || link.mac === undefined || addresses.length === 0) return new Map();
    const ownMacs = new Set(links.flatMap(({ mac }) => mac ?? []));
    return probeAddresses({ ifindex: link.ifindex, mac: link.mac, addresses, ownMacs }, clock);
  }
}
