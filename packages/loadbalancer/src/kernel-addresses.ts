/**
 * Rows of `frontends` with port and protocol 0: "this address belongs to services". A packet to a port that no service
 * has there is refused by the programs instead of being sent into the world. The row tells clients from outside, too, if
 * any of the address' frontends is for them, and those inside unless all of them are at an address that others may have.
 */
import type { TypedMap } from '@sluice/bpf';
import { type Frontend, FrontendFlag, type FrontendKey, FrontendScope } from '@sluice/datapath';
import { type Address, isLoopback } from '@sluice/net';
import { isAnyAddress } from './frontend.ts';

/** Of one address. */
interface Held {
  readonly frontends: number;
  /** Those for clients from outside. */
  readonly external: number;
  /** Those that do not make the address theirs. */
  readonly shared: number;
}

const nothing: Held = { frontends: 0, external: 0, shared: 0 };

export class AddressTable {
  readonly #map: TypedMap<FrontendKey, Frontend>;
  readonly #held = new Map<Address, Held>();
  /** What the kernel has: the flags of the row. */
  readonly #marked = new Map<Address, number>();

  constructor(map: TypedMap<FrontendKey, Frontend>) {
    this.#map = map;
  }

  static isMark(key: FrontendKey): boolean {
    return key.port === 0 && key.protocol === 0;
  }

  /** Forgets everything: `found` and `hold` then tell what the kernel has. */
  clear(): void {
    for (const table of [this.#held, this.#marked]) table.clear();
  }

  found({ address }: FrontendKey, { flags }: Frontend): void {
    if (address !== undefined) this.#marked.set(address, flags);
  }

  hold(key: FrontendKey, flags: number): void {
    const address = ownAddress(key);
    if (address !== undefined) this.#held.set(address, this.#after(address, key, { flags, by: 1 }));
  }

  /** A frontend has these flags now, and had those; undefined: there is none, or was none. */
  change(key: FrontendKey, before: number | undefined, after: number | undefined): void {
    const address = ownAddress(key);
    if (address === undefined || before === after) return;
    const was = this.#held.get(address);
    if (before !== undefined) this.#held.set(address, this.#after(address, key, { flags: before, by: -1 }));
    if (after !== undefined) this.#held.set(address, this.#after(address, key, { flags: after, by: 1 }));
    try {
      if ((this.#held.get(address)?.frontends ?? 0) > 0) this.#mark(address);
      else this.#unmark(address);
    } catch (error) {
      if (was === undefined) this.#held.delete(address);
      else this.#held.set(address, was);
      throw error;
    }
  }

  /** Marks what is missing and unmarks what has no frontend; how many rows that were. */
  repair(): number {
    const wrong = [...this.#held.keys()].filter((address) => this.#marked.get(address) !== this.#flags(address));
    const stray = [...this.#marked.keys()].filter((address) => !this.#held.has(address));
    for (const address of wrong) this.#mark(address);
    for (const address of stray) this.#unmark(address);
    return wrong.length + stray.length;
  }

  #after(address: Address, key: FrontendKey, { flags, by }: { readonly flags: number; readonly by: 1 | -1 }): Held {
    const { frontends, external, shared } = this.#held.get(address) ?? nothing;
    return {
      frontends: frontends + by,
      external: external + (isForOutside(key, flags) ? by : 0),
      shared: shared + ((flags & FrontendFlag.Shared) === 0 ? 0 : by),
    };
  }

  #flags(address: Address): number {
    const { frontends, external, shared } = this.#held.get(address) ?? nothing;
    return (external > 0 ? FrontendFlag.External : 0) | (shared === frontends ? FrontendFlag.Shared : 0);
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
    this.#held.delete(address);
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
