import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { isSystemError } from '@sluice/ffi';
import { packet, parseAddress } from '@sluice/net';
import type { Flood } from '../test/flooder.ts';
import { createTestNode, dropsOf } from '../test/node.ts';
import { TCP, writeService } from '../test/services.ts';
import { type TestSocket, tcpServer, tcpSocket } from '../test/sockets.ts';
import { connectWorld } from '../test/world.ts';
import { CtState, FrontendFlag } from './index.ts';

const NODE_PORT = 30_080;
/** Six times what the table of new connections holds. */
const SYNS = 100_000;
const IDLE = 100;

const node = createTestNode(1);
const world = connectWorld(node);
const pod = node.addPod(10, 1000);
after(() => {
  world[Symbol.dispose]();
  node[Symbol.dispose]();
});

/** Client and server ends of connections that say nothing until asked. */
function connections(count: number, connect: () => TestSocket, listener: TestSocket, stack: DisposableStack) {
  return Array.from({ length: count }, () => {
    const client = stack.use(connect());
    const server = listener.accept();
    assert.ok(server);
    return [client, stack.use(server)] as const;
  });
}

function exchange(client: TestSocket, server: TestSocket, word: string): void {
  server.send(word);
  assert.equal(client.receive(), word);
  client.send(word);
  assert.equal(server.receive(), word);
}

test('a flood of SYNs from clients that do not exist evicts no established connection, and new ones come through', async () => {
  using stack = new DisposableStack();
  writeService(node.datapath.maps, {
    ...{ id: 1, address: parseAddress('0.0.0.0'), port: NODE_PORT, protocol: TCP, flags: FrontendFlag.External },
    backends: [{ id: 1, address: pod.addresses.ipv4, port: 8080 }],
  });
  const inside = stack.use(tcpServer(pod, pod.addresses.ipv4, 8080));
  const outside = stack.use(tcpServer(world, world.addresses.ipv4, 80));
  const fromOutside = () => {
    const socket = tcpSocket(world, 4);
    socket.connect(world.nodeAddresses.ipv4, NODE_PORT);
    return socket;
  };
  const toOutside = () => {
    const socket = tcpSocket(pod, 4);
    socket.connect(world.addresses.ipv4, 80);
    return socket;
  };
  const idle = [...connections(IDLE, fromOutside, inside, stack), ...connections(IDLE, toOutside, outside, stack)];
  for (const [client, server] of idle) exchange(client, server, 'before');

  const state = new Int32Array(new SharedArrayBuffer(8));
  const flood: Flood = {
    namespace: world.namespace.path,
    ifindex: world.wanIfindex,
    frame: packet()
      .ethernet({ source: world.mac, destination: world.nodeMac })
      .ipv4({ source: parseAddress('198.18.0.1'), destination: world.nodeAddresses.ipv4, identification: 65_000 })
      .tcp({ sourcePort: 65_000, destinationPort: NODE_PORT, flags: 'S', sequence: 65_000 * 65_536 })
      .payload(),
    count: SYNS,
    state,
  };
  const worker = new Worker(new URL('../test/flooder.ts', import.meta.url), { workerData: flood });
  const done = once(worker, 'message') as Promise<[number]>;
  let [tried, made] = [0, 0];
  while (Atomics.load(state, 1) < SYNS) {
    await turn();
    if (Atomics.load(state, 1) === 0) continue;
    tried += 1;
    try {
      using client = toOutside();
      using server = outside.accept();
      if (server === undefined) continue;
      exchange(client, server, 'meanwhile');
      made += 1;
    } catch (error) {
      if (!isSystemError(error) && !(error instanceof assert.AssertionError)) throw error;
    }
  }
  assert.deepEqual(await done, [SYNS]);
  // It was met by the programs: the table of what is not yet established is full of it.
  const begun = node.datapath.maps.conntrackNew;
  assert.ok(begun.count() > 0.9 * begun.descriptor.maxEntries, `${begun.count()} rows`);
  await worker.terminate();
  assert.ok(tried > 20, `${tried} connections were tried meanwhile`);
  assert.ok(made >= 0.95 * tried, `${made} of ${tried} new connections came through`);
  for (const [client, server] of idle) exchange(client, server, 'afterwards');
  const established = [...node.datapath.maps.conntrack.entries()].filter(
    ([, connection]) => connection.state === CtState.Established,
  );
  assert.ok(established.length >= 2 * IDLE, `${established.length} established connections are remembered`);
  assert.deepEqual(dropsOf(node), {});
});
