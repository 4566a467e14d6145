import { type Address, familyOf, formatPrefix, type Prefix, prefixContains, prefixSize } from '@sluice/net';
import type { Clock } from '@sluice/runtime';
import { AddressPool, PoolExhaustedError, type PoolUsage } from './pool.ts';

export interface AddressPair {
  readonly ipv4?: Address | undefined;
  readonly ipv6?: Address | undefined;
}

export interface NodeAddressesOptions {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly clock?: Clock;
  readonly cooldownMs?: number;
}

/** Both families of a node; a pod gets an address of each that is on and has a CIDR, or none at all. */
export class NodeAddresses {
  readonly ipv4: AddressPool | undefined;
  readonly ipv6: AddressPool | undefined;

  constructor({ ipv4, ipv6, ...options }: NodeAddressesOptions) {
    this.ipv4 = ipv4 ? new AddressPool({ ...options, family: 4, prefixes: [] }) : undefined;
    this.ipv6 = ipv6 ? new AddressPool({ ...options, family: 6, prefixes: [] }) : undefined;
  }

  /** The node's pod CIDRs of both families, in the API's order. Returns those that are too small to hold a pod. */
  setPrefixes(prefixes: readonly Prefix[]): string[] {
    const large = prefixes.filter((prefix) => prefixSize(prefix) >= 4n);
    for (const pool of [this.ipv4, this.ipv6]) {
      const wanted = large.filter((prefix) => familyOf(prefix.address) === pool?.family);
      if (pool && !samePrefixes(pool.prefixes, wanted)) pool.setPrefixes(wanted);
    }
    return prefixes.filter((prefix) => !large.includes(prefix)).map(formatPrefix);
  }

  /** Whether a pod CIDR is known. A node gets those of all its families at once: one that is missing then is not used. */
  get ready(): boolean {
    return this.#pools().length > 0;
  }

  allocate(owner: string): AddressPair {
    if (!this.ready) throw new Error('the node has no pod CIDR');
    const ipv4 = served(this.ipv4)?.allocate(owner);
    try {
      const ipv6 = served(this.ipv6)?.allocate(owner);
      return { ...(ipv4 && { ipv4 }), ...(ipv6 && { ipv6 }) };
    } catch (error) {
      if (ipv4) this.ipv4?.withdraw(ipv4);
      throw error;
    }
  }

  reserve({ ipv4, ipv6 }: AddressPair, owner: string): void {
    if (ipv4) this.ipv4?.reserve(ipv4, owner);
    if (ipv6) this.ipv6?.reserve(ipv6, owner);
  }

  release({ ipv4, ipv6 }: AddressPair): void {
    if (ipv4) this.ipv4?.release(ipv4);
    if (ipv6) this.ipv6?.release(ipv6);
  }

  /** Those that no pod CIDR of today has: an endpoint keeps them, but the other nodes lead nobody to them. */
  outside({ ipv4, ipv6 }: AddressPair): Address[] {
    return [ipv4, ipv6].filter((address) => address !== undefined).filter((address) => this.#isOutside(address));
  }

  /** Of an ADD that failed: nobody has seen the addresses. */
  withdraw({ ipv4, ipv6 }: AddressPair): void {
    if (ipv4) this.ipv4?.withdraw(ipv4);
    if (ipv6) this.ipv6?.withdraw(ipv6);
  }

  usage(): PoolUsage[] {
    return this.#pools().map((pool) => pool.usage());
  }

  /** Why the next pod would get none; undefined when it would. */
  exhausted(): PoolExhaustedError | undefined {
    const full = this.usage().find((usage) => BigInt(usage.allocated + usage.coolingDown) >= usage.capacity);
    return full && new PoolExhaustedError(full);
  }

  #isOutside(address: Address): boolean {
    const pool = served(familyOf(address) === 4 ? this.ipv4 : this.ipv6);
    return pool !== undefined && !pool.prefixes.some((prefix) => prefixContains(prefix, address));
  }

  #pools(): AddressPool[] {
    return [served(this.ipv4), served(this.ipv6)].filter((pool) => pool !== undefined);
  }
}

function served(pool: AddressPool | undefined): AddressPool | undefined {
  return pool && pool.prefixes.length > 0 ? pool : undefined;
}

function samePrefixes(left: readonly Prefix[], right: readonly Prefix[]): boolean {
  return left.map(formatPrefix).join() === right.map(formatPrefix).join();
}
