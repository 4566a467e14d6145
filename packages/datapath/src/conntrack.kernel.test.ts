import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packet } from '@sluice/net';
import { type Clock, systemClock } from '@sluice/runtime';
import { type Bench, createBench, gateway, neighbour, pod, remotePod } from '../test/programs.ts';
import { TCP, UDP } from '../test/services.ts';
import { CtKind, CtState, collectConnections, DropReason, type Tuple } from './index.ts';

const SECOND_NS = 1_000_000_000n;

const tuple: Tuple = {
  source: pod.ipv4,
  destination: remotePod.ipv4,
  sourcePort: 4711,
  destinationPort: 80,
  protocol: TCP,
};

const outward = packet()
  .ethernet({ source: pod.mac, destination: gateway.mac })
  .ipv4({ source: pod.ipv4, destination: remotePod.ipv4 });
const inward = packet().ethernet().ipv4({ source: remotePod.ipv4, destination: pod.ipv4 });

/** A segment of the connection: from the pod, or back; back it comes by the host, which needs no tunnel. */
function segment(bench: Bench, way: 'out' | 'back', flags: string): void {
  const ports = { sourcePort: 4711, destinationPort: 80 };
  if (way === 'out') bench.run('pod_from_pod', outward.tcp({ ...ports, flags }).payload());
  else bench.run('host_from_host', inward.tcp({ sourcePort: 80, destinationPort: 4711, flags }).payload());
}

function handshake(bench: Bench): void {
  segment(bench, 'out', 'S');
  segment(bench, 'back', 'SA');
  segment(bench, 'out', 'A');
}

function secondsLeft(expiresNs: bigint): number {
  return Math.round(Number(expiresNs - systemClock.monotonicNs()) / Number(SECOND_NS));
}

function assertNear(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 5, `${actual} s, not about ${expected} s`);
}

test('a TCP connection moves to the safe table when its handshake is done', () => {
  using bench = createBench();
  const { conntrack, conntrackNew } = bench.maps;
  segment(bench, 'out', 'S');
  segment(bench, 'back', 'SA');
  assert.equal(conntrack.count(), 0);
  const fresh = conntrackNew.lookup(tuple);
  assert.equal(fresh?.state, CtState.New);
  assertNear(secondsLeft(fresh?.expiresNs ?? 0n), 60);
  segment(bench, 'out', 'A');
  assert.equal(conntrackNew.count(), 0);
  const established = conntrack.lookup(tuple);
  assert.equal(established?.state, CtState.Established);
  assertNear(secondsLeft(established?.expiresNs ?? 0n), 8000);
  assert.deepEqual(established?.packets, [2n, 1n]);
  assert.equal(established?.sourceIdentity, pod.identity);
});

test('FINs of both sides, or a reset, end a connection within seconds; half closed it may wait for an hour', () => {
  for (const [ending, state, seconds] of [
    [[['out', 'FA']], CtState.Closing, 3600],
    [
      [
        ['out', 'FA'],
        ['back', 'FA'],
      ],
      CtState.Closed,
      10,
    ],
    [[['back', 'R']], CtState.Closed, 10],
  ] as const) {
    using bench = createBench();
    handshake(bench);
    for (const [way, flags] of ending) segment(bench, way, flags);
    const connection = bench.maps.conntrack.lookup(tuple);
    assert.equal(bench.maps.conntrackNew.lookup(tuple), undefined);
    assert.equal(connection?.state, state);
    assertNear(secondsLeft(connection?.expiresNs ?? 0n), seconds);
  }
});

test('a SYN on a closed connection begins a new one', () => {
  using bench = createBench();
  handshake(bench);
  segment(bench, 'out', 'R');
  segment(bench, 'out', 'S');
  assert.equal(bench.maps.conntrack.lookup(tuple), undefined);
  assert.deepEqual(bench.maps.conntrackNew.lookup(tuple)?.packets, [1n, 0n]);
});

