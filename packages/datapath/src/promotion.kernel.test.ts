// Entries that move from one table into the other while packets look for them.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Address, packet, parseAddress } from '@sluice/net';
import { compileBpf } from '@sluice/testing';
import { type Bench, createBench, gateway, neighbour, pod, remotePod } from '../test/programs.ts';
import { TCP, writeService } from '../test/services.ts';
import { CtFlag, CtKind, CtState, type Tuple } from './index.ts';

const serviceAddress = parseAddress('10.96.0.10');
const ports = { sourcePort: 4711, destinationPort: 80 };
/** CONNTRACK_ONE_WAY_MAX of bpf/lib/limits.h. */
const oneWayMax = 65_536;
const interrupted = compileBpf(join(import.meta.dirname, '../test/promoted-meanwhile.bpf.c'));

/** Of the pod, to anybody. */
function segment(destination: Address, flags: string): Uint8Array {
  return packet()
    .ethernet({ source: pod.mac, destination: gateway.mac })
    .ipv4({ source: pod.ipv4, destination })
    .tcp({ ...ports, flags })
    .payload();
}

function answer(bench: Bench, from: Address, sourcePort: number): void {
  const bytes = packet()
    .ethernet()
    .ipv4({ source: from, destination: pod.ipv4 })
    .tcp({ sourcePort, destinationPort: ports.sourcePort, flags: 'SA' })
    .payload();
  assert.equal(bench.run('host_from_host', bytes).action, 'redirect');
}

/** What is promoted while a packet looks for it. */
function beginAndInterrupt(destination: Address, flags: string) {
  using stack = new DisposableStack();
  const bench = stack.use(createBench());
  // So many that no second choice is the first one again.
  const backends = Array.from({ length: 200 }, (_, index) => ({
    ...{ id: index + 1, address: neighbour.ipv4, port: 8_000 + index },
  }));
  writeService(bench.maps, { id: 1, address: serviceAddress, port: 80, protocol: TCP, backends });
  const { packet: first } = bench.run('pod_from_pod', segment(destination, 'S'));
  const port = first.tcp?.destinationPort ?? 0;
  answer(bench, parseAddress(first.ipv4?.destination ?? ''), port);
  const outcome = bench.run(bench.programOf(interrupted, 'pod_from_pod'), segment(destination, flags));
  const owned = stack.move();
  return { bench, port, outcome, [Symbol.dispose]: () => owned.dispose() };
}

test('a packet that looks for its service’s backend while that is promoted goes to the same one', () => {
  using begun = beginAndInterrupt(serviceAddress, 'A');
  const { bench, port, outcome } = begun;
  assert.equal(outcome.packet.tcp?.destinationPort, port);
  const tuple: Tuple = {
    ...{ source: pod.ipv4, sourcePort: ports.sourcePort, destination: neighbour.ipv4, destinationPort: port },
    protocol: TCP,
  };
  assert.deepEqual(bench.maps.conntrack.lookup(tuple)?.packets, [2n, 1n]);
  assert.equal(bench.maps.conntrackNew.count(), 0);
});

test('a packet whose connection is promoted meanwhile begins no other one', () => {
  // Of an established one it would be found before.
  using begun = beginAndInterrupt(remotePod.ipv4, 'FA');
  const { bench, outcome } = begun;
  assert.deepEqual([outcome.action, outcome.traces.map(({ state }) => state)], ['redirect', [CtState.Closing]]);
  const tuple: Tuple = { source: pod.ipv4, destination: remotePod.ipv4, ...ports, protocol: TCP };
  assert.deepEqual(bench.maps.conntrack.lookup(tuple)?.packets, [2n, 1n]);
  assert.equal(bench.maps.conntrackNew.count(), 0);
});

test('of an entry that stands in both tables the promoted one is kept, as it is the one that is found', () => {
  using bench = createBench();
  const { conntrack, conntrackNew } = bench.maps;
  const backend = { id: 1, address: neighbour.ipv4, port: 8_000 };
  writeService(bench.maps, { id: 1, address: serviceAddress, port: 80, protocol: TCP, backends: [backend] });
  bench.run('pod_from_pod', segment(serviceAddress, 'S'));
  const alias: Tuple = { source: pod.ipv4, destination: serviceAddress, ...ports, protocol: TCP };
  const begun = conntrackNew.lookup(alias) ?? assert.fail('no alias');
  conntrack.update(alias, begun);
  conntrackNew.update(alias, { ...begun, dnat: { address: remotePod.ipv4, port: 1 } });
  answer(bench, neighbour.ipv4, backend.port);
  const { packet: last } = bench.run('pod_from_pod', segment(serviceAddress, 'A'));
  assert.equal(last.tcp?.destinationPort, backend.port);
  assert.deepEqual(conntrack.lookup(alias)?.dnat, begun.dnat);
  assert.equal(conntrackNew.lookup(alias), undefined);
});

test('connections of which one side is seen leave half of the table to the others', () => {
  using bench = createBench();
  const { conntrack, conntrackNew } = bench.maps;
  bench.run('pod_from_pod', segment(remotePod.ipv4, 'S'));
  const tuple: Tuple = { source: pod.ipv4, destination: remotePod.ipv4, ...ports, protocol: TCP };
  const begun = conntrackNew.lookup(tuple) ?? assert.fail('no connection');
  conntrackNew.update(tuple, { ...begun, flags: CtFlag.OneWay });
  const others = Array.from({ length: oneWayMax + 1 }, (_, index): [Tuple, typeof begun] => [
    { ...tuple, sourcePort: index & 0xffff, destinationPort: 443 + (index >> 16) },
    begun,
  ]);
  conntrack.updateBatch(others);
  bench.run('pod_from_pod', segment(remotePod.ipv4, 'A'));
  assert.deepEqual([conntrackNew.lookup(tuple)?.state, conntrack.lookup(tuple)], [CtState.Established, undefined]);
  conntrack.deleteBatch(others.slice(0, 1).map(([other]) => other));
  bench.run('pod_from_pod', segment(remotePod.ipv4, 'A'));
  assert.equal(conntrack.lookup(tuple)?.state, CtState.Established);
});

test('a connection whose alias for answers was given up is promoted when it has one again', () => {
  using bench = createBench();
  const { conntrack, conntrackNew } = bench.maps;
  bench.run('pod_from_pod', segment(remotePod.ipv4, 'S'));
  answer(bench, remotePod.ipv4, ports.destinationPort);
  const client = { address: pod.ipv4, port: ports.sourcePort };
  const seenAs = { address: parseAddress('10.10.30.1'), port: 40_000 };
  const tuple: Tuple = { source: pod.ipv4, destination: remotePod.ipv4, ...ports, protocol: TCP };
  const begun = conntrackNew.lookup(tuple) ?? assert.fail('no connection');
  conntrackNew.update(tuple, { ...begun, snat: seenAs });
  bench.run('pod_from_pod', segment(remotePod.ipv4, 'A'));
  assert.equal(conntrack.count(), 0);
  assert.equal(conntrackNew.lookup(tuple)?.state, CtState.Established);
  const alias: Tuple = {
    ...{ source: remotePod.ipv4, sourcePort: ports.destinationPort },
    ...{ destination: seenAs.address, destinationPort: seenAs.port, protocol: TCP },
  };
  conntrackNew.update(alias, { ...begun, kind: CtKind.SnatAlias, snat: client });
  bench.run('pod_from_pod', segment(remotePod.ipv4, 'A'));
  assert.deepEqual([conntrack.lookup(tuple)?.snat, conntrack.lookup(alias)?.snat], [seenAs, client]);
  assert.equal(conntrackNew.count(), 0);
});
