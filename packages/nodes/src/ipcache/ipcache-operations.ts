import type { Address } from '@sluice/net';
import { type Operations, sameValue } from '@sluice/state';
import type { NodeMaps } from '../ports.ts';
import type { IpcacheShares } from './ipcache-shares.ts';
import { entriesOf, type IpcacheShare, valueAt } from './share.ts';

/** After so many rows of a comparison others get their turn on the loop. */
const rowsPerTurn = 4_096;

/** Map `ipcache`, a share at a time and in batches. */
export function ipcacheOperations(map: NodeMaps['ipcache'], shares: IpcacheShares): Operations<IpcacheShare> {
  return {
    update(share, _key, last) {
      const entries = new Map(entriesOf(share));
      map.updateBatch(entries);
      map.deleteBatch(gone(last, shares).filter((address) => !entries.has(address)));
    },
    delete: (_key, last) => void map.deleteBatch(gone(last, shares)),
    list: () => compare(map, shares),
  };
}

/** What a share had and nobody has now; an address that went on to another share is that one's. */
function gone(last: IpcacheShare | undefined, shares: IpcacheShares): Address[] {
  const before = last === undefined ? [] : [...entriesOf(last)].map(([address]) => address);
  return before.filter((address) => shares.holderOf(address) === undefined);
}

/**
 * What is there, told apart by who should have it: a share whose rows are all right as it is, one that lacks a row or has
 * another value as an empty one, and each address of nobody as a share of its own.
 */
async function compare(map: NodeMaps['ipcache'], shares: IpcacheShares): Promise<Map<string, IpcacheShare>> {
  const right = new Map<string, number>();
  const found = new Map<string, IpcacheShare>();
  let rows = 0;
  for (const [address = '::' as Address, value] of map.entries()) {
    const holder = shares.holderOf(address);
    const share = holder === undefined ? undefined : shares.table.get(holder);
    if (share === undefined) found.set(`nobody's ${address}`, foreignShare(address));
    else if (sameValue(valueAt(share, address), value)) right.set(share.name, (right.get(share.name) ?? 0) + 1);
    if (++rows % rowsPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (const share of shares.table.list()) {
    const isRight = [...entriesOf(share)].length === (right.get(share.name) ?? 0);
    found.set(share.name, isRight ? share : { ...share, tunnelEndpoint: undefined });
  }
  return found;
}

function foreignShare(address: Address): IpcacheShare {
  return {
    kind: 'node',
    name: `nobody's ${address}`,
    node: '',
    // Any: the share is only ever deleted.
    tunnelEndpoint: address,
    podMtu: 0,
    addresses: [address],
    problems: [],
  };
}