test('a reset whose sender speaks on was forged, and ends nothing', () => {
  using bench = createBench();
  const { conntrack, conntrackNew } = bench.maps;
  const connection = () => conntrack.lookup(tuple) ?? conntrackNew.lookup(tuple);
  handshake(bench);
  segment(bench, 'back', 'R');
  segment(bench, 'out', 'PA');
  assert.equal(connection()?.state, CtState.Closed, 'the other side may not know yet');
  assertNear(secondsLeft(connection()?.expiresNs ?? 0n), 10);
  segment(bench, 'back', 'PA');
  assert.equal(connection()?.state, CtState.Established);
  assertNear(secondsLeft(connection()?.expiresNs ?? 0n), 8000);
  assert.ok(conntrack.lookup(tuple), 'and it is where no flood can evict it, again');
});

test('UDP and ICMP echo move to the safe table with the first reply', () => {
  using bench = createBench();
  const { conntrack, conntrackNew } = bench.maps;
  const ports = { sourcePort: 4711, destinationPort: 53 };
  bench.run('pod_from_pod', outward.udp(ports).payload());
  bench.run('pod_from_pod', outward.icmp({ identifier: 7 }).payload());
  assert.deepEqual([conntrackNew.count(), conntrack.count()], [2, 0]);
  bench.run('host_from_host', inward.udp({ sourcePort: 53, destinationPort: 4711 }).payload());
  bench.run('host_from_host', inward.icmp({ type: 0, identifier: 7 }).payload());
  assert.deepEqual([conntrackNew.count(), conntrack.count()], [0, 2]);
  const datagrams = conntrack.lookup({ ...tuple, protocol: UDP, destinationPort: 53 });
  assertNear(secondsLeft(datagrams?.expiresNs ?? 0n), 60);
});

test('an ICMP error belongs to the connection that it is about', () => {
  using bench = createBench();
  handshake(bench);
  const quoted = outward.tcp({ sourcePort: 4711, destinationPort: 80, flags: 'A' }).payload().slice(14);
  const error = inward.icmp({ type: 3, code: 4 }).payload(quoted);
  assert.equal(bench.run('host_from_host', error).action, 'redirect');
  assert.deepEqual(bench.maps.conntrack.lookup(tuple)?.packets, [2n, 2n]);
  assert.equal(bench.maps.conntrackNew.count(), 0);
});

test('an established connection survives a flood of new ones', () => {
  using bench = createBench();
  handshake(bench);
  const { conntrack, conntrackNew } = bench.maps;
  const flood = conntrackNew.descriptor.maxEntries + 2000;
  const bytes = outward.tcp({ flags: 'S' }).payload();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let number = 0; number < flood; number += 1) {
    view.setUint16(34, 1024 + (number % 60_000));
    view.setUint16(36, 1 + Math.floor(number / 60_000));
    bench.program('pod_from_pod').testRun({ data: bytes });
  }
  assert.ok(conntrackNew.count() > conntrackNew.descriptor.maxEntries / 2);
  assert.equal(conntrack.lookup(tuple)?.state, CtState.Established);
});

test('a connection that finds the safe table full goes on, evictable, and its packets are counted', () => {
  using bench = createBench();
  const { conntrack, conntrackNew } = bench.maps;
  const row = { expiresNs: 0n, createdNs: 0n, packets: [0n, 0n], bytes: [0n, 0n], sourceIdentity: 0 };
  const none = { address: undefined, port: 0 };
  const translations = { backendId: 0, generation: 0, dnat: none, snat: none, kind: CtKind.Connection };
  const other = {
    destinationIdentity: 0,
    ...translations,
    state: CtState.Established,
    tcpFlags: [0, 0],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
  };
  const rows = Array.from({ length: conntrack.descriptor.maxEntries }, (_, number) => {
    const ports = { sourcePort: number & 0xffff, destinationPort: number >>> 16 };
    return [
      { ...tuple, protocol: UDP, ...ports },
      { ...row, ...other },
    ] as const;
  });
  conntrack.updateBatch(rows.map(([key, value]) => [key, value]));
  handshake(bench);
  assert.equal(conntrack.lookup(tuple), undefined);
  assert.equal(conntrackNew.lookup(tuple)?.state, CtState.Established);
  segment(bench, 'back', 'A');
  assert.deepEqual(conntrackNew.lookup(tuple)?.packets, [2n, 2n]);
  assert.equal(untracked(bench, 'egress'), 1);
  assert.equal(untracked(bench, 'ingress'), 1);
});

