// Many short connections: what has ended stays a while beside what has not begun yet.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packet, parseAddress, parsePacket } from '@sluice/net';
import { type Bench, createBench, gateway, pod, remotePod } from '../test/programs.ts';
import { TCP, writeService } from '../test/services.ts';
import { CtState, type Tuple } from './index.ts';

const serviceAddress = parseAddress('10.96.0.10');
const outward = packet()
  .ethernet({ source: pod.mac, destination: gateway.mac })
  .ipv4({ source: pod.ipv4, destination: serviceAddress });
const inward = packet().ethernet().ipv4({ source: remotePod.ipv4, destination: pod.ipv4 });

/** A pod and a backend of its service, whose segments are told apart by the client's port: nobody looks at their sums. */
function peersOn(bench: Bench) {
  const ports = { sourcePort: 1, destinationPort: 1 };
  const frame = (way: 'out' | 'back', flags: string) =>
    way === 'out'
      ? outward.tcp({ ...ports, destinationPort: 80, flags }).payload()
      : inward.tcp({ ...ports, sourcePort: 8080, flags }).payload();
  const frames = new Map(
    (['out', 'back'] as const).flatMap((way) =>
      ['S', 'SA', 'A', 'FA'].map((flags) => [`${way} ${flags}`, frame(way, flags)] as const),
    ),
  );
  const programs = { out: bench.program('pod_from_pod'), back: bench.program('host_from_host') };
  const send = (way: 'out' | 'back', flags: string, port: number) => {
    const data = frames.get(`${way} ${flags}`) ?? assert.fail(flags);
    new DataView(data.buffer, data.byteOffset).setUint16(way === 'out' ? 34 : 36, port);
    return parsePacket(programs[way].testRun({ data }).data ?? new Uint8Array());
  };
  return {
    send,
    begin: (port: number) => send('out', 'S', port),
    /** From the SYN to the last acknowledgement: the server ends it. */
    run(port: number) {
      send('out', 'S', port);
      send('back', 'SA', port);
      send('out', 'A', port);
      send('back', 'FA', port);
      send('out', 'FA', port);
      send('back', 'A', port);
    },
  };
}

function benchWithService(): Bench {
  const bench = createBench();
  const backends = [{ id: 1, address: remotePod.ipv4, port: 8080 }];
  writeService(bench.maps, { id: 1, address: serviceAddress, port: 80, protocol: TCP, backends });
  return bench;
}

const connectionOf = (sourcePort: number): Tuple => ({
  ...{ source: pod.ipv4, sourcePort, destination: remotePod.ipv4, destinationPort: 8080, protocol: TCP },
});

/** Rows of nobody, in the table that no flood evicts. */
function crowd({ maps: { conntrack } }: Bench): void {
  const row = conntrack.lookup(connectionOf(SAMPLE)) ?? assert.fail('no row to copy');
  const rows = Array.from({ length: conntrack.descriptor.maxEntries / 8 }, (_, number) => {
    const ports = { sourcePort: number & 0xffff, destinationPort: 1 + (number >>> 16) };
    return [{ ...connectionOf(SAMPLE), ...ports }, row] as const;
  });
  conntrack.updateBatch(rows.map(([key, value]) => [key, value]));
}

const SAMPLE = 999;
/** The connection and its alias. */
const ENTRIES_EACH = 2;

test('what has ended is still known in a flood of SYNs: a FIN that is sent again goes where the first one went', () => {
  using bench = benchWithService();
  const peers = peersOn(bench);
  const { conntrack, conntrackNew } = bench.maps;
  peers.run(SAMPLE);
  for (let port = 1_000; port < 1_000 + conntrackNew.descriptor.maxEntries; port += 1) peers.begin(port);
  assert.ok(conntrackNew.count() > 0.9 * conntrackNew.descriptor.maxEntries, 'the flood has filled its table');
  const again = peers.send('back', 'FA', SAMPLE);
  assert.equal(again.ipv4?.source, serviceAddress);
  assert.equal(peers.send('out', 'A', SAMPLE).ipv4?.destination, remotePod.ipv4);
  assert.equal(conntrack.lookup(connectionOf(SAMPLE))?.state, CtState.Closed);
});

test('where the sheltered table is an eighth full, what ends leaves it', () => {
  using bench = benchWithService();
  const peers = peersOn(bench);
  const { conntrack, conntrackNew } = bench.maps;
  peers.run(SAMPLE);
  crowd(bench);
  const before = conntrack.count();
  for (let port = 1_000; port < 1_100; port += 1) peers.run(port);
  assert.equal(conntrack.count(), before);
  assert.equal(conntrackNew.lookup(connectionOf(1_050))?.state, CtState.Closed);
});

for (const [whose, seconds, isAnswered] of [
  ['that was answered outlives the connections that end in two seconds', 2, true],
  ['that was not yet outlives those of three quarters of one', 0.75, false],
] as const) {
  test(`there a handshake ${whose}, at 3,000 a second`, () => {
    using bench = benchWithService();
    const peers = peersOn(bench);
    const { conntrack, conntrackNew } = bench.maps;
    peers.run(SAMPLE);
    crowd(bench);
    const full = conntrackNew.descriptor.maxEntries / ENTRIES_EACH;
    for (let number = 0; number < full; number += 1) peers.run(1_000 + number);
    assert.ok(conntrackNew.count() > 0.9 * conntrackNew.descriptor.maxEntries, 'they fill its table');
    const halfOpen = 500;
    peers.begin(halfOpen);
    if (isAnswered) peers.send('back', 'SA', halfOpen);
    // One that is translated on both sides has three entries.
    const ended = (3_000 * seconds * 3) / ENTRIES_EACH;
    for (let number = 0; number < ended; number += 1) peers.run(20_000 + number);
    assert.equal(conntrackNew.lookup(connectionOf(halfOpen))?.state, CtState.New);
    assert.equal(peers.send('back', 'SA', halfOpen).ipv4?.source, serviceAddress);
    assert.equal(peers.send('out', 'A', halfOpen).ipv4?.destination, remotePod.ipv4);
    assert.equal(conntrack.lookup(connectionOf(halfOpen))?.state, CtState.Established);
  });
}
