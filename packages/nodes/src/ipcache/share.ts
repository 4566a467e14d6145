import { IpcacheFlag } from '@sluice/datapath';
import type { CiliumEndpointSliceObject, PublishedEndpoint } from '@sluice/kube';
import { type IdentityId, identityName, isPodIdentity, reservedIdentities } from '@sluice/model';
import { type Address, prefixContains } from '@sluice/net';
import type { Node } from '../node.ts';
import type { IpcacheValue } from '../ports.ts';

/** What of map `ipcache` comes from one publisher: a node's own addresses, or the endpoints of one slice. */
export type IpcacheShare = NodeShare | SliceShare;

interface Share {
  /** `node k8s-cp2` or `slice k8s-cp2.shop.0`: no two have the same. */
  readonly name: string;
  readonly node: string;
  /** Undefined: there is no way to the node, and the share is empty. */
  readonly tunnelEndpoint: Address | undefined;
  /** See `Node`. */
  readonly podMtu: number;
  /** What was refused, and why; the rest is used. */
  readonly problems: readonly string[];
}

export interface NodeShare extends Share {
  readonly kind: 'node';
  readonly addresses: readonly Address[];
}

export interface SliceShare extends Share {
  readonly kind: 'slice';
  /** Not copied: there may be 100,000 endpoints. */
  readonly slice: CiliumEndpointSliceObject;
  /** Addresses that are not used, by their place among all of the slice. */
  readonly refused: readonly number[];
}

/** One row of the map with who is there. */
export interface IpcacheRow {
  readonly address: Address;
  readonly identity: IdentityId;
  /** `shop/cart-0`; undefined for a node itself. */
  readonly pod: string | undefined;
}

export function* rowsOf(share: IpcacheShare): Generator<IpcacheRow, void> {
  if (share.tunnelEndpoint === undefined) return;
  if (share.kind === 'node') {
    const identity = reservedIdentities['remote-node'];
    for (const address of share.addresses) yield { address, identity, pod: undefined };
    return;
  }
  const { slice, refused } = share;
  for (const [place, { endpoint, address }] of claimsOf(slice).entries()) {
    if (refused.includes(place)) continue;
    yield { address, identity: endpoint.identity, pod: `${slice.namespace}/${endpoint.name}` };
  }
}

/** The rows as the kernel has them. */
export function* entriesOf(share: IpcacheShare): Generator<[Address, IpcacheValue], void> {
  for (const { address, identity } of rowsOf(share)) yield [address, rowValue(share, identity)];
}

/** Undefined: the share does not have the address. */
export function valueAt(share: IpcacheShare, address: Address): IpcacheValue | undefined {
  if (share.tunnelEndpoint === undefined) return undefined;
  if (share.kind === 'node') {
    return share.addresses.includes(address) ? rowValue(share, reservedIdentities['remote-node']) : undefined;
  }
  if (share.refused.length > 0) return entriesOf(share).find(([candidate]) => candidate === address)?.[1];
  const endpoint = share.slice.endpoints.find(({ ipv4, ipv6 }) => ipv4 === address || ipv6 === address);
  return endpoint && rowValue(share, endpoint.identity);
}

function rowValue({ kind, tunnelEndpoint, podMtu: mtu }: IpcacheShare, identity: IdentityId): IpcacheValue {
  return { tunnelEndpoint, identity, flags: kind === 'node' ? IpcacheFlag.Node : 0, mtu };
}

/** What a slice says: each address with whose it is, in order. */
export function claimsOf({ endpoints }: CiliumEndpointSliceObject): Claim[] {
  const claims: Claim[] = [];
  for (const endpoint of endpoints) {
    const { ipv4, ipv6 } = endpoint;
    if (ipv4 !== undefined) claims.push({ endpoint, address: ipv4 });
    if (ipv6 !== undefined) claims.push({ endpoint, address: ipv6 });
  }
  return claims;
}

export interface Claim {
  readonly endpoint: PublishedEndpoint;
  readonly address: Address;
}

/** The node itself, through the tunnel in both directions, so that replies come the same way. None for ourselves. */
export function nodeShare({
  name,
  local,
  tunnelEndpoint,
  podMtu,
  addresses,
  routerAddresses,
}: Node): NodeShare | undefined {
  if (local || tunnelEndpoint === undefined) return undefined;
  const all = [...new Set([...addresses, ...routerAddresses])];
  return { kind: 'node', name: `node ${name}`, node: name, tunnelEndpoint, podMtu, problems: [], addresses: all };
}

export function sliceShareName(slice: Pick<CiliumEndpointSliceObject, 'name'>): string {
  return `slice ${slice.name}`;
}

/** Who may claim what: a slice speaks for the pods of its node and for nobody else. Undefined: nothing is wrong. */
export function whyRefused({ endpoint, address }: Claim, node: Node): string | undefined {
  if (!node.podCidrs.some((prefix) => prefixContains(prefix, address)))
    return `not among the pods of node ${node.name}`;
  if (node.routerAddresses.includes(address)) return `the address of node ${node.name} itself`;
  if (!isPodIdentity(endpoint.identity)) return `no pod has the identity ${identityName(endpoint.identity)}`;
  return undefined;
}

/** Pure: what of a slice is used. `holderOf` tells which slice has an address that several claim. None for our own. */
export function sliceShare(
  slice: CiliumEndpointSliceObject,
  node: Node | undefined,
  holderOf: (address: Address) => string | undefined,
): SliceShare | undefined {
  if (node?.local) return undefined;
  const share = { kind: 'slice', name: sliceShareName(slice), slice } as const;
  const problem = whyUseless(slice, node);
  if (node === undefined || problem !== undefined) {
    return {
      ...share,
      node: slice.node ?? '',
      tunnelEndpoint: undefined,
      podMtu: 0,
      refused: [],
      problems: [problem ?? ''],
    };
  }
  const seen = new Set<Address>();
  const refused: number[] = [];
  const problems = [...slice.problems];
  for (const [place, claim] of claimsOf(slice).entries()) {
    const { address, endpoint } = claim;
    const why = whyRefused(claim, node) ?? whyTwice(address, seen, slice, holderOf(address));
    if (why === undefined) seen.add(address);
    else {
      refused.push(place);
      problems.push(`${address} of ${endpoint.name}: ${why}`);
    }
  }
  return { ...share, node: node.name, tunnelEndpoint: node.tunnelEndpoint, podMtu: node.podMtu, refused, problems };
}

function whyUseless({ node: name }: CiliumEndpointSliceObject, node: Node | undefined): string | undefined {
  if (name === undefined) return 'it names no node as its owner';
  if (node === undefined) return `node ${name} is not known`;
  if (node.tunnelEndpoint === undefined) return `there is no way to send to node ${name}`;
  return undefined;
}

function whyTwice(
  address: Address,
  seen: ReadonlySet<Address>,
  slice: CiliumEndpointSliceObject,
  holder: string | undefined,
): string | undefined {
  if (seen.has(address)) return 'it is there twice';
  return holder !== undefined && holder !== slice.name ? `slice ${holder} has it, too` : undefined;
}
