import type { Device, Endpoint, IpcacheEntry, IpcachePrefixKey } from '@sluice/datapath';
import type { Address } from '@sluice/net';

/** What nodes need of the datapath's maps, and no more: tests give fakes. */
export interface NodeMaps {
  /** By ifindex. */
  readonly devices: NodeMap<number, Device>;
  readonly endpoints: NodeMap<Address | undefined, Endpoint>;
  readonly ipcache: BatchedMap<Address | undefined, IpcacheEntry>;
  /** `prefixLength` is of 128 bits: an IPv4 prefix of n bits counts 96 + n. */
  readonly ipcachePrefix: NodeMap<IpcachePrefixKey, IpcacheEntry>;
}

interface NodeMap<Key, Value> {
  update(key: Key, value: Value): void;
  delete(key: Key): boolean;
  entries(): IterableIterator<[Key, Value]>;
}

interface BatchedMap<Key, Value> extends NodeMap<Key, Value> {
  updateBatch(entries: Iterable<readonly [Key, Value]>): void;
  deleteBatch(keys: Iterable<Key>): number;
}

export type {
  Device as DeviceValue,
  Endpoint as EndpointValue,
  IpcacheEntry as IpcacheValue,
  IpcachePrefixKey,
} from '@sluice/datapath';
