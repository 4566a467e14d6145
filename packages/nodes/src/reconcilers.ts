import { EndpointFlag } from '@sluice/datapath';
import { familyOf, formatPrefix, parseAddress, parsePrefix } from '@sluice/net';
import { hasCode, type Netlink, type Route, type RouteSpec, routeProtocol, routeTable } from '@sluice/netlink';
import { type Operations, type Reconciler, type ReconcilerOptions, reconciler } from '@sluice/state';
import type { NodeRoute } from './desired.ts';
import { ipcacheOperations } from './ipcache/ipcache-operations.ts';
import type { IpcacheShares } from './ipcache/ipcache-shares.ts';
import type { IpcacheShare } from './ipcache/share.ts';
import { keyToText, textToKey } from './ipcache-prefix-key.ts';
import type { DeviceValue, EndpointValue, IpcacheValue, NodeMaps } from './ports.ts';

/** A reconciler, whatever its rows are. */
export type AnyReconciler = Pick<
  Reconciler<unknown>,
  'name' | 'start' | 'stop' | 'trigger' | 'triggerFull' | 'flush' | 'summary' | 'errors'
>;

/** What all of them share; `desired` is asked anew at each trigger. */
export type Common = Omit<ReconcilerOptions<unknown>, 'name' | 'desired' | 'operations' | 'initialized'>;

/** What is wanted, and whether what is not may go. */
export interface Wanted<Row> {
  readonly desired: () => ReadonlyMap<string, Row>;
  readonly initialized: () => boolean;
}

/** Routes of our protocol in the main table; nobody else's are looked at. */
export function routeReconciler(netlink: Netlink, wanted: Wanted<NodeRoute>, common: Common): Reconciler<NodeRoute> {
  return reconciler<NodeRoute>({ ...common, ...wanted, name: 'node-routes', operations: routeOperations(netlink) });
}

export function routeOperations(netlink: Netlink): Operations<NodeRoute> {
  const { main } = routeTable;
  return {
    update: (row) => setRoute(netlink, { ...row, table: main }),
    delete: (key) => void netlink.routes.delete({ destination: parsePrefix(key), table: main }),
    list: () => netlink.routes.list({ table: main, protocol: routeProtocol.sluice }).map(routeRow),
  };
}

/** The kernel replaces a route to the same prefix whoever made it; that of the node's own network must stay. */
function setRoute(netlink: Netlink, spec: RouteSpec): void {
  try {
    netlink.routes.add(spec);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    const destination = formatPrefix(spec.destination);
    const others = netlink.routes
      .list({ table: routeTable.main })
      .filter((route) => route.protocol !== routeProtocol.sluice && formatPrefix(route.destination) === destination);
    const rival = others.find((route) => route.metric === defaultMetric(route.family));
    if (rival !== undefined)
      throw new Error(
        `${destination} is routed already, by device ${rival.ifindex ?? 'none'} and protocol ${rival.protocol}`,
      );
    netlink.routes.replace(spec);
  }
}

/** What the kernel gives a route that names none. */
function defaultMetric(family: 4 | 6): number {
  return family === 4 ? 0 : 1024;
}

/** Zeros, which differ from anything wanted, where the kernel's route lacks what ours have. */
function routeRow({ destination, ifindex = 0, source, mtu = 0 }: Route): readonly [string, NodeRoute] {
  const none = parseAddress(familyOf(destination.address) === 4 ? '0.0.0.0' : '::');
  return [formatPrefix(destination), { destination, ifindex, source: source ?? none, mtu }];
}

export function ipcacheReconciler(
  map: NodeMaps['ipcache'],
  shares: IpcacheShares,
  common: Common,
): Reconciler<IpcacheShare> {
  const operations = ipcacheOperations(map, shares);
  return reconciler<IpcacheShare>({ ...common, name: 'ipcache', desired: shares.table, operations });
}

export function ipcachePrefixReconciler(
  map: NodeMaps['ipcachePrefix'],
  wanted: Wanted<IpcacheValue>,
  common: Common,
): Reconciler<IpcacheValue> {
  const operations = ipcachePrefixOperations(map);
  return reconciler<IpcacheValue>({ ...common, ...wanted, name: 'ipcache-prefix', operations });
}

export function ipcachePrefixOperations(map: NodeMaps['ipcachePrefix']): Operations<IpcacheValue> {
  return {
    update: (row, key) => map.update(textToKey(key), row),
    delete: (key) => void map.delete(textToKey(key)),
    list: () => [...map.entries()].map(([key, row]) => [keyToText(key), row] as const),
  };
}

export function networkDeviceReconciler(
  map: NodeMaps['devices'],
  wanted: Wanted<DeviceValue>,
  common: Common,
): Reconciler<DeviceValue> {
  return reconciler<DeviceValue>({ ...common, ...wanted, name: 'network-devices', operations: deviceOperations(map) });
}

export function deviceOperations(map: NodeMaps['devices']): Operations<DeviceValue> {
  return {
    update: (row, key) => map.update(Number(key), row),
    delete: (key) => void map.delete(Number(key)),
    list: () => [...map.entries()].map(([ifindex, row]) => [String(ifindex), row] as const),
  };
}

export function hostEndpointReconciler(
  map: NodeMaps['endpoints'],
  wanted: Wanted<EndpointValue>,
  common: Common,
): Reconciler<EndpointValue> {
  const operations = hostEndpointOperations(map);
  return reconciler<EndpointValue>({ ...common, ...wanted, name: 'host-endpoints', operations });
}

/** The map's rows with the host flag; those of pods have another writer. */
export function hostEndpointOperations(map: NodeMaps['endpoints']): Operations<EndpointValue> {
  return {
    update: (row, key) => map.update(parseAddress(key), row),
    delete: (key) => void map.delete(parseAddress(key)),
    *list() {
      for (const [address, row] of map.entries()) {
        if (address !== undefined && (row.flags & EndpointFlag.Host) !== 0) yield [address, row] as const;
      }
    },
  };
}
