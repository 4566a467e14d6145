import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Connection, CtFlag, CtKind, CtState, createFakeDatapathMaps, type Tuple } from '@sluice/datapath';
import { type Address, parseAddress } from '@sluice/net';
import { type ConnectionListOptions, listConnections } from './connection-list.ts';
import type { ConnectionReport } from './report.ts';
import { trafficFilter } from './traffic.ts';

const client = parseAddress('10.244.0.5');
const backend = parseAddress('10.244.1.7');
const service = parseAddress('10.96.0.9');
const node = parseAddress('10.10.30.101');
const world = parseAddress('198.51.100.10');
const nobody = { address: undefined, port: 0 };
const second = 1_000_000_000n;

function tuple(changes: Partial<Tuple> = {}): Tuple {
  return { source: client, destination: backend, sourcePort: 40_000, destinationPort: 8080, protocol: 6, ...changes };
}

function connection(changes: Partial<Connection> = {}): Connection {
  return {
    expiresNs: 160n * second,
    createdNs: 40n * second,
    packets: [3n, 2n],
    bytes: [300n, 200n],
    sourceIdentity: 4711,
    destinationIdentity: 2,
    backendId: 0,
    generation: 0,
    dnat: nobody,
    snat: nobody,
    state: CtState.Established,
    kind: CtKind.Connection,
    tcpFlags: [0, 0],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
    ...changes,
  };
}

const names = new Map<Address | undefined, string>([
  [client, 'shop/web'],
  [service, 'service shop/db'],
]);

function tables() {
  const maps = createFakeDatapathMaps();
  maps.conntrack.update(tuple(), connection({ dnat: { address: service, port: 80 } }));
  maps.conntrack.update(tuple({ destination: service, destinationPort: 80 }), connection({ kind: CtKind.DnatAlias }));
  maps.conntrackNew.update(
    tuple({ destination: world, protocol: 17 }),
    connection({ state: CtState.New, snat: { address: node, port: 51_000 } }),
  );
  maps.conntrackNew.update(tuple({ sourcePort: 1 }), connection({ expiresNs: 99n * second }));
  maps.conntrackNew.update(tuple({ sourcePort: 2 }), connection());
  return maps;
}

async function rowsOf(options: Partial<ConnectionListOptions>): Promise<ConnectionReport[]> {
  const rows: ConnectionReport[] = [];
  const common = {
    maps: tables(),
    nameOf: (address: Address | undefined) => names.get(address) ?? '',
    monotonicNs: () => 100n * second,
    filter: () => true,
    isTranslated: false,
  };
  for await (const row of listConnections({ ...common, ...options })) rows.push(row);
  return rows;
}

test('a client whose connection was given another port has his own, and that one is what is seen beyond', async () => {
  const maps = createFakeDatapathMaps();
  const dnat = { address: service, port: 80 };
  maps.conntrack.update(tuple({ sourcePort: 50_001 }), connection({ dnat, clientPort: 40_000 }));
  const snat = { address: node, port: 51_000 };
  maps.conntrack.update(tuple({ sourcePort: 50_002 }), connection({ dnat, snat, clientPort: 40_000 }));
  const rows = await rowsOf({ maps, isTranslated: true });
  assert.deepEqual(
    rows.map(({ source, translatedSource }) => [source.port, translatedSource?.address, translatedSource?.port]),
    [
      [40_000, client, 50_001],
      [40_000, node, 51_000],
    ],
  );
});

const matching = (query: string) => ({ filter: trafficFilter(new URLSearchParams(query)) });

test('connections of both tables are listed, neither what is over nor the aliases of translations', async () => {
  const rows = await rowsOf({});
  assert.deepEqual(
    rows
      .map(({ protocol, source, destination, isEvictable }) => [
        protocol,
        source.port,
        destination.address,
        isEvictable,
      ])
      .sort(),
    [
      ['TCP', 2, backend, true],
      ['TCP', 40_000, backend, false],
      ['UDP', 40_000, world, true],
    ],
  );
});

test('a row names both ends, the service that was asked, and what the world sees', async () => {
  const [tcp] = await rowsOf({ ...matching('port=8080&protocol=tcp'), isTranslated: true });
  assert.deepEqual(tcp, {
    protocol: 'TCP',
    source: { address: client, port: 40_000, name: 'shop/web' },
    destination: { address: backend, port: 8080, name: '' },
    sourceIdentity: '4711',
    destinationIdentity: 'world',
    frontend: { address: service, port: 80, name: 'service shop/db' },
    translatedSource: undefined,
    dsr: undefined,
    state: 'established',
    isEvictable: false,
    ageSeconds: 60,
    expiresSeconds: 60,
    packets: { sent: 3, replied: 2 },
    bytes: { sent: 300, replied: 200 },
  });
  const [udp] = await rowsOf(matching('protocol=udp'));
  assert.deepEqual(udp?.translatedSource, { address: node, port: 51_000, name: '' });
});

test('of a service with DSR a row says which part is ours', async () => {
  for (const [flags, dsr] of [
    [CtFlag.OneWay, 'asked'],
    [CtFlag.Told, 'answering'],
    [0, undefined],
  ] as const) {
    const maps = createFakeDatapathMaps();
    maps.conntrack.update(tuple(), connection({ flags }));
    assert.deepEqual(
      (await rowsOf({ maps })).map((row) => row.dsr),
      [dsr],
    );
  }
});

test('a connection is found by what was asked, and by what it is seen as, too', async () => {
  const protocols = async (query: string) => (await rowsOf(matching(query))).map(({ protocol }) => protocol);
  for (const query of ['port=80', `ip=${service}`]) assert.deepEqual(await protocols(query), ['TCP'], query);
  for (const query of ['port=51000', `ip=${node}`]) assert.deepEqual(await protocols(query), ['UDP'], query);
});

test('only translated ones, when that is asked', async () => {
  assert.equal((await rowsOf({ isTranslated: true })).length, 2);
});

test('the other side is not named again for each connection', async () => {
  let asked = 0;
  const maps = createFakeDatapathMaps();
  for (let port = 1; port <= 600; port++) maps.conntrack.update(tuple({ sourcePort: port }), connection());
  const nameOf = () => {
    asked += 1;
    return '';
  };
  const rows = await rowsOf({ maps, nameOf });
  assert.deepEqual([rows.length, asked], [600, 2]);
});
