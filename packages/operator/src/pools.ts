import {
  type AddressFamily,
  compareAddresses,
  familyOf,
  formatPrefix,
  type Prefix,
  prefixAddressAt,
  prefixesOverlap,
  prefixSize,
} from '@sluice/net';

/** Where the pod CIDRs of one family come from. */
export interface Pool {
  readonly prefix: Prefix;
  /** Bits of a node's share. */
  readonly nodeLength: number;
}

/** Something that a pool must stay away from, in words for the refusal. */
export interface Neighbour {
  readonly prefix: Prefix;
  readonly what: string;
}

/** What of a node matters here. */
export interface PoolNode {
  readonly name: string;
  readonly podCidrs: readonly Prefix[];
}

export interface Assignment {
  readonly node: string;
  /** IPv4 first, as the pools come. */
  readonly podCidrs: readonly Prefix[];
}

export interface PoolPlan {
  readonly assignments: readonly Assignment[];
  /** Pools that are not used, with the reason. */
  readonly refusals: readonly { readonly pool: string; readonly reason: string }[];
  /** Nodes that get nothing, with the reason. */
  readonly unserved: readonly { readonly node: string; readonly reason: string }[];
}

export interface PlanInput {
  readonly pools: readonly Pool[];
  readonly nodes: readonly PoolNode[];
  readonly neighbours: readonly Neighbour[];
  readonly families: readonly AddressFamily[];
}

/**
 * Pod CIDRs for the nodes that have none, of each family that is on. Pure, and the same for the same input: nodes in the
 * order of their names, each the first free share. What a node has stays, whoever gave it.
 */
export function planPodCidrs({ pools, nodes, neighbours, families }: PlanInput): PoolPlan {
  const refusals = pools.flatMap((pool) => refuse(pool, neighbours));
  const usable = pools.filter((pool) => !refusals.some((refusal) => refusal.pool === formatPrefix(pool.prefix)));
  const taken = new TakenPrefixes(nodes.flatMap((node) => node.podCidrs));
  const assignments: Assignment[] = [];
  const unserved: PoolPlan['unserved'][number][] = [];
  const waiting = nodes
    .filter((node) => node.podCidrs.length === 0)
    .sort((left, right) => compareText(left.name, right.name));
  for (const node of waiting) {
    const shares = families.map((family) => ({ family, share: takeShare(usable, family, taken) }));
    const missing = shares.filter(({ share }) => share === undefined).map(({ family }) => `IPv${family}`);
    if (missing.length > 0) {
      for (const { share } of shares) if (share) taken.delete(share);
      unserved.push({
        node: node.name,
        reason: `no ${missing.join(' and ')} share is left in the pools ${names(pools, refusals)}`,
      });
    } else {
      assignments.push({ node: node.name, podCidrs: shares.flatMap(({ share }) => share ?? []) });
    }
  }
  return { assignments, refusals, unserved };
}

function refuse(pool: Pool, neighbours: readonly Neighbour[]): { pool: string; reason: string }[] {
  const name = formatPrefix(pool.prefix);
  const bits = familyOf(pool.prefix.address) === 4 ? 32 : 128;
  if (pool.nodeLength < pool.prefix.length || pool.nodeLength > bits - 2) {
    return [{ pool: name, reason: `a share of /${pool.nodeLength} does not fit into ${name} with room for pods` }];
  }
  const neighbour = neighbours.find((candidate) => prefixesOverlap(pool.prefix, candidate.prefix));
  return neighbour
    ? [{ pool: name, reason: `${name} overlaps ${formatPrefix(neighbour.prefix)}, ${neighbour.what}` }]
    : [];
}

function takeShare(pools: readonly Pool[], family: AddressFamily, taken: TakenPrefixes): Prefix | undefined {
  for (const pool of pools.filter((candidate) => familyOf(candidate.prefix.address) === family)) {
    const share = taken.takeFirstFree(pool);
    if (share) return share;
  }
  return undefined;
}

/** Looks at most at so many shares of a pool; with 5,000 nodes all is found, and no typing mistake takes for ever. */
const sharesMax = 65_536n;

class TakenPrefixes {
  readonly #exact: Set<string>;
  /** Of other lengths than the pool's: compared one by one, and there are few. */
  #prefixes: Prefix[];
  /** Below it nothing is free: a cluster that comes up with 5,000 nodes asks as often. */
  readonly #searched = new Map<Pool, bigint>();

  constructor(prefixes: readonly Prefix[]) {
    this.#exact = new Set(prefixes.map(formatPrefix));
    this.#prefixes = [...prefixes].sort((left, right) => compareAddresses(left.address, right.address));
  }

  takeFirstFree(pool: Pool): Prefix | undefined {
    const bits = familyOf(pool.prefix.address) === 4 ? 32 : 128;
    const shareSize = 1n << BigInt(bits - pool.nodeLength);
    const count = prefixSize(pool.prefix) / shareSize;
    const others = this.#prefixes.filter((prefix) => prefix.length !== pool.nodeLength);
    for (let index = this.#searched.get(pool) ?? 0n; index < count && index < sharesMax; index += 1n) {
      this.#searched.set(pool, index + 1n);
      const share = { address: prefixAddressAt(pool.prefix, index * shareSize), length: pool.nodeLength };
      if (this.#exact.has(formatPrefix(share)) || others.some((other) => prefixesOverlap(other, share))) continue;
      this.#exact.add(formatPrefix(share));
      return share;
    }
    return undefined;
  }

  delete(share: Prefix): void {
    this.#searched.clear();
    this.#exact.delete(formatPrefix(share));
    this.#prefixes = this.#prefixes.filter((prefix) => formatPrefix(prefix) !== formatPrefix(share));
  }
}

function names(pools: readonly Pool[], refusals: PoolPlan['refusals']): string {
  return pools
    .map((pool) => formatPrefix(pool.prefix))
    .map((name) => (refusals.some((refusal) => refusal.pool === name) ? `${name} (refused)` : name))
    .join(', ');
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : 1;
}
