import { type Address, addressToBytes, type Prefix, prefixContains, prefixesOverlap } from '@sluice/net';

interface Entry {
  /** The first address as text that sorts. */
  readonly first: string;
  readonly prefix: Prefix;
  readonly owner: string;
}

/** Who has which prefix, where no two overlap: found by halving, for a cluster has 5,000 nodes and each is asked for all. */
export class PrefixOwners {
  readonly #entries: Entry[] = [];

  /** Whoever adds has asked that nothing overlaps. */
  add(prefix: Prefix, owner: string): void {
    const first = sortable(prefix.address);
    this.#entries.splice(this.#placeOf(first), 0, { first, prefix, owner });
  }

  overlapping(prefix: Prefix): { prefix: Prefix; owner: string } | undefined {
    return this.#around(prefix.address).find((entry) => prefixesOverlap(entry.prefix, prefix));
  }

  holding(address: Address): { prefix: Prefix; owner: string } | undefined {
    return this.#around(address).find((entry) => prefixContains(entry.prefix, address));
  }

  // One that holds the address begins before it, and is the last that does; one that is held begins at it or next.
  #around(address: Address): Entry[] {
    const place = this.#placeOf(sortable(address));
    return this.#entries.slice(Math.max(0, place - 1), place + 1);
  }

  /** Of the first entry that does not begin before it. */
  #placeOf(first: string): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.first ?? '') < first) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** IPv4 lies within ::ffff:0:0/96, where no IPv6 prefix of ours can be. */
function sortable(address: Address): string {
  return Buffer.from(addressToBytes(address)).toString('hex');
}
