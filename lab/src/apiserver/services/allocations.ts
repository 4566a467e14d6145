import {
  type Address,
  familyOf,
  formatPrefix,
  type Prefix,
  prefixAddressAt,
  prefixContains,
  prefixSize,
  tryParseAddress,
} from '@sluice/net';
import type { IpFamily, Service } from '../kinds/types.ts';
import type { Change } from '../storage.ts';

/** One range for each family that the cluster has. */
export interface ServiceRanges {
  ipv4: Prefix | undefined;
  ipv6: Prefix | undefined;
  nodePorts: { first: number; last: number };
}

/** Addresses at the start of a range that are given on request only, as the real allocator keeps them. */
const staticBandMax = 256n;

/**
 * Which cluster addresses and node ports are taken: derived from the stored services alone, so nothing can leak.
 * Free ones are searched upwards from the last one given, so that an address is not reused at once.
 */
export class Allocations {
  readonly ranges: ServiceRanges;
  readonly #addresses = new Set<string>();
  readonly #nodePorts = new Map<string, number>();
  readonly #cursor = { IPv4: staticBandMax, IPv6: staticBandMax, port: 0 };

  constructor(ranges: ServiceRanges) {
    this.ranges = ranges;
  }

  /** Follows the stored services. */
  observe({ object, previous, type }: Pick<Change, 'object' | 'previous' | 'type'>): void {
    if (previous) this.#forget(previous as Service);
    if (type !== 'DELETED') this.#remember(object as Service);
  }

  /** Those that the cluster has; the first is that of services that ask for none. */
  get families(): IpFamily[] {
    return (['IPv4', 'IPv6'] as const).filter((family) => this.rangeOf(family) !== undefined);
  }

  rangeOf(family: IpFamily): Prefix | undefined {
    return family === 'IPv4' ? this.ranges.ipv4 : this.ranges.ipv6;
  }

  /** Why the address cannot be given, or `undefined`. */
  addressProblem(text: string): string | undefined {
    const address = tryParseAddress(text);
    if (!address) return 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
    const range = this.rangeOf(familyName(address));
    if (!range) return `${familyName(address)} is not configured on this cluster`;
    if (!prefixContains(range, address))
      return `failed to allocate IP ${text}: the provided IP is not in the valid range. The range of valid IPs is ${formatPrefix(range)}`;
    if (this.#addresses.has(address)) return `failed to allocate IP ${text}: provided IP is already allocated`;
    return undefined;
  }

  freeAddress(family: IpFamily): string | undefined {
    const range = this.rangeOf(family);
    if (!range) return undefined;
    const size = prefixSize(range) < 65_536n ? prefixSize(range) : 65_536n;
    const first = size > 2n * staticBandMax ? staticBandMax : 1n;
    for (let tried = 0n; tried < size - first - 1n; tried++) {
      const next = this.#cursor[family] + 1n;
      this.#cursor[family] = next >= size - 1n || next < first ? first : next;
      const address = prefixAddressAt(range, this.#cursor[family]);
      if (!this.#addresses.has(address)) return address;
    }
    return undefined;
  }

  nodePortProblem(port: number, protocol: string): string | undefined {
    const { first, last } = this.ranges.nodePorts;
    if (!(port >= first && port <= last))
      return `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
    return this.#nodePorts.has(`${port}/${protocol}`) ? 'provided port is already allocated' : undefined;
  }

  /** A port that is free for every protocol. */
  freeNodePort(taken: ReadonlySet<number>): number | undefined {
    const { first, last } = this.ranges.nodePorts;
    for (let tried = first; tried <= last; tried++) {
      const port = first + (this.#cursor.port++ % (last - first + 1));
      const isFree = ['TCP', 'UDP', 'SCTP'].every((protocol) => !this.#nodePorts.has(`${port}/${protocol}`));
      if (isFree && !taken.has(port)) return port;
    }
    return undefined;
  }

  #remember(service: Service): void {
    for (const address of clusterAddresses(service)) this.#addresses.add(address);
    for (const key of nodePortKeys(service)) this.#nodePorts.set(key, (this.#nodePorts.get(key) ?? 0) + 1);
  }

  #forget(service: Service): void {
    for (const address of clusterAddresses(service)) this.#addresses.delete(address);
    for (const key of nodePortKeys(service)) {
      const left = (this.#nodePorts.get(key) ?? 1) - 1;
      if (left === 0) this.#nodePorts.delete(key);
      else this.#nodePorts.set(key, left);
    }
  }
}

export function familyName(address: Address): IpFamily {
  return familyOf(address) === 4 ? 'IPv4' : 'IPv6';
}

function clusterAddresses(service: Service): string[] {
  return (service.spec.clusterIPs ?? []).filter((address) => address !== 'None' && address !== '');
}

function nodePortKeys({ spec }: Service): string[] {
  const keys = (spec.ports ?? [])
    .filter((port) => port.nodePort)
    .map((port) => `${port.nodePort}/${port.protocol ?? 'TCP'}`);
  return spec.healthCheckNodePort ? [...keys, `${spec.healthCheckNodePort}/TCP`] : keys;
}
