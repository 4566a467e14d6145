import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Address, parseAddress } from '@sluice/net';
import { connectNodes, createTestNode, dropsOf } from '../test/node.ts';
import { setOffload } from '../test/offloads.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { connectWorld } from '../test/world.ts';
import { FrameDeviceFlag, FrameWay, FrontendFlag } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
const TARGET_PORT = 8080;
const unspecified = { ipv4: parseAddress('0.0.0.0'), ipv6: parseAddress('::') } as const;

const one = createTestNode(1);
const other = createTestNode(2);
connectNodes(one, other);
const world = connectWorld(one);
const there = other.addPod(10, 1001);
after(() => {
  world[Symbol.dispose]();
  one[Symbol.dispose]();
  other[Symbol.dispose]();
});

// The wire has whole checksums; and a veth takes frames where its other end merges.
world.run(() => setOffload('wan', 'transmitChecksums', false));
world.run(() => setOffload('wan', 'receiveMerging', true));
other.run(() => setOffload('lan0', 'transmitChecksums', false));
other.run(() => setOffload('lan0', 'receiveMerging', true));
for (const device of [world.device, 'lan0']) {
  const ifindex = one.netlink.links.get(device)?.ifindex ?? 0;
  one.datapath.maps.frameDevices.update(ifindex, FrameDeviceFlag.Returns | FrameDeviceFlag.Takes);
  one.run(() => one.datapath.attachXdp(device, { ifindex, mode: 'native' }));
}

let numbers = 0;

function serve(row: Address, protocol: number, backend: Address): number {
  numbers += 1;
  const port = 30_000 + numbers;
  writeService(one.datapath.maps, {
    ...{ id: numbers, address: row, port, protocol, flags: FrontendFlag.External, generation: numbers },
    backends: [{ id: numbers, address: backend, port: TARGET_PORT }],
  });
  return port;
}

function framesBy(way: number): number {
  const counters = one.datapath.maps.frameCounters.lookup(way) ?? [];
  return counters.reduce((sum, { packets }) => sum + Number(packets), 0);
}

for (const [version, family] of families) {
  test(`a connection from the world to a pod of another node goes by XDP once it is there (${family})`, () => {
    const port = serve(unspecified[family], TCP, there.addresses[family]);
    using server = tcpServer(there, there.addresses[family], TARGET_PORT);
    using client = tcpSocket(world, version);
    client.connect(world.nodeAddresses[family], port);
    using accepted = server.accept();
    const before = [framesBy(FrameWay.Tunnel), framesBy(FrameWay.World)];
    for (let round = 0; round < 50; round += 1) {
      client.send(`request ${round}`);
      assert.equal(accepted?.receive(), `request ${round}`);
      accepted?.send(`answer ${round}`);
      assert.equal(client.receive(), `answer ${round}`);
    }
    const [tunnel = 0, back = 0] = before;
    assert.ok(framesBy(FrameWay.Tunnel) - tunnel >= 40, `${framesBy(FrameWay.Tunnel) - tunnel}`);
    assert.ok(framesBy(FrameWay.World) - back >= 40, `${framesBy(FrameWay.World) - back}`);
    assert.deepEqual(dropsOf(one), {});
    assert.deepEqual(dropsOf(other), {});
  });

  test(`datagrams go by XDP from the second on (${family})`, () => {
    const port = serve(unspecified[family], UDP, there.addresses[family]);
    using server = udpServer(there, there.addresses[family], TARGET_PORT);
    using client = udpSocket(world, version);
    client.connect(world.nodeAddresses[family], port);
    const before = framesBy(FrameWay.Tunnel) + framesBy(FrameWay.World);
    for (let round = 0; round < 50; round += 1) {
      client.send(`request ${round}`);
      const received = server.receiveFrom();
      assert.equal(received?.text, `request ${round}`);
      received?.reply(`answer ${round}`);
      assert.equal(client.receive(), `answer ${round}`);
    }
    assert.ok(framesBy(FrameWay.Tunnel) + framesBy(FrameWay.World) - before >= 90);
  });
}
