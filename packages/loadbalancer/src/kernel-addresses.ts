/**
 * Rows of `frontends` with port and protocol 0: "this address belongs to services". A packet to a port that no service
 * has there is refused by the programs instead of being sent into the world.
 */
import type { TypedMap } from '@sluice/bpf';
import type { Frontend, FrontendKey } from '@sluice/datapath';
import type { Address } from '@sluice/net';

const MARK: Frontend = { serviceId: 0, generation: 0, backendCount: 0, affinitySeconds: 0, flags: 0 };

export class AddressTable {
  readonly #map: TypedMap<FrontendKey, Frontend>;
  /** How many frontends stand at the address. */
  readonly #users = new Map<Address, number>();
  readonly #marked = new Set<Address>();

  constructor(map: TypedMap<FrontendKey, Frontend>) {
    this.#map = map;
  }

  static isMark(key: FrontendKey): boolean {
    return key.port === 0 && key.protocol === 0;
  }

  /** Forgets everything: `found` and `hold` then tell what the kernel has. */
  clear(): void {
    this.#users.clear();
    this.#marked.clear();
  }

  found(address: Address): void {
    this.#marked.add(address);
  }

  hold(address: Address): void {
    this.#users.set(address, (this.#users.get(address) ?? 0) + 1);
  }

  acquire(address: Address): void {
    if (!this.#marked.has(address)) this.#map.update(markKey(address), MARK);
    this.#marked.add(address);
    this.hold(address);
  }

  release(address: Address): void {
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
    const missing = [...this.#users.keys()].filter((address) => !this.#marked.has(address));
    const stray = [...this.#marked].filter((address) => !this.#users.has(address));
    for (const address of missing) {
      this.#map.update(markKey(address), MARK);
      this.#marked.add(address);
    }
    for (const address of stray) this.#unmark(address);
    return missing.length + stray.length;
  }

  #unmark(address: Address): void {
    this.#map.delete(markKey(address));
    this.#marked.delete(address);
  }
}

function markKey(address: Address): FrontendKey {
  return { address, port: 0, protocol: 0, scope: 0 };
}
