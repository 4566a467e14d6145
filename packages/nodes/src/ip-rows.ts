import type { ServiceCidrObject } from '@sluice/kube';
import { type IdentityId, reservedIdentities } from '@sluice/model';
import { type Address, formatPrefix, hostPrefix } from '@sluice/net';
import { desiredHostEndpoints, desiredIpcachePrefixes, type HostEndpoint } from './desired.ts';
import type { Device } from './device.ts';
import { type IpcacheShare, rowsOf } from './ipcache/share.ts';
import type { Node } from './node.ts';

/** What an address or prefix is known as on this node, and by whom. */
export interface IpRow {
  readonly prefix: string;
  readonly identity: IdentityId;
  /** Where it is; empty: on no node. */
  readonly node: string;
  /** Undefined: not through the tunnel. */
  readonly tunnelEndpoint: Address | undefined;
  /** `node` by its Node object, `slice` as its node publishes it. */
  readonly source: 'host' | 'node' | 'slice' | 'pod CIDR' | 'service CIDR';
  /** `shop/cart-0` */
  readonly pod: string | undefined;
}

export interface IpRowsOptions {
  readonly nodes: readonly Node[];
  readonly devices: readonly Device[];
  readonly serviceCidrs: readonly ServiceCidrObject[];
  readonly shares: Iterable<IpcacheShare>;
  readonly host: HostEndpoint | undefined;
}

/** Everything but our own pods, one by one: there may be 100,000. */
export function* ipRows({ nodes, devices, serviceCidrs, shares, host }: IpRowsOptions): Generator<IpRow, void> {
  const local = nodes.find((node) => node.local);
  const own = host ? desiredHostEndpoints(local, devices, host).keys() : [];
  for (const address of own) {
    const row = { identity: reservedIdentities.host, node: local?.name ?? '', tunnelEndpoint: undefined };
    yield { ...row, prefix: formatPrefix(hostPrefix(address as Address)), source: 'host', pod: undefined };
  }
  const owners = new Map(nodes.flatMap(({ name, podCidrs }) => podCidrs.map((cidr) => [formatPrefix(cidr), name])));
  for (const [prefix, { identity, tunnelEndpoint }] of desiredIpcachePrefixes(nodes, serviceCidrs)) {
    const node = owners.get(prefix);
    const source = node === undefined ? 'service CIDR' : 'pod CIDR';
    yield { prefix, identity, node: node ?? '', tunnelEndpoint, source, pod: undefined };
  }
  for (const share of shares) {
    const { node, tunnelEndpoint, kind: source } = share;
    for (const { address, identity, pod } of rowsOf(share)) {
      yield { prefix: formatPrefix(hostPrefix(address)), identity, node, tunnelEndpoint, source, pod };
    }
  }
}
