import type { IdentityId } from '@sluice/model';
import type { Address, Mac } from '@sluice/net';

/** What nodes need of the datapath's maps; the generated bindings fit it. */
export interface NodeMaps {
  readonly endpoints: NodeMap<Address | undefined, EndpointValue>;
  readonly ipcache: NodeMap<Address | undefined, IpcacheValue>;
  readonly ipcachePrefix: NodeMap<IpcachePrefixKey, IpcacheValue>;
}

export interface NodeMap<Key, Value> {
  update(key: Key, value: Value): void;
  delete(key: Key): boolean;
  entries(): IterableIterator<[Key, Value]>;
}

/** struct endpoint */
export interface EndpointValue {
  readonly id: number;
  readonly ifindex: number;
  readonly identity: IdentityId;
  readonly flags: number;
  readonly mac: Mac;
  readonly nodeMac: Mac;
}

/** struct ipcache_entry */
export interface IpcacheValue {
  readonly tunnelEndpoint: Address | undefined;
  readonly identity: IdentityId;
  readonly flags: number;
}

/** struct ipcache_prefix_key */
export interface IpcachePrefixKey {
  /** Of 128 bits: an IPv4 prefix of n bits counts 96 + n. */
  readonly prefixLength: number;
  readonly address: Address | undefined;
}
