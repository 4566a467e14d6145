import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import { type Clock, systemClock } from '@sluice/runtime';
import { type Connection, CtKind, CtState, collectConnections, createFakeDatapathMaps, type Tuple } from './index.ts';

const clock: Clock = { ...systemClock, monotonicNs: () => 1000n };

function tuple(sourcePort: number): Tuple {
  const [source, destination] = [parseAddress('10.0.0.1'), parseAddress('10.0.0.2')];
  return { source, destination, sourcePort, destinationPort: 80, protocol: 6 };
}

function connection(expiresNs: bigint): Connection {
  return {
    expiresNs,
    createdNs: 1n,
    packets: [1n, 1n],
    bytes: [64n, 64n],
    sourceIdentity: 1000,
    destinationIdentity: 2,
    backendId: 0,
    generation: 0,
    dnat: none,
    snat: none,
    state: CtState.Established,
    kind: CtKind.Connection,
    tcpFlags: [0, 0],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
  };
}

const none = { address: undefined, port: 0 };

test('a connection that expires in this nanosecond is removed, the next one stays', async () => {
  const maps = createFakeDatapathMaps();
  maps.conntrack.update(tuple(1), connection(1000n));
  maps.conntrack.update(tuple(2), connection(1001n));
  const counts = await collectConnections(maps, clock);
  assert.deepEqual([counts.deleted, counts.alive], [1, 1]);
  assert.ok(maps.conntrack.lookup(tuple(2)));
});

test('whoever asks is told of each connection that remains, not of its aliases', async () => {
  const maps = createFakeDatapathMaps();
  maps.conntrack.update(tuple(1), connection(1000n));
  maps.conntrack.update(tuple(2), connection(1001n));
  maps.conntrackNew.update(tuple(3), connection(1001n));
  const alias = { ...connection(0n), createdNs: 1000n, kind: CtKind.SnatAlias };
  maps.conntrackNew.update(tuple(4), alias);
  const told: number[] = [];
  await collectConnections(maps, clock, { onConnection: ({ sourcePort }) => void told.push(sourcePort) });
  assert.deepEqual(told, [2, 3]);
});

test('a connection that a packet renewed after it was read stays', async () => {
  const maps = createFakeDatapathMaps();
  maps.conntrack.update(tuple(1), connection(999n));
  const { conntrack } = maps;
  const renewing = {
    ...maps,
    conntrack: Object.assign(Object.create(conntrack), {
      descriptor: conntrack.descriptor,
      entries: () => [...conntrack.entries()].values(),
      lookup: () => connection(5000n),
      delete: (key: Tuple) => conntrack.delete(key),
    }),
  };
  const counts = await collectConnections(renewing, clock);
  assert.equal(counts.deleted, 0);
  assert.ok(conntrack.lookup(tuple(1)));
});

test('an alias goes when its connection does, and not before', async () => {
  const later: Clock = { ...systemClock, monotonicNs: () => 5_000_000_000n };
  const maps = createFakeDatapathMaps();
  const [frontend, backend] = [parseAddress('10.96.0.1'), parseAddress('10.0.0.2')];
  const node = { address: parseAddress('10.10.30.101'), port: 40000 };
  const dnat = { ...connection(0n), kind: CtKind.DnatAlias, dnat: { address: backend, port: 80 } };
  const snat = { ...connection(0n), kind: CtKind.SnatAlias };
  for (const [port, expiresNs] of [
    [1, 6_000_000_000n],
    [2, 4_999_999_999n],
  ] as const) {
    const { source } = tuple(port);
    maps.conntrack.update(tuple(port), connection(expiresNs));
    maps.conntrackNew.update({ ...tuple(port), destination: frontend }, dnat);
    const reply = {
      source: backend,
      sourcePort: 80,
      destination: node.address,
      destinationPort: 40000 + port,
      protocol: 6,
    };
    maps.conntrackNew.update(reply, { ...snat, snat: { address: source, port } });
  }
  const counts = await collectConnections(maps, later);
  assert.deepEqual([counts.deleted, counts.alive], [3, 3]);
  assert.ok(maps.conntrackNew.lookup({ ...tuple(1), destination: frontend }));
  assert.equal(maps.conntrackNew.lookup({ ...tuple(2), destination: frontend }), undefined);
});

test('an alias that leads to another port of its client goes with the connection that has that port', async () => {
  const later: Clock = { ...systemClock, monotonicNs: () => 5_000_000_000n };
  const maps = createFakeDatapathMaps();
  const [frontend, { source, destination }] = [parseAddress('10.96.0.1'), tuple(1)];
  maps.conntrack.update(tuple(1), connection(6_000_000_000n));
  maps.conntrack.update(tuple(11), { ...connection(4_000_000_000n), clientPort: 1 });
  maps.conntrack.update(tuple(12), { ...connection(6_000_000_000n), clientPort: 2 });
  for (const [port, given] of [
    [1, 11],
    [2, 12],
  ] as const) {
    const ends = { dnat: { address: destination, port: 80 }, snat: { address: source, port: given } };
    maps.conntrack.update(
      { ...tuple(port), destination: frontend },
      { ...connection(0n), kind: CtKind.DnatAlias, ...ends },
    );
  }
  await collectConnections(maps, later);
  const left = [...maps.conntrack.entries()].map(([{ sourcePort }, { kind }]) => [sourcePort, kind]);
  assert.deepEqual(left.toSorted(), [
    [1, CtKind.Connection],
    [12, CtKind.Connection],
    [2, CtKind.DnatAlias],
  ]);
});

test('an alias that was just made waits for its connection', async () => {
  const maps = createFakeDatapathMaps();
  const alias = {
    ...connection(0n),
    kind: CtKind.SnatAlias,
    createdNs: 1000n,
    snat: { address: tuple(1).source, port: 1 },
  };
  maps.conntrackNew.update(tuple(9), alias);
  assert.equal((await collectConnections(maps, clock)).deleted, 0);
});

test('other work gets its turn between two batches, and aborting ends the collection', async () => {
  const maps = createFakeDatapathMaps();
  for (let port = 1; port <= 100; port += 1) maps.conntrack.update(tuple(port), connection(5000n));
  const controller = new AbortController();
  const collected = collectConnections(maps, clock, { batch: 10, signal: controller.signal });
  controller.abort();
  assert.equal((await collected).scanned, 10);
});
