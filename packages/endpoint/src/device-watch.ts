import type { Change } from '@sluice/netlink';
import type { PodDevices } from './device.ts';
import type { EndpointTable } from './endpoint.ts';

export interface DeviceWatchOptions {
  readonly devices: PodDevices;
  readonly table: EndpointTable;
  /** A device of ours went, went down or got another name: look at all of them. */
  readonly onTrouble: () => void;
}

/** Listens to what happens to the pods' devices on the node. What we do ourselves is done before the table knows of it. */
export function watchPodDevices({ devices, table, onTrouble }: DeviceWatchOptions): Disposable {
  return devices.watch((changes) => {
    const owned = new Map(table.list().map((row) => [row.hostIfindex, row.hostName]));
    if (changes.some((change) => isTrouble(change, owned))) onTrouble();
  });
}

function isTrouble(change: Change, owned: ReadonlyMap<number, string>): boolean {
  if (change.topic === 'missed') return true;
  if (change.topic !== 'links') return false;
  const name = owned.get(change.row.ifindex);
  return name !== undefined && (change.removed || !change.row.up || change.row.name !== name);
}
