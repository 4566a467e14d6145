import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { StatusReport } from '@sluice/agent';
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import { endpointsMap, ipcacheMap, netnsEndpointsMap } from '@sluice/datapath';
import type { BenchNode } from './cluster.ts';
import { runInside } from './inside.ts';

/** What pods leave behind on a node while they are there, and must not leave when they are gone. */
export interface NodeInventory {
  readonly devices: readonly string[];
  readonly endpointFiles: readonly string[];
  readonly pins: readonly string[];
  readonly mapRows: Readonly<Record<string, number>>;
  readonly addressesTaken: readonly number[];
}

export async function nodeInventory(node: BenchNode): Promise<NodeInventory> {
  const { bpffs, stateDirectory, agent, netns } = node;
  const links: { ifname: string }[] = JSON.parse(await runInside({ netns }, ['ip', '-json', 'link']));
  const rows = <Key, Value>(descriptor: MapDescriptor<Key, Value>) => {
    using map = BpfMap.openPinned(join(bpffs, 'sluice/maps', descriptor.name));
    return openMap(map, descriptor).count();
  };
  return {
    devices: links.map(({ ifname }) => ifname).sort(),
    endpointFiles: readdirSync(join(stateDirectory, 'endpoints')).sort(),
    pins: readdirSync(join(bpffs, 'sluice/links')).sort(),
    mapRows: {
      endpoints: rows(endpointsMap),
      netnsEndpoints: rows(netnsEndpointsMap),
      ipcache: rows(ipcacheMap),
    },
    addressesTaken: (await agent.get<StatusReport>('/status')).ipam.map(({ allocated }) => allocated),
  };
}
