import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Connection, CtKind, CtState, createFakeDatapathMaps, type Tuple } from '@sluice/datapath';
import { type Address, parseAddress } from '@sluice/net';
import {
  exhaustedRanges,
  fullestShare,
  natPortsBeside,
  natPortsProblem,
  PortCounts,
  scarcePorts,
} from './nat-ports.ts';
import { listNatPorts } from './nat-ports-list.ts';

const server = parseAddress('198.51.100.10');
const other = parseAddress('198.51.100.11');
const node = parseAddress('10.10.30.101');
const [pod, friend] = [parseAddress('10.244.0.5'), parseAddress('10.244.0.6')];
const second = 1_000_000_000n;
/** 32,768 ports are left. */
const natPorts = natPortsBeside({ first: 1_024, last: 32_767 });

interface Asked {
  readonly from?: Address;
  readonly to?: Address;
  readonly port?: number;
  readonly protocol?: number;
  readonly seenAs?: { readonly address: Address | undefined; readonly port: number };
  readonly expiresNs?: bigint;
  readonly kind?: CtKind;
}

/** A connection that has the port as its own number. */
function connection(number: number, asked: Asked = {}): [Tuple, Connection] {
  const { from = pod, to = server, port = 443, protocol = 6, kind = CtKind.Connection } = asked;
  const { seenAs = { address: node, port: number }, expiresNs = 200n * second } = asked;
  const counts = {
    packets: [1n, 1n],
    bytes: [64n, 64n],
    tcpFlags: [0, 0],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
    createdNs: 0n,
  };
  const ids = { sourceIdentity: 1000, destinationIdentity: 2, backendId: 0, generation: 0 };
  const ends = { dnat: { address: undefined, port: 0 }, snat: seenAs };
  return [
    { source: from, sourcePort: number, destination: to, destinationPort: port, protocol },
    { ...counts, ...ids, ...ends, expiresNs, state: CtState.Established, kind },
  ];
}

function many(count: number, asked: Asked = {}, first = 32_768): [Tuple, Connection][] {
  return Array.from({ length: count }, (_, index) => connection(first + index, asked));
}

function taken(rows: readonly [Tuple, Connection][], maps = createFakeDatapathMaps()) {
  const counts = new PortCounts(natPorts);
  for (const [tuple, row] of rows) counts.add(tuple, row);
  return counts.list(exhaustedRanges(maps, 100n * second));
}

/** As the programs write it when a round has found nothing. */
function exhausted(destination: Address, untilNs: bigint) {
  const maps = createFakeDatapathMaps();
  maps.shortages.update(
    { source: destination, sourcePort: 443, destination: node, destinationPort: 0, protocol: 6 },
    { exhaustedUntilNs: untilNs, looks: 1, looksBefore: 1, easy: 0 },
  );
  return maps;
}

test('ports are counted by protocol, destination, its port, and the address that it sees', () => {
  const rows = [
    ...many(4),
    ...many(3, { port: 80 }),
    ...many(2, { protocol: 17 }),
    ...many(1, { to: other }),
    connection(40_000, { seenAs: { address: other, port: 40_000 } }),
  ];
  assert.deepEqual(
    taken(rows).map(({ ports, protocol, destination, destinationPort, source }) => [
      ...[ports, protocol, destination, destinationPort, source],
    ]),
    [
      [4, 6, server, 443, node],
      [3, 6, server, 80, node],
      [2, 17, server, 443, node],
      [1, 6, other, 443, node],
      [1, 6, server, 443, other],
    ],
  );
});

test('all ports that others may choose are counted but those of NodePorts', () => {
  const usual = natPortsBeside({ first: 30_000, last: 32_767 });
  assert.equal(usual.count, 64_512 - 2_768);
  assert.deepEqual(
    [1_023, 1_024, 29_999, 30_000, 32_767, 32_768, 65_535].map((port) => usual.has(port)),
    [false, true, true, false, false, true, true],
  );
  assert.equal(natPortsBeside({ first: 80, last: 1_033 }).count, 64_502, 'those below 1024 are none anyway');
});

