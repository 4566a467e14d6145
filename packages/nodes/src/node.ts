import type { NodeObject } from '@sluice/kube';
import {
  type Address,
  compareAddresses,
  familyOf,
  formatPrefix,
  type Prefix,
  parsePrefix,
  prefixAddressAt,
  prefixContains,
  prefixesOverlap,
} from '@sluice/net';
import { PrefixOwners } from './prefix-owners.ts';

/** A node of the cluster as the network sees it. */
export interface Node {
  readonly name: string;
  readonly local: boolean;
  /** InternalIPs that no other node claims, in the API's order. */
  readonly addresses: readonly Address[];
  /** At most one of each family; without those that were refused. */
  readonly podCidrs: readonly Prefix[];
  /** First address of each pod CIDR: what its sluice_host holds. */
  readonly routerAddresses: readonly Address[];
  /** Where to send what is for it; undefined for ourselves and where no family is shared. */
  readonly tunnelEndpoint: Address | undefined;
  /** The largest packet of a pod that fits into the tunnel there, by the kernel's route; 0 while there is none. */
  readonly podMtu: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** What of the object was refused, and why; the rest is used. */
  readonly problems: readonly string[];
}

/** What the agent knows of its own node, from the API or from an earlier run. */
export interface LocalNode {
  readonly addresses: readonly Address[];
  readonly podCidrs: readonly Prefix[];
}

/** A network that a device of this node is attached to. */
export interface LocalNetwork {
  readonly prefix: Prefix;
  readonly device: string;
}

/**
 * The nodes of the cluster. Of two that claim the same thing our own wins, since our pods have it already; otherwise the
 * first by name. `lastKnown` stands for what the API does not tell of our own node; no pods are where services are, or
 * where a network of ours is.
 */
export function deriveNodes(
  objects: Iterable<NodeObject>,
  local: {
    readonly name: string;
    readonly lastKnown?: LocalNode | undefined;
    readonly serviceCidrs?: readonly Prefix[];
    /** What our devices are attached to. */
    readonly networks?: readonly LocalNetwork[];
    /** Whether pods have addresses of it already: then what was wrong with it from the start, or since, is only told. */
    readonly isInUse?: (podCidr: Prefix) => boolean;
  },
): Node[] {
  const own = ownObject(objects, local);
  const others = [...objects].filter(({ name }) => name !== local.name).sort((a, b) => (a.name < b.name ? -1 : 1));
  const { serviceCidrs = [], networks = [], isInUse = () => false } = local;
  const claims = new Claims({ own, serviceCidrs, networks, isInUse });
  // The prefixes of all before any address: no node may be where the pods of another one are.
  const accepted = [...(own ? [own] : []), ...others]
    .map((object) => claims.acceptPodCidrs(object))
    .map((half) => claims.acceptAddresses(half));
  const ours = own && accepted[0];
  return accepted.map((node) =>
    node === ours ? { ...node, local: true, tunnelEndpoint: undefined, podMtu: 0 } : remoteNode(node, ours),
  );
}

function internalAddresses(object: NodeObject): Address[] {
  return object.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address);
}

type Accepted = Omit<Node, 'local' | 'tunnelEndpoint' | 'podMtu'>;

interface HalfAccepted {
  readonly object: NodeObject;
  readonly podCidrs: readonly Prefix[];
  readonly problems: readonly string[];
}

/** What the API does not say (any more) stays as it was: pods have these addresses. */
function ownObject(
  objects: Iterable<NodeObject>,
  { name, lastKnown }: { readonly name: string; readonly lastKnown?: LocalNode | undefined },
): NodeObject | undefined {
  const told = [...objects].find((object) => object.name === name);
  if (lastKnown === undefined) return told;
  const object = told ?? { ...unknownObject, name };
  const lastAddresses = lastKnown.addresses.map((address) => ({ type: 'InternalIP' as const, address }));
  const hasAddress = object.addresses.some(({ type }) => type === 'InternalIP');
  return {
    ...object,
    addresses: hasAddress ? object.addresses : lastAddresses,
    podCidrs: object.podCidrs.length > 0 ? object.podCidrs : lastKnown.podCidrs,
  };
}

const unknownObject: NodeObject = {
  name: '',
  uid: '',
  labels: {},
  annotations: {},
  addresses: [],
  podCidrs: [],
  ready: false,
  terminating: false,
  zone: undefined,
  taints: [],
  problems: [],
};

function remoteNode(node: Accepted, ours: Accepted | undefined): Node {
  const tunnelEndpoint = ours && tunnelBetween(ours.addresses, node.addresses);
  const unreachable = ours !== undefined && node.addresses.length > 0 && tunnelEndpoint === undefined;
  const problem = 'no address of a family that this node has, too: there is no way to send to it';
  const problems = unreachable ? [...node.problems, problem] : node.problems;
  return { ...node, local: false, tunnelEndpoint, podMtu: 0, problems };
}

