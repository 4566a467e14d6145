import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import { type Clock, systemClock } from '@sluice/runtime';
import { type Connection, CtState, collectConnections, createFakeDatapathMaps, type Tuple } from './index.ts';

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
    revNatIndex: 0,
    state: CtState.Established,
    flags: 0,
    tcpFlags: [0, 0],
  };
}

test('a connection that expires in this nanosecond is removed, the next one stays', async () => {
  const maps = createFakeDatapathMaps();
  maps.conntrack.update(tuple(1), connection(1000n));
  maps.conntrack.update(tuple(2), connection(1001n));
  const counts = await collectConnections(maps, clock);
  assert.deepEqual([counts.deleted, counts.alive], [1, 1]);
  assert.ok(maps.conntrack.lookup(tuple(2)));
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

test('other work gets its turn between two batches, and aborting ends the collection', async () => {
  const maps = createFakeDatapathMaps();
  for (let port = 1; port <= 100; port += 1) maps.conntrack.update(tuple(port), connection(5000n));
  const controller = new AbortController();
  const collected = collectConnections(maps, clock, { batch: 10, signal: controller.signal });
  controller.abort();
  assert.equal((await collected).scanned, 10);
});
