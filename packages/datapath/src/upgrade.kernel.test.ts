import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BpfMap } from '@sluice/bpf';
import { bind, internetAddress } from '@sluice/ffi';
import { addressToWire, parseAddress } from '@sluice/net';
import { installationRoot } from '@sluice/runtime';
import { type OtherVersion, otherLayouts, otherVersion } from '@sluice/testing';
import { streamDatagrams } from '../test/datagrams.ts';
import { createTestNode, dropsOf, type TestNode } from '../test/node.ts';
import type { OpenDatapathOptions } from '../test/open-datapath.ts';
import { TCP, writeService } from '../test/services.ts';
import { type TestSocket, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { connectWorld } from '../test/world.ts';
import { CtKind, type Datapath, FrontendFlag } from './index.ts';
import { beginTakeover, endTakeover } from './takeover.ts';

const other = await otherVersion(installationRoot(), otherLayouts);
after(() => other[Symbol.dispose]());

function start(version: OtherVersion, node: TestNode) {
  const options: OpenDatapathOptions = {
    namespace: node.namespace.path,
    bpffs: node.bpffs,
    cgroupPath: node.cgroupPath,
    configuration: node.configuration,
  };
  return version.start('packages/datapath/test/open-datapath.ts', [JSON.stringify(options, bigintAsText)]);
}

function bigintAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

async function upgrade(node: TestNode): Promise<string> {
  const child = start(other, node);
  assert.ok(child.stdout && child.stderr);
  const [out, error, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  assert.equal(status, 0, error);
  return out;
}

function mapsOf(node: TestNode): Map<string, number> {
  const folder = join(node.bpffs, 'sluice', 'maps');
  return new Map(
    readdirSync(folder)
      .sort()
      .map((name) => {
        using map = BpfMap.openPinned(join(folder, name));
        return [name, map.info.id];
      }),
  );
}

/** Both ways: the server speaks first, and its segments need the translation that is in the table. */
function exchange(client: TestSocket, server: TestSocket, words: string): void {
  server.send(`to the client: ${words}`);
  assert.equal(client.receive(), `to the client: ${words}`);
  client.send(`to the server: ${words}`);
  assert.equal(server.receive(), `to the server: ${words}`);
}

function connection(node: TestNode) {
  using stack = new DisposableStack();
  const world = stack.use(connectWorld(node));
  const pod = node.addPod(10, 1000);
  const listener = stack.use(tcpServer(world, world.addresses.ipv4, 80));
  const client = stack.use(tcpSocket(pod, 4));
  client.connect(world.addresses.ipv4, 80);
  const accepted = listener.accept();
  assert.ok(accepted);
  const server = stack.use(accepted);
  const owned = stack.move();
  return { world, pod, client, server, [Symbol.dispose]: () => owned.dispose() };
}

test('an upgrade to maps of another layout, and the way back, lose no connection and no datagram', async () => {
  using node = createTestNode(1);
  using connected = connection(node);
  const { world, pod, client, server } = connected;
  exchange(client, server, 'before');
  await using stream = await streamDatagrams(pod, world, { address: world.addresses.ipv4, port: 53 });
  const tcpConnection = ({ maps: { conntrack } }: Datapath) =>
    [...conntrack.entries()].find(([{ protocol }, { kind }]) => protocol === 6 && kind === CtKind.Connection);
  const before = tcpConnection(node.datapath);
  const maps = mapsOf(node);

  const said = await upgrade(node);
  assert.match(said, /map conntrack has another layout now: \d+ rows taken over\n/);
  assert.match(said, /map endpoints has another layout now: \d+ rows taken over\n/);
  exchange(client, server, 'another version');
  const changed = mapsOf(node);
  assert.deepEqual([...changed.keys()], [...maps.keys()]);
  const different = [...changed].flatMap(([name, id]) => (maps.get(name) === id ? [] : [name]));
  assert.deepEqual(different, ['connection_drafts', 'conntrack', 'conntrack_new', 'endpoints']);

  using again = node.openDatapath();
  exchange(client, server, 'and back');
  const kept = tcpConnection(again);
  assert.ok(before && kept);
  assert.deepEqual(kept[0], before[0]);
  assert.equal(kept[1].createdNs, before[1].createdNs);
  assert.deepEqual(kept[1].snat, before[1].snat);
  assert.deepEqual(new Map([...again.maps.endpoints.entries()]), new Map([...node.datapath.maps.endpoints.entries()]));
  assert.deepEqual(again.unpinned(), []);
  const { sent, received } = await stream.end();
  assert.equal(received, sent);
  assert.deepEqual(dropsOf(node), {});
});

test('an upgrade that is killed at any point is gone on with', async () => {
  using node = createTestNode(1);
  using connected = connection(node);
  const { client, server } = connected;
  const maps = mapsOf(node);
  const started = performance.now();
  await upgrade(node);
  const took = performance.now() - started;
  node.openDatapath()[Symbol.dispose]();
  for (let part = 1; part <= 4; part += 1) {
    const child = start(other, node);
    const exit = once(child, 'exit');
    await sleep((took * (part + 5)) / 10);
    child.kill('SIGKILL');
    await exit;
    exchange(client, server, `killed after ${part} parts`);
    // Now and then this version starts again upon what is left.
    if (part === 2) node.openDatapath()[Symbol.dispose]();
  }
  await upgrade(node);
  exchange(client, server, 'whole');
  assert.deepEqual([...mapsOf(node).keys()], [...maps.keys()]);
  using again = node.openDatapath();
  exchange(client, server, 'and back');
  assert.deepEqual(again.unpinned(), []);
  assert.deepEqual([...mapsOf(node).keys()], [...maps.keys()]);
});

/** As where it began between the first copy of the tables and the change of the programs. */
function forgetConnections({ conntrack, conntrackNew }: Datapath['maps']): Disposable {
  const taken = [conntrack, conntrackNew].map((table) => ({ table, rows: [...table.entries()] }));
  for (const { table, rows } of taken) for (const [tuple] of rows) table.delete(tuple);
  return {
    [Symbol.dispose]() {
      for (const { table, rows } of taken) for (const [tuple, row] of rows) table.update(tuple, row);
    },
  };
}

for (const [who, isTakenOver] of [
  ['whose row comes late in an upgrade waits for it', true],
  ['that is forgotten at any other time is ended', false],
] as const) {
  test(`a connection ${who}`, async () => {
    using node = createTestNode(1);
    using connected = connection(node);
    const { client, server } = connected;
    const { maps } = node.datapath;
    exchange(client, server, 'before');
    const soonNs = process.hrtime.bigint() + 10_000_000_000n;
    if (isTakenOver) maps.takeovers.update(0, { strictNs: soonNs, untilNs: soonNs });
    {
      using _forgotten = forgetConnections(maps);
      server.send('to the client');
      client.send('to the server');
      // Longer than it takes until the first of them is sent again.
      await sleep(500);
    }
    maps.takeovers.update(0, { strictNs: 0n, untilNs: 0n });
    if (isTakenOver) {
      assert.equal(client.receive(), 'to the client');
      assert.equal(server.receive(), 'to the server');
      const { tables_taken_over: dropped = 0, ...others } = dropsOf(node);
      assert.ok(dropped >= 3, `${dropped} packets were dropped`);
      assert.deepEqual(others, {});
    } else {
      assert.throws(() => server.receive(), { code: 'ECONNRESET' });
    }
  });
}

test('an answer of the node’s own process for a service waits for its row', async () => {
  using node = createTestNode(1);
  using world = connectWorld(node);
  const { maps } = node.datapath;
  const [address, any] = [world.nodeAddresses.ipv4, parseAddress('0.0.0.0')];
  const backends = [{ id: 1, address, port: 8080 }];
  writeService(maps, { id: 1, address: any, port: 30_080, protocol: TCP, flags: FrontendFlag.External, backends });
  using listener = tcpServer(node, address, 8080);
  using client = tcpSocket(world, 4);
  client.connect(address, 30_080);
  using server = listener.accept();
  assert.ok(server);
  exchange(client, server, 'before');
  using other = tcpServer(world, world.addresses.ipv4, 80);
  using own = tcpSocket(node, 4);
  own.connect(world.addresses.ipv4, 80);
  using others = other.accept();
  assert.ok(others);
  const soonNs = process.hrtime.bigint() + 10_000_000_000n;
  maps.takeovers.update(0, { strictNs: soonNs, untilNs: soonNs });
  {
    using _forgotten = forgetConnections(maps);
    server.send('to the client');
    exchange(own, others, 'what the node has begun itself does not wait');
    await sleep(500);
  }
  maps.takeovers.update(0, { strictNs: 0n, untilNs: 0n });
  assert.equal(client.receive(), 'to the client');
  exchange(client, server, 'afterwards');
  const { tables_taken_over: dropped = 0, ...rest } = dropsOf(node);
  assert.ok(dropped >= 1, `${dropped} packets were dropped`);
  assert.deepEqual(rest, {});
});

test('former programs and new ones give sources no port twice while both do, and each again afterwards', () => {
  using node = createTestNode(1);
  using world = connectWorld(node);
  const pod = node.addPod(10, 1000);
  const { maps } = node.datapath;
  using server = udpServer(world, world.addresses.ipv4, 53);
  let clientPort = 41_000;
  /** Whether each of some clients was given an odd port. */
  const oddPorts = () =>
    Array.from({ length: 20 }, () => {
      using client = udpSocket(pod, 4);
      // One that had the same port before would keep what it was given.
      clientPort += 1;
      bind(client.fd, internetAddress(addressToWire(pod.addresses.ipv4), clientPort));
      client.connect(world.addresses.ipv4, 53);
      client.send('who am I?');
      const received = server.receiveFrom();
      received?.reply('you are');
      assert.equal(client.receive(), 'you are');
      return Number(/\d+$/.exec(received?.from ?? '')?.[0]) % 2 === 1;
    });
  const soonNs = process.hrtime.bigint() + 10_000_000_000n;
  maps.takeovers.update(0, { strictNs: soonNs, untilNs: soonNs });
  assert.deepEqual(new Set(oddPorts()), new Set([true]));
  beginTakeover(maps);
  assert.deepEqual(new Set(oddPorts()), new Set([false]));
  endTakeover(maps);
  assert.deepEqual(new Set(oddPorts()), new Set([true, false]));
  assert.deepEqual(
    [...maps.conntrack.entries()].filter(([{ protocol }]) => protocol === 0),
    [],
  );
  assert.deepEqual(dropsOf(node), {});
});

test('while an upgrade is in the midst for long, nobody begins a connection; soon after it he does', async () => {
  using node = createTestNode(1);
  using world = connectWorld(node);
  const pod = node.addPod(10, 1000);
  using listener = tcpServer(world, world.addresses.ipv4, 80);
  const { takeovers } = node.datapath.maps;
  const now = process.hrtime.bigint();
  takeovers.update(0, { strictNs: now + 60_000_000_000n, untilNs: now + 90_000_000_000n });
  using early = tcpSocket(pod, 4);
  early.connect(world.addresses.ipv4, 80);
  using first = listener.accept();
  assert.ok(first);
  takeovers.update(0, { strictNs: now, untilNs: process.hrtime.bigint() + 500_000_000n });
  using late = tcpSocket(pod, 4);
  // It waits for a second, and its SYN is sent again then.
  assert.throws(() => late.connect(world.addresses.ipv4, 80), { code: 'EINPROGRESS' });
  using second = listener.accept();
  assert.ok(second);
  exchange(late, second, 'after all');
  assert.deepEqual(dropsOf(node), { tables_taken_over: 1 });
});
