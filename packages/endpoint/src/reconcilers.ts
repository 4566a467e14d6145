import { EndpointFlag } from '@sluice/datapath';
import { type Mac, parseAddress } from '@sluice/net';
import type { Clock, Logger } from '@sluice/runtime';
import { type Controllers, type Reconciler, type RowStatus, reconciler } from '@sluice/state';
import { desiredAddresses, desiredLinks, desiredNamespaces } from './desired.ts';
import type { PodDevices } from './device.ts';
import { type EndpointTable, endpointKey } from './endpoint.ts';
import type { EndpointMaps, EndpointValue, PodPrograms } from './ports.ts';

export interface EndpointReconcilerOptions {
  readonly table: EndpointTable;
  readonly maps: EndpointMaps;
  readonly programs: PodPrograms;
  readonly devices: PodDevices;
  readonly nodeMac: Mac;
  /** Devices that are being made or removed just now. */
  readonly inProgress: () => Iterable<string>;
  readonly log: Logger;
  readonly clock: Clock;
  readonly controllers: Controllers | undefined;
  readonly onLinkStatus: (endpointKey: string, status: RowStatus) => void;
}

/** A reconciler, whatever its rows are. */
export type AnyReconciler = Pick<
  Reconciler<unknown>,
  'name' | 'start' | 'stop' | 'trigger' | 'triggerFull' | 'flush' | 'summary'
>;

/** What makes the kernel agree with the table, and keeps it so. */
export function endpointReconcilers(options: EndpointReconcilerOptions): AnyReconciler[] {
  const { table, maps, programs, devices, nodeMac, inProgress, log, clock } = options;
  const common = {
    log,
    clock,
    initialized: () => table.initialized,
    ...(options.controllers && { controllers: options.controllers }),
  };
  const addresses = reconciler<EndpointValue>({
    ...common,
    name: 'endpoint-addresses',
    desired: () => desiredAddresses(table.list(), nodeMac),
    operations: {
      update: (row, address) => maps.endpoints.update(parseAddress(address), row),
      delete: (address) => void maps.endpoints.delete(parseAddress(address)),
      list: () => podRows(maps),
    },
  });
  const namespaces = reconciler({
    ...common,
    name: 'endpoint-namespaces',
    desired: () => desiredNamespaces(table.list()),
    operations: {
      update: (row, cookie) => maps.netnsEndpoints.update(BigInt(cookie), row),
      delete: (cookie) => void maps.netnsEndpoints.delete(BigInt(cookie)),
      list: () => [...maps.netnsEndpoints.entries()].map(([cookie, row]) => [String(cookie), row] as const),
    },
  });
  const links = reconciler({
    ...common,
    name: 'endpoint-links',
    desired: () => desiredLinks(table.list()),
    operations: {
      update(row, name) {
        devices.nameBack(name, row.ifindex);
        if (devices.find(name)?.ifindex !== row.ifindex) {
          throw new Error(`device ${name} is gone: somebody removed it, the pod has no network until it is made anew`);
        }
        programs.attachPod(name, row.ifindex);
        devices.bringUp({ hostName: name, hostIfindex: row.ifindex });
      },
      // While a DEL is under way its device takes the link with it: to detach would wait for the lock that the device's
      // removal holds, and the agent would answer nobody meanwhile.
      delete(name) {
        if (!new Set(inProgress()).has(name)) programs.detachPod(name);
      },
      list: () => linkRows(options),
    },
    onStatus: (name, status) => {
      const [endpoint] = table.by('device', name);
      if (endpoint) options.onLinkStatus(endpointKey(endpoint), status);
    },
  });
  return [addresses, namespaces, links];
}

/** Rows of the node itself belong to another writer. */
function* podRows(maps: EndpointMaps): Generator<readonly [string, EndpointValue]> {
  for (const [address, row] of maps.endpoints.entries()) {
    if (address !== undefined && (row.flags & EndpointFlag.Host) === 0) yield [address, row];
  }
}

/** What has a link and a device that is up; a link without effect counts as there, so that it is made anew or removed. */
function* linkRows({
  programs,
  devices,
  table,
  inProgress,
}: EndpointReconcilerOptions): Generator<readonly [string, { key: string; ifindex: number }]> {
  const up = new Map(devices.list().map((link) => [link.name, link.up ? link.ifindex : 0]));
  const busy = new Set(inProgress());
  for (const { device, ifindex } of programs.listPodLinks()) {
    // To detach from a device that goes anyway would wait for the kernel a second time.
    if (busy.has(device)) continue;
    const [endpoint] = table.by('device', device);
    const present = ifindex === up.get(device) ? ifindex : undefined;
    yield [device, { key: endpoint ? endpointKey(endpoint) : '', ifindex: present ?? 0 }];
  }
}
