import { createFakeMap } from '@sluice/bpf';
import { endpointsMap, ipcachePrefixMap } from '@sluice/datapath';
import { formatPrefix, parseAddress, parseMac } from '@sluice/net';
import { operationsCompliance } from '@sluice/state/compliance';
import type { EndpointValue, IpcacheValue } from './ports.ts';
import { hostEndpointOperations, ipcachePrefixOperations } from './reconcilers.ts';

const tunnelEndpoint = parseAddress('10.10.30.102');
const entries: IpcacheValue[] = [1, 2, 3].map((identity) => ({ tunnelEndpoint, identity, flags: 0, mtu: 0 }));
const changedEntry = (row: IpcacheValue): IpcacheValue => ({ ...row, tunnelEndpoint: parseAddress('fd00::2') });

// The rows hold no key of their own: a number in them says which one is meant.
operationsCompliance<IpcacheValue>({
  name: 'ipcache-prefix',
  rows: entries,
  key: (row) => `10.244.${row.identity}.0/24`,
  changed: changedEntry,
  make() {
    const map = createFakeMap(ipcachePrefixMap);
    const text = (address: string | undefined, length: number) =>
      formatPrefix({ address: parseAddress(address ?? '::'), length: length - 96 });
    return {
      operations: ipcachePrefixOperations(map),
      actual: () => new Map([...map.entries()].map(([key, row]) => [text(key.address, key.prefixLength), row])),
      addForeign() {
        map.update(
          { address: parseAddress('10.0.0.0'), prefixLength: 104 },
          { tunnelEndpoint, identity: 9, flags: 0, mtu: 0 },
        );
        return '10.0.0.0/8';
      },
    };
  },
});

const mac = parseMac('02:00:00:00:00:01');
const hostRow: EndpointValue = { id: 0, ifindex: 7, identity: 1, flags: 1, mac, nodeMac: mac };

operationsCompliance<EndpointValue>({
  name: 'host-endpoints',
  rows: [1, 2, 3].map((id) => ({ ...hostRow, id })),
  key: (row) => `10.10.30.${row.id}`,
  changed: (row) => ({ ...row, ifindex: 8 }),
  make() {
    const map = createFakeMap(endpointsMap);
    return {
      operations: hostEndpointOperations(map),
      actual: () => new Map([...map.entries()].map(([address, row]) => [String(address), row])),
      addForeign() {
        map.update(parseAddress('10.9.9.9'), hostRow);
        return '10.9.9.9';
      },
    };
  },
});
