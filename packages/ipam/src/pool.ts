import {
  type Address,
  type AddressFamily,
  formatPrefix,
  type Prefix,
  prefixAddressAt,
  prefixContains,
  prefixIndexOf,
  prefixSize,
} from '@sluice/net';
import { type Clock, systemClock } from '@sluice/runtime';

/** Index 0 is the network's (RFC 1122 3.2.1.3) or the subnet router anycast address (RFC 4291 2.6.1); 1 is the node's. */
const routerIndex = 1n;

export interface PoolOptions {
  readonly family: AddressFamily;
  readonly prefixes: readonly Prefix[];
  readonly clock?: Clock;
  /** How long a released address rests: others still have it in ARP caches, DNS answers and open connections. Default 30 s. */
  readonly cooldownMs?: number;
}

export interface PoolUsage {
  readonly family: AddressFamily;
  readonly prefixes: readonly string[];
  /** What pods can have: without the network's, the broadcast and the node's own address. */
  readonly capacity: bigint;
  readonly allocated: number;
  readonly coolingDown: number;
  /** How often an address was given, and how often one came back, since the process began. */
  readonly given: number;
  readonly returned: number;
}

/** No address is to be had. The message says how many there are, who waits, and how to grow. */
export class PoolExhaustedError extends Error {
  override readonly name = 'PoolExhaustedError';
  readonly usage: PoolUsage;

  constructor(usage: PoolUsage) {
    const { family, prefixes, capacity, allocated, coolingDown } = usage;
    const resting = coolingDown > 0 ? `, ${coolingDown} rest after their release` : '';
    const grow = 'give the node another pod CIDR (node.spec.podCIDRs) or use larger ones (clusterPoolIPv4MaskSize)';
    super(
      prefixes.length === 0
        ? `the node has no IPv${family} pod CIDR`
        : `all ${capacity} IPv${family} addresses of ${prefixes.join(', ')} are in use (${allocated} by pods${resting}): ${grow}`,
    );
    this.usage = usage;
  }
}

export class AddressInUseError extends Error {
  override readonly name = 'AddressInUseError';
}

/** One family's addresses. The next one given is the one longest unused: the search goes on where the last ended. */
export class AddressPool {
  readonly family: AddressFamily;
  readonly #clock: Clock;
  readonly #cooldownMs: number;
  readonly #owners = new Map<Address, string>();
  /** Until when (ms of the monotonic clock) a released address rests; oldest first. */
  readonly #resting = new Map<Address, number>();
  #prefixes: readonly Prefix[] = [];
  #given = 0;
  #returned = 0;
  #cursor: { prefix: number; index: bigint } = { prefix: 0, index: routerIndex + 1n };

  constructor({ family, prefixes, clock = systemClock, cooldownMs = 30_000 }: PoolOptions) {
    this.family = family;
    this.#clock = clock;
    this.#cooldownMs = cooldownMs;
    this.setPrefixes(prefixes);
  }

  /** Those that lost their prefix keep their addresses until they are released. */
  setPrefixes(prefixes: readonly Prefix[]): void {
    this.#prefixes = prefixes;
    this.#cursor = { prefix: 0, index: routerIndex + 1n };
  }

  get prefixes(): readonly Prefix[] {
    return this.#prefixes;
  }

  /** The node's own address in its first pod CIDR: the pods' gateway. */
  get router(): Address | undefined {
    const [first] = this.#prefixes;
    return first && prefixSize(first) > routerIndex ? prefixAddressAt(first, routerIndex) : undefined;
  }

  allocate(owner: string): Address {
    this.#endRests();
    for (let turn = 0; turn <= this.#prefixes.length; turn += 1) {
      const address = this.#searchPrefix();
      if (address !== undefined) {
        this.#owners.set(address, owner);
        this.#given += 1;
        return address;
      }
    }
    throw new PoolExhaustedError(this.usage());
  }

  /** For an endpoint that has the address already. Also outside of the prefixes: the pod uses it, whatever they are now. */
  reserve(address: Address, owner: string): void {
    const holder = this.#owners.get(address);
    if (holder !== undefined && holder !== owner) {
      throw new AddressInUseError(`${address} belongs to ${holder}, ${owner} cannot have it`);
    }
    this.#owners.set(address, owner);
    this.#resting.delete(address);
    const prefix = this.#prefixes.findIndex((candidate) => prefixContains(candidate, address));
    const holding = this.#prefixes[prefix];
    if (holding) this.#cursor = { prefix, index: prefixIndexOf(holding, address) + 1n };
  }

  /** False: nobody held it. */
  release(address: Address): boolean {
    if (!this.#owners.delete(address)) return false;
    this.#resting.set(address, this.#nowMs() + this.#cooldownMs);
    this.#returned += 1;
    return true;
  }

  /** Gives back what was never used, without a rest. */
  withdraw(address: Address): void {
    if (this.#owners.delete(address)) this.#returned += 1;
  }

  owners(): ReadonlyMap<Address, string> {
    return this.#owners;
  }

  usage(): PoolUsage {
    this.#endRests();
    return {
      family: this.family,
      prefixes: this.#prefixes.map(formatPrefix),
      capacity: this.#prefixes.reduce((sum, prefix) => sum + capacityOf(prefix, this.family), 0n),
      allocated: this.#owners.size,
      coolingDown: this.#resting.size,
      given: this.#given,
      returned: this.#returned,
    };
  }

  /** From the cursor to the prefix's end; then the cursor stands at the next prefix's beginning. */
  #searchPrefix(): Address | undefined {
    const prefix = this.#prefixes[this.#cursor.prefix];
    if (!prefix) return undefined;
    const end = endOf(prefix, this.family);
    for (let index = this.#cursor.index; index < end; index += 1n) {
      const address = prefixAddressAt(prefix, index);
      if (this.#owners.has(address) || this.#resting.has(address)) continue;
      this.#cursor = { prefix: this.#cursor.prefix, index: index + 1n };
      return address;
    }
    this.#cursor = { prefix: (this.#cursor.prefix + 1) % this.#prefixes.length, index: routerIndex + 1n };
    return undefined;
  }

  #endRests(): void {
    const now = this.#nowMs();
    for (const [address, until] of this.#resting) {
      if (until > now) return;
      this.#resting.delete(address);
    }
  }

  // The wall clock may be set back by an hour, and every address would rest that long.
  #nowMs(): number {
    return Number(this.#clock.monotonicNs() / 1_000_000n);
  }
}

/** One past the last index that a pod may have: IPv4 ends with the broadcast address. */
function endOf(prefix: Prefix, family: AddressFamily): bigint {
  return family === 4 ? prefixSize(prefix) - 1n : prefixSize(prefix);
}

function capacityOf(prefix: Prefix, family: AddressFamily): bigint {
  const usable = endOf(prefix, family) - routerIndex - 1n;
  return usable > 0n ? usable : 0n;
}
