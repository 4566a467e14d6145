import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyOf, type PacketBuilder, packet } from '@sluice/net';
import { connectNodes, createTestNode, dropsOf, TUNNEL_MTU, VXLAN_PORT } from '../test/node.ts';
import { tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { capture } from '../test/wire.ts';

const UDP_HEADER = 14 + 20;
const VXLAN_HEADER = UDP_HEADER + 8;

/** VNIs of the VXLAN frames with IPv4 outside. */
function vnisOf(frames: readonly Uint8Array[]): number[] {
  return frames.flatMap((frame) => {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const isVxlan = frame.byteLength > VXLAN_HEADER + 8 && view.getUint16(UDP_HEADER + 2) === VXLAN_PORT;
    return isVxlan ? [view.getUint32(VXLAN_HEADER + 4) >>> 8] : [];
  });
}

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`the VNI on the wire is the sender's identity, both ways (${family})`, () => {
    using one = createTestNode(1);
    using other = createTestNode(2);
    connectNodes(one, other);
    const [client, server] = [one.addPod(10, 0x123456), other.addPod(10, 2000)];
    const address = server.addresses[family];
    using wire = capture(other.namespace, other.netlink.links.get('lan0')?.ifindex ?? 0);
    using listening = udpServer(server, address, 8080);
    using sending = udpSocket(client, familyOf(address));
    sending.sendTo('question', address, 8080);
    listening.receiveFrom()?.reply('answer');
    assert.equal(sending.receive(), 'answer');
    assert.deepEqual(vnisOf(wire.frames()), [0x123456, 2000]);
  });
}

test('traffic of a node itself travels with the identity of a remote node', () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  connectNodes(one, other);
  const pod = other.addPod(10, 2000);
  using wire = capture(other.namespace, other.netlink.links.get('lan0')?.ifindex ?? 0);
  using listening = udpServer(pod, pod.addresses.ipv4, 8080);
  using sending = udpSocket(one, 4);
  sending.sendTo('question', pod.addresses.ipv4, 8080);
  assert.equal(listening.receive(), 'question');
  assert.deepEqual(vnisOf(wire.frames()), [one.configuration.nodeIdentity]);
});

test('fragments of both families pass, those without ports too', () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  connectNodes(one, other);
  const [client, neighbour, server] = [one.addPod(10, 1000), one.addPod(11, 1001), other.addPod(10, 2000)];
  for (const family of ['ipv4', 'ipv6'] as const) {
    for (const pod of [neighbour, server]) {
      const address = pod.addresses[family];
      using listening = udpServer(pod, address, 8080);
      using sending = udpSocket(client, familyOf(address));
      const text = 'x'.repeat(4000);
      sending.sendTo(text, address, 8080);
      // IPv6 routers do not fragment: the first datagram teaches the pod the tunnel's MTU.
      if (pod === server && family === 'ipv6') sending.sendTo(text, address, 8080);
      assert.equal(listening.receive()?.length, text.length);
    }
  }
  assert.deepEqual(dropsOf(one), { too_big: 2 });
  assert.deepEqual(dropsOf(other), {});
});

test('TCP through the tunnel learns its MTU', () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  connectNodes(one, other);
  const [client, server] = [one.addPod(10, 1000), other.addPod(10, 2000)];
  for (const family of ['ipv4', 'ipv6'] as const) {
    const address = server.addresses[family];
    using listening = tcpServer(server, address, 8080);
    using sending = tcpSocket(client, familyOf(address));
    sending.connect(address, 8080);
    using accepted = listening.accept();
    const text = 'x'.repeat(100_000);
    sending.send(text);
    let received = 0;
    while (received < text.length) {
      const part = accepted?.receive();
      assert.ok(part, `${received} bytes came`);
      received += part.length;
    }
  }
});

test('what comes by the tunnel for nobody, from nobody, or malformed is dropped with its reason', () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  connectNodes(one, other);
  const pod = one.addPod(10, 1000);
  using sending = udpSocket(other, 4);
  const send = (vni: number, frame: PacketBuilder) =>
    sending.sendBytes(packet().vxlan({ vni }).payload(frame.payload('x')), one.addresses.ipv4, VXLAN_PORT);
  const inner = packet().ethernet();
  send(2000, inner.ipv4({ source: '10.244.2.10', destination: '10.244.1.99' }).udp());
  assert.deepEqual(dropsOf(one), { stale_or_unroutable: 1 });
  send(0, inner.ipv4({ source: '10.244.2.10', destination: pod.addresses.ipv4 }).udp());
  send(2000, inner.arp({ senderAddress: '10.244.2.10', targetAddress: pod.addresses.ipv4 }));
  send(2000, inner.ipv6({ source: 'fd00:10:244:2::10', destination: `::ffff:${pod.addresses.ipv4}` }).udp());
  send(2000, inner.ipv4({ source: '10.244.2.10', destination: pod.addresses.ipv4, ttl: 1 }).udp());
  assert.deepEqual(dropsOf(one), {
    stale_or_unroutable: 1,
    invalid_identity: 1,
    unknown_ethertype: 1,
    mapped_address: 1,
    ttl_exceeded: 1,
  });
});

test('a pod that speaks VXLAN itself reaches nobody: only nodes choose identity and source', () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  connectNodes(one, other);
  const [near, victim, far] = [one.addPod(11, 1001), one.addPod(10, 1000), other.addPod(10, 2000)];
  const inner = packet().ethernet().ipv4({ source: '10.244.2.99', destination: victim.addresses.ipv4 });
  const frame = inner.udp({ destinationPort: 8080 }).payload('forged');
  using listening = udpServer(victim, victim.addresses.ipv4, 8080);
  for (const pod of [near, far]) {
    using sending = udpSocket(pod, 4);
    sending.sendBytes(packet().vxlan({ vni: 3000 }).payload(frame), one.addresses.ipv4, VXLAN_PORT);
  }
  assert.equal(listening.receive(), undefined);
  assert.deepEqual(dropsOf(one), { invalid_tunnel_sender: 2 });
});

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`segments stay together through the tunnel, and each fits the wire (${family})`, () => {
    using one = createTestNode(1);
    using other = createTestNode(2);
    connectNodes(one, other);
    const [client, server] = [one.addPod(10, 1000), other.addPod(10, 2000)];
    for (const pod of [client, server]) pod.setMtu(TUNNEL_MTU);
    using wire = capture(other.namespace, other.netlink.links.get('lan0')?.ifindex ?? 0);
    using listening = tcpServer(server, server.addresses[family], 8080);
    using sending = tcpSocket(client, familyOf(server.addresses[family]));
    sending.connect(server.addresses[family], 8080);
    using accepted = listening.accept();
    const text = 'abcdefghij'.repeat(6000);
    sending.send(text);
    let received = '';
    while (received.length < text.length) {
      const part = accepted?.receive();
      if (part === undefined) break;
      received += part;
    }
    assert.equal(received, text);
    const longest = Math.max(...wire.frames().map((frame) => frame.byteLength));
    assert.ok(longest > 3000, `the longest frame has ${longest} bytes`);
    assert.deepEqual(dropsOf(one), {});
  });
}