function untracked(bench: Bench, direction: keyof typeof directions): number {
  const counters = bench.maps.counters.lookup({ reason: DropReason.CtCreateFailed, direction: directions[direction] });
  return (counters ?? []).reduce((sum, { packets }) => sum + Number(packets), 0);
}

const directions = { ingress: 0, egress: 1 } as const;

test('a fragment belongs to the connection of its first one', () => {
  using bench = createBench();
  const datagram = { source: pod.ipv4, destination: neighbour.ipv4, identification: 7, protocol: UDP };
  const frame = packet().ethernet({ source: pod.mac, destination: gateway.mac });
  const later = frame.ipv4({ ...datagram, fragmentOffset: 64 }).payload('later part');
  const first = frame
    .ipv4({ ...datagram, moreFragments: true })
    .udp({ sourcePort: 4711, destinationPort: 53, length: 600 })
    .payload('x'.repeat(56));
  for (const part of [first, later]) assert.equal(bench.run('pod_from_pod', part).action, 'redirect');
  const key = { source: pod.ipv4, destination: neighbour.ipv4, sourcePort: 4711, destinationPort: 53, protocol: UDP };
  assert.deepEqual(bench.maps.conntrackNew.lookup(key)?.packets, [2n, 0n]);
});

test('an expired connection counts as absent for the next packet', () => {
  using bench = createBench();
  handshake(bench);
  const connection = bench.maps.conntrack.lookup(tuple);
  assert.ok(connection);
  bench.maps.conntrack.update(tuple, { ...connection, expiresNs: 1n });
  segment(bench, 'out', 'A');
  assert.equal(bench.maps.conntrack.lookup(tuple), undefined);
  assert.deepEqual(bench.maps.conntrackNew.lookup(tuple)?.packets, [1n, 0n]);
});

test('collection in the kernel removes what has expired, keeps the rest, and tells the fill', async () => {
  using bench = createBench();
  handshake(bench);
  for (let port = 1; port <= 500; port += 1) {
    bench.run('pod_from_pod', outward.tcp({ sourcePort: port }).payload());
  }
  const later: Clock = { ...systemClock, monotonicNs: () => systemClock.monotonicNs() + 100n * SECOND_NS };
  const before = await collectConnections(bench.maps, systemClock, { batch: 64 });
  assert.deepEqual([before.scanned, before.deleted, before.alive, before.established], [501, 0, 501, 1]);
  const counts = await collectConnections(bench.maps, later, { batch: 64 });
  assert.deepEqual([counts.scanned, counts.deleted, counts.alive, counts.established], [501, 500, 1, 1]);
  assert.equal(counts.fill, 1 / bench.maps.conntrack.descriptor.maxEntries);
  assert.ok(bench.maps.conntrack.lookup(tuple));
});

test('each change of a connection is traced once, with what has gone through it', () => {
  using bench = createBench();
  const states = (way: 'out' | 'back', flags: string) => {
    const ports = { sourcePort: 4711, destinationPort: 80 };
    const { traces } =
      way === 'out'
        ? bench.run('pod_from_pod', outward.tcp({ ...ports, flags }).payload())
        : bench.run('host_from_host', inward.tcp({ sourcePort: 80, destinationPort: 4711, flags }).payload());
    return traces.map(({ state, packets }) => [state, packets] as const);
  };
  assert.deepEqual(states('out', 'S'), [[CtState.New, [1, 0]]]);
  assert.deepEqual(states('back', 'SA'), []);
  assert.deepEqual(states('out', 'A'), [[CtState.Established, [2, 1]]]);
  assert.deepEqual(states('out', 'PA'), []);
  assert.deepEqual(states('out', 'FA'), [[CtState.Closing, [4, 1]]]);
  assert.deepEqual(states('back', 'FA'), [[CtState.Closed, [4, 2]]]);
  assert.deepEqual(states('out', 'A'), []);
});