test('who is not translated takes no port, nor who kept one below the range, nor an alias', () => {
  const rows = [
    connection(40_000, { seenAs: { address: undefined, port: 0 } }),
    connection(40_000, { seenAs: { address: node, port: 32_767 } }),
    connection(40_000, { kind: CtKind.SnatAlias }),
  ];
  assert.deepEqual(taken(rows), []);
});

test('from 85 % on it is a problem, and an Event, before anybody is refused', () => {
  const below = taken(many(27_852));
  assert.deepEqual([natPortsProblem(below), scarcePorts(below)], [undefined, []]);
  const above = taken([...many(27_853), ...many(9, { to: other })]);
  assert.equal(
    natPortsProblem(above),
    '27853 of 32768 ports of 10.10.30.101 are taken towards 198.51.100.10:443/TCP; ' +
      'beyond that new connections there are dropped, "sluice nat top" shows whose they are',
  );
  assert.deepEqual(
    scarcePorts(above).map(({ destination }) => destination),
    [server],
  );
});

test('where the programs found none it is told, whatever was counted: sockets of the node have ports, too', () => {
  const maps = exhausted(other, 101n * second);
  const found = taken(many(9), maps);
  assert.equal(
    natPortsProblem(found),
    'no port of 10.10.30.101 is left towards 198.51.100.11:443/TCP; ' +
      'new connections there are dropped, "sluice nat top" shows whose they are',
  );
  assert.equal(fullestShare(found, 4), 1);
  assert.equal(natPortsProblem(taken(many(9), exhausted(other, 99n * second))), undefined, 'that was long ago');
});

test('the share is that of the fullest destination of the family', () => {
  const six = { to: parseAddress('2001:db8::1'), seenAs: { address: parseAddress('fd00::1'), port: 40_000 } };
  const found = taken([...many(16_384), ...many(8, { to: other }), connection(1, six)]);
  assert.deepEqual([fullestShare(found, 4), fullestShare(found, 6), fullestShare([], 4)], [0.5, 1 / 32_768, 0]);
});

test('of many scarce destinations three are named', () => {
  const row = {
    ports: 32_768,
    portsMax: natPorts.count,
    isExhausted: false,
    protocol: 17,
    destination: server,
    destinationPort: 53,
    source: node,
  };
  assert.match(
    natPortsProblem(Array.from({ length: 5 }, () => row)) ?? '',
    /(53\/UDP.*){3}; and 2 more destinations; /,
  );
});

test('the list names the clients of each destination, the biggest first, of both tables and none that is over', async () => {
  const maps = exhausted(server, 101n * second);
  maps.conntrack.updateBatch(many(5));
  maps.conntrackNew.updateBatch([...many(3, { from: friend }, 50_000), ...many(2, { to: other })]);
  maps.conntrack.updateBatch(many(100, { expiresNs: 99n * second }, 60_000));
  const nameOf = (address: Address | undefined) => (address === pod ? 'shop/web' : '');
  const options = { maps, natPorts, nameOf, monotonicNs: () => 100n * second };
  const [first, ...others] = await listNatPorts({ ...options, limit: undefined });
  assert.deepEqual(first, {
    protocol: 'TCP',
    destination: { address: server, port: 443, name: '' },
    source: { address: node, name: '' },
    ports: 8,
    portsMax: 32_768,
    isExhausted: true,
    clients: [
      { address: pod, name: 'shop/web', ports: 5 },
      { address: friend, name: '', ports: 3 },
    ],
  });
  assert.deepEqual(
    others.map(({ destination, ports, isExhausted }) => [destination.address, ports, isExhausted]),
    [[other, 2, false]],
  );
  assert.equal((await listNatPorts({ ...options, limit: 1 })).length, 1);
});

test('the list begins with what has no port left, though only sockets of the node have them', async () => {
  const maps = exhausted(other, 101n * second);
  maps.conntrack.updateBatch(many(5));
  const options = { maps, natPorts, nameOf: () => '', monotonicNs: () => 100n * second };
  const found = await listNatPorts({ ...options, limit: 1 });
  assert.deepEqual(
    found.map(({ destination, ports, isExhausted, clients }) => [destination.address, ports, isExhausted, clients]),
    [[other, 0, true, []]],
  );
});
