/**
 * Rows of `frontends` with port and protocol 0: "this address belongs to services". A packet to a port that no service
 * has there is refused by the programs instead of being sent into the world. The row tells clients from outside, too, if
 * any of the address' frontends is for them.
 */
import type { TypedMap } from '@sluice/bpf';
import { type Frontend, FrontendFlag, type FrontendKey, FrontendScope } from '@sluice/datapath';
import { type Address, isLoopback } from '@sluice/net';
import { isAnyAddress } from './frontend.ts';

export class AddressTable {
  readonly #map: TypedMap<FrontendKey, Frontend>;
  /** How many frontends stand at the address. */
  readonly #users = new Map<Address, number>();
  /** What the kernel has: the flags of the row. */
  readonly #marked = new Map<Address, number>();
  /** Where a frontend for clients from outside is, or has been. */
  readonly #external = new Set<Address>();

  constructor(map: TypedMap<FrontendKey, Frontend>) {
    this.#map = map;
  }

  static isMark(key: FrontendKey): boolean {
    return key.port === 0 && key.protocol === 0;
  }

  /** Forgets everything: `found` and `hold` then tell what the kernel has. */
  clear(): void {
    for (const table of [this.#users, this.#marked, this.#external]) table.clear();
  }

  found({ address }: FrontendKey, { flags }: Frontend): void {
    if (address !== undefined) this.#marked.set(address, flags);
  }

  hold(key: FrontendKey, flags = 0): void {
    const address = ownAddress(key);
    if (address === undefined) return;
    this.#users.set(address, (this.#users.get(address) ?? 0) + 1);
    if (isForOutside(key, flags)) this.#external.add(address);
  }

  acquire(key: FrontendKey, flags = 0): void {
    const address = ownAddress(key);
    if (address === undefined) return;
    if (isForOutside(key, flags)) this.#external.add(address);
    this.#mark(address);
    this.#users.set(address, (this.#users.get(address) ?? 0) + 1);
  }

  release(key: FrontendKey): void {
    const address = ownAddress(key);
    if (address === undefined) return;
    const users = (this.#users.get(address) ?? 0) - 1;
    if (users > 0) {
      this.#users.set(address, users);
      return;
    }
    this.#users.delete(address);
    this.#unmark(address);
  }

  /** Marks what is missing and unmarks what has no frontend; how many rows that were. */
  repair(): number {
    const wrong = [...this.#users.keys()].filter((address) => this.#marked.get(address) !== this.#flags(address));
    const stray = [...this.#marked.keys()].filter((address) => !this.#users.has(address));
    for (const address of wrong) this.#mark(address);
    for (const address of stray) this.#unmark(address);
    return wrong.length + stray.length;
  }

  #flags(address: Address): number {
    return this.#external.has(address) ? FrontendFlag.External : 0;
  }

  #mark(address: Address): void {
    const flags = this.#flags(address);
    if (this.#marked.get(address) === flags) return;
    this.#map.update(markKey(address), { ...unmade, flags });
    this.#marked.set(address, flags);
  }

  #unmark(address: Address): void {
    this.#map.delete(markKey(address));
    this.#marked.delete(address);
    this.#external.delete(address);
  }
}

const unmade = {
  serviceId: 0,
  generation: 0,
  backendCount: 0,
  affinitySeconds: 0,
  affinityId: 0,
  maglevSize: 0,
} as const;

/** NodePorts have none, nor have host ports at loopback: those addresses are the node's. */
function ownAddress({ address }: FrontendKey): Address | undefined {
  return address === undefined || isAnyAddress(address) || isLoopback(address) ? undefined : address;
}

function isForOutside({ scope }: FrontendKey, flags: number): boolean {
  return scope === FrontendScope.External || (flags & FrontendFlag.External) !== 0;
}

function markKey(address: Address): FrontendKey {
  return { address, port: 0, protocol: 0, scope: FrontendScope.Internal };
}