/** IPv4 where both have it: 20 bytes less a packet. */
function tunnelBetween(ours: readonly Address[], theirs: readonly Address[]): Address | undefined {
  const families = new Set(ours.map(familyOf));
  return theirs.filter((address) => families.has(familyOf(address))).sort(compareAddresses)[0];
}

/** The address of the local end of the tunnel. */
export function tunnelSource(local: LocalNode): Address | undefined {
  return [...local.addresses].sort(compareAddresses)[0];
}

export function routerAddress(prefix: Prefix): Address {
  return prefixAddressAt(prefix, 1);
}

/** Where no node can be reached from another one. */
const nobodysPrefixes = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '::/127',
  'fe80::/10',
  'ff00::/8',
].map((text) => parsePrefix(text));

interface ClaimsOptions {
  readonly own: NodeObject | undefined;
  readonly serviceCidrs: readonly Prefix[];
  readonly networks: readonly LocalNetwork[];
  readonly isInUse: (podCidr: Prefix) => boolean;
}

/** Who has which address and prefix, so that no two nodes have the same. */
class Claims {
  readonly #addresses = new Map<Address, string>();
  readonly #prefixes = new PrefixOwners();
  /** Of the local node: a route to pods must not take its own network away from it. */
  readonly #own: readonly Address[];
  readonly #options: ClaimsOptions;

  constructor(options: ClaimsOptions) {
    this.#own = options.own ? internalAddresses(options.own) : [];
    this.#options = options;
  }

  acceptPodCidrs(object: NodeObject): HalfAccepted {
    const problems = [...object.problems];
    const podCidrs = object.podCidrs.flatMap((prefix, index) => {
      const earlier = object.podCidrs.slice(0, index);
      return this.#prefix(prefix, earlier, object, problems);
    });
    return { object, podCidrs, problems };
  }

  acceptAddresses(half: HalfAccepted): Accepted {
    const { podCidrs } = half;
    const { name, labels, annotations } = half.object;
    const problems = [...half.problems];
    const addresses = internalAddresses(half.object).flatMap((address) => this.#address(address, name, problems));
    if (addresses.length === 0) problems.push('no InternalIP: nothing can be sent to it');
    return { name, addresses, podCidrs, routerAddresses: podCidrs.map(routerAddress), labels, annotations, problems };
  }

  #address(address: Address, node: string, problems: string[]): Address[] {
    if (nobodysPrefixes.some((prefix) => prefixContains(prefix, address))) {
      problems.push(`address ${address} cannot be a node's (unspecified, loopback, link-local or multicast)`);
      return [];
    }
    const owner = this.#addresses.get(address);
    if (owner !== undefined && owner !== node) {
      problems.push(`address ${address} is that of node ${owner}`);
      return [];
    }
    const among = this.#prefixes.holding(address);
    if (among !== undefined) {
      problems.push(`address ${address} is among the pods of node ${among.owner}, ${formatPrefix(among.prefix)}`);
      return [];
    }
    this.#addresses.set(address, node);
    return [address];
  }

  #prefix(prefix: Prefix, earlier: readonly Prefix[], object: NodeObject, problems: string[]): Prefix[] {
    const problem = this.#whyRefused(prefix, earlier, object);
    const overlap = problem === undefined ? this.#overlap(prefix) : undefined;
    const isKept = overlap !== undefined && this.#options.isInUse(prefix);
    if (problem !== undefined) problems.push(problem);
    else if (overlap !== undefined) problems.push(isKept ? `${overlap}; it stays, because it is in use` : overlap);
    if (problem !== undefined || (overlap !== undefined && !isKept)) return [];
    this.#prefixes.add(prefix, object.name);
    return [prefix];
  }

  #whyRefused(prefix: Prefix, earlier: readonly Prefix[], object: NodeObject): string | undefined {
    const text = `pod CIDR ${formatPrefix(prefix)}`;
    const sameFamily = earlier.find((other) => familyOf(other.address) === familyOf(prefix.address));
    if (sameFamily) return `${text} is a second one of its family, ${formatPrefix(sameFamily)} is used`;
    const rival = this.#prefixes.overlapping(prefix);
    if (rival) return `${text} overlaps ${formatPrefix(rival.prefix)} of node ${rival.owner}`;
    const held = [...this.#own, ...internalAddresses(object)].find((address) => prefixContains(prefix, address));
    if (held !== undefined) return `${text} holds the address ${held} of a node`;
    const bits = familyOf(prefix.address) === 4 ? 32 : 128;
    return bits - prefix.length < 2 ? `${text} is too small for a router and a pod` : undefined;
  }

  /** A pod must not have the address of a service, and its route must not take our own network away from us. */
  #overlap(prefix: Prefix): string | undefined {
    const { serviceCidrs, networks } = this.#options;
    const text = `pod CIDR ${formatPrefix(prefix)} overlaps`;
    const services = serviceCidrs.find((other) => prefixesOverlap(other, prefix));
    if (services) return `${text} ${formatPrefix(services)}, where services are`;
    const network = networks.find((other) => prefixesOverlap(other.prefix, prefix));
    return network && `${text} ${formatPrefix(network.prefix)}, a network of device ${network.device}`;
  }
}
