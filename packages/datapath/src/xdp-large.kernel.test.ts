import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import type { Netlink } from '@sluice/netlink';
import { connectNodes, createTestNode, dropsOf } from '../test/node.ts';
import { UDP, writeService } from '../test/services.ts';
import { udpServer, udpSocket } from '../test/sockets.ts';
import { connectWorld } from '../test/world.ts';
import { accelerate, prepareCable } from '../test/xdp.ts';
import { FrameWay, FrontendFlag } from './index.ts';

const MTU = 9_000;
const TUNNEL_BYTES = 50;
const PORT = 30_001;
const TARGET_PORT = 8080;

function setMtu(netlink: Netlink, name: string, mtu: number): void {
  const link = netlink.links.get(name);
  if (link === undefined) throw new Error(`no device ${name}`);
  netlink.links.set({ ifindex: link.ifindex, mtu });
}

// Nobody in it has been told of a smaller size before.
test('packets of an MTU of 9000, which lie in several buffers, go by XDP', () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  connectNodes(one, other);
  using world = connectWorld(one, { mtu: MTU });
  const there = other.addPod(10, 1001);
  for (const node of [one, other]) {
    setMtu(node.netlink, 'lan0', MTU);
    setMtu(node.netlink, 'sluice_vxlan', MTU - TUNNEL_BYTES);
  }
  setMtu(other.netlink, there.device, MTU);
  there.setMtu(MTU - TUNNEL_BYTES);
  prepareCable({ place: world, device: 'wan' }, { place: one, device: world.device });
  prepareCable({ place: one, device: 'lan0' }, { place: other, device: 'lan0' });
  const xdp = accelerate(one, [world.device, 'lan0']);
  xdp.lookAtNextHops(false);
  writeService(one.datapath.maps, {
    ...{ id: 1, address: parseAddress('0.0.0.0'), port: PORT, protocol: UDP, flags: FrontendFlag.External },
    backends: [{ id: 1, address: there.addresses.ipv4, port: TARGET_PORT }],
  });
  using server = udpServer(there, there.addresses.ipv4, TARGET_PORT);
  using client = udpSocket(world, 4);
  client.connect(world.nodeAddresses.ipv4, PORT);
  for (let round = 0; round < 20; round += 1) {
    const [question, answer] = [8_000 + round, 8_000 - round].map((length) => `${round}`.padEnd(length, 'abcdef'));
    client.send(question ?? '');
    const received = server.receiveFrom();
    assert.equal(received?.text, question);
    received?.reply(answer ?? '');
    assert.equal(client.receive(), answer);
  }
  for (const way of [FrameWay.Tunnel, FrameWay.World])
    assert.ok(xdp.count(way) >= 15, `${way}: ${xdp.count(way)} of 20`);
  for (const node of [one, other]) assert.deepEqual(dropsOf(node), {});
});
