import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bind, internetAddress } from '@sluice/ffi';
import { addressToWire, formatAddressPort, type Packet, packet, parseAddress, parsePacket } from '@sluice/net';
import { createTestNode, dropsOf, type TestPod } from '../test/node.ts';
import { type TestSocket, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { capture, inject } from '../test/wire.ts';
import { connectWorld } from '../test/world.ts';
import { CtKind } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;

const node = createTestNode(1);
const world = connectWorld(node);
after(() => {
  world[Symbol.dispose]();
  node[Symbol.dispose]();
});

function isFirstFragment({ ipv6 }: Packet): boolean {
  return ipv6?.extensions.some((extension) => extension.kind === 'fragment' && extension.offset === 0) ?? false;
}

/** Each test has pods of its own: their ports and drops are nobody else's. */
let pods = 10;

function newPod(): TestPod {
  pods += 1;
  return node.addPod(pods, 1000 + pods);
}

function bound(socket: TestSocket, address: Parameters<typeof addressToWire>[0], port: number): TestSocket {
  bind(socket.fd, internetAddress(addressToWire(address), port));
  return socket;
}

/** A port of its own for each test: those before are remembered for a minute. */
let ports = 40_000;

function newPort(): number {
  ports += 1;
  return ports;
}

for (const [version, family] of families) {
  test(`a pod's datagram reaches the world from the node's address, and its answer the pod (${family})`, () => {
    const port = newPort();
    const pod = newPod();
    using server = udpServer(world, world.addresses[family], 53);
    using client = bound(udpSocket(pod, version), pod.addresses[family], port);
    client.connect(world.addresses[family], 53);
    client.send('who am I?');
    const received = server.receiveFrom();
    assert.equal(received?.from, formatAddressPort(world.nodeAddresses[family], port));
    received?.reply('you are');
    assert.equal(client.receive(), 'you are');
  });

  test(`a pod's connection into the world carries data both ways (${family})`, () => {
    const pod = newPod();
    using server = tcpServer(world, world.addresses[family], 80);
    using client = tcpSocket(pod, version);
    client.connect(world.addresses[family], 80);
    using accepted = server.accept();
    client.send('request');
    assert.equal(accepted?.receive(), 'request');
    accepted?.send('response');
    assert.equal(client.receive(), 'response');
    assert.match(accepted?.peer() ?? '', new RegExp(`^\\[?${world.nodeAddresses[family]}\\]?:`));
  });

  test(`two pods with the same port get two ports towards the same server, each its own answers (${family})`, () => {
    const port = newPort();
    const pod = newPod();
    const other = newPod();
    using server = udpServer(world, world.addresses[family], 53);
    using one = bound(udpSocket(pod, version), pod.addresses[family], port);
    using two = bound(udpSocket(other, version), other.addresses[family], port);
    const seen = [one, two].map((client, index) => {
      client.connect(world.addresses[family], 53);
      client.send(`pod ${index}`);
      return server.receiveFrom();
    });
    assert.notEqual(seen[0]?.from, seen[1]?.from);
    for (const received of seen.toReversed()) received?.reply(`to ${received.text}`);
    assert.equal(one.receive(), 'to pod 0');
    assert.equal(two.receive(), 'to pod 1');
  });

  test(`a pod does not get the port of a socket of the node's (${family})`, () => {
    const port = newPort();
    const pod = newPod();
    using server = udpServer(world, world.addresses[family], 53);
    using own = bound(udpSocket(node, version), world.nodeAddresses[family], port);
    using client = bound(udpSocket(pod, version), pod.addresses[family], port);
    client.connect(world.addresses[family], 53);
    client.send('from the pod');
    const received = server.receiveFrom();
    assert.notEqual(received?.from, formatAddressPort(world.nodeAddresses[family], port));
    own.sendTo('from the node', world.addresses[family], 53);
    const fromNode = server.receiveFrom();
    assert.equal(fromNode?.from, formatAddressPort(world.nodeAddresses[family], port));
    received?.reply('to the pod');
    fromNode?.reply('to the node');
    assert.equal(client.receive(), 'to the pod');
    assert.equal(own.receive(), 'to the node');
  });

  test(`the node's own connection gives way to a pod that has its port, and both work (${family})`, () => {
    const port = newPort();
    const pod = newPod();
    using server = udpServer(world, world.addresses[family], 53);
    using client = bound(udpSocket(pod, version), pod.addresses[family], port);
    client.connect(world.addresses[family], 53);
    client.send('from the pod');
    const received = server.receiveFrom();
    assert.equal(received?.from, formatAddressPort(world.nodeAddresses[family], port));
    using own = bound(udpSocket(node, version), world.nodeAddresses[family], port);
    own.connect(world.addresses[family], 53);
    own.send('from the node');
    const fromNode = server.receiveFrom();
    assert.notEqual(fromNode?.from, received?.from);
    fromNode?.reply('to the node');
    received?.reply('to the pod');
    assert.equal(own.receive(), 'to the node');
    assert.equal(client.receive(), 'to the pod');
  });

  test(`the node's connection that gave way keeps its port when the pod's has ended (${family})`, () => {
    const port = newPort();
    const pod = newPod();
    using server = udpServer(world, world.addresses[family], 54);
    using client = bound(udpSocket(pod, version), pod.addresses[family], port);
    client.connect(world.addresses[family], 54);
    client.send('from the pod');
    server.receiveFrom()?.reply('to the pod');
    using own = bound(udpSocket(node, version), world.nodeAddresses[family], port);
    own.connect(world.addresses[family], 54);
    own.send('first');
    const first = server.receiveFrom();
    first?.reply('answer');
    assert.equal(own.receive(), 'answer');
    const { conntrack } = node.datapath.maps;
    const nodes = { source: world.nodeAddresses[family], sourcePort: port, destination: world.addresses[family] };
    const connection = conntrack.lookup({ ...nodes, destinationPort: 54, protocol: 17 });
    assert.deepEqual(connection?.packets, [1n, 1n], 'its replies count as well');
    conntrack.delete({ ...nodes, source: pod.addresses[family], destinationPort: 54, protocol: 17 });
    own.send('second');
    const second = server.receiveFrom();
    assert.equal(second?.from, first?.from);
    second?.reply('answer');
    assert.equal(own.receive(), 'answer');
  });

  test(`a pod that comes again does not get the port that a node's connection has taken since (${family})`, () => {
    const port = newPort();
    const pod = newPod();
    using server = udpServer(world, world.addresses[family], 55);
    using client = bound(udpSocket(pod, version), pod.addresses[family], port);
    client.connect(world.addresses[family], 55);
    client.send('from the pod');
    const before = server.receiveFrom();
    before?.reply('to the pod');
    assert.equal(client.receive(), 'to the pod');
    const to = { sourcePort: port, destination: world.addresses[family], destinationPort: 55, protocol: 17 };
    const { conntrack } = node.datapath.maps;
    conntrack.delete({ ...to, source: pod.addresses[family] });
    for (const [tuple, alias] of conntrack.entries()) {
      if (tuple.destinationPort === port) conntrack.update(tuple, { ...alias, createdNs: 1n });
    }
    using own = bound(udpSocket(node, version), world.nodeAddresses[family], port);
    own.connect(world.addresses[family], 55);
    own.send('from the node');
    const fromNode = server.receiveFrom();
    assert.equal(fromNode?.from, before?.from);
    client.send('again from the pod');
    const again = server.receiveFrom();
    assert.notEqual(again?.from, before?.from);
    fromNode?.reply('to the node');
    again?.reply('again to the pod');
    assert.equal(own.receive(), 'to the node');
    assert.equal(client.receive(), 'again to the pod');
  });

  test(`port unreachable from the world is the pod's ECONNREFUSED (${family})`, () => {
    const pod = newPod();
    using client = udpSocket(pod, version);
    client.connect(world.addresses[family], 9);
    client.send('anybody?');
    assert.throws(() => client.receive(), { code: 'ECONNREFUSED' });
  });

  test(`TCP to a closed port of the world is refused at once (${family})`, () => {
    const pod = newPod();
    using client = tcpSocket(pod, version);
    assert.throws(() => client.connect(world.addresses[family], 81), { code: 'ECONNREFUSED' });
  });

  test(`a datagram of 65,000 bytes goes into the world and back in fragments (${family})`, () => {
    const pod = newPod();
    using server = udpServer(world, world.addresses[family], 53);
    using client = udpSocket(pod, version);
    client.connect(world.addresses[family], 53);
    const text = 'abcdefghij'.repeat(6500);
    client.send(text);
    const received = server.receiveFrom();
    assert.equal(received?.text, text);
    received?.reply(text);
    assert.equal(client.receive(), text);
  });

  test(`somebody in the world who has a route to a pod is answered as the pod (${family})`, () => {
    const pod = newPod();
    using server = udpServer(pod, pod.addresses[family], 53);
    world.addRoute(`${pod.addresses[family]}/${version === 4 ? 32 : 128}`);
    using client = udpSocket(world, version);
    client.connect(pod.addresses[family], 53);
    client.send('hello');
    server.receiveFrom()?.reply('hello yourself');
    assert.equal(client.receive(), 'hello yourself');
  });

  test(`the network cannot make the node answer a pod that did not ask (${family})`, () => {
    const pod = newPod();
    const before = dropsOf(node).invalid_source_address ?? 0;
    using server = udpServer(node, world.nodeAddresses[family], 5353);
    const frame = packet().ethernet({ source: world.mac, destination: world.nodeMac });
    const ip = { source: pod.addresses[family], destination: world.nodeAddresses[family] };
    const forged = version === 4 ? frame.ipv4(ip) : frame.ipv6(ip);
    inject(world, world.wanIfindex, forged.udp({ destinationPort: 5353 }).payload('forged'));
    assert.equal(dropsOf(node).invalid_source_address, before + 1);
    assert.equal(server.receiveNow(), undefined);
  });

  test(`the network cannot pretend to be a pod (${family})`, () => {
    const pod = newPod();
    const other = newPod();
    const before = dropsOf(node).invalid_source_address ?? 0;
    using frames = capture(pod.namespace, 2);
    const frame = packet().ethernet({ source: world.mac, destination: world.nodeMac });
    const forged =
      version === 4
        ? frame.ipv4({ source: other.addresses.ipv4, destination: pod.addresses.ipv4 })
        : frame.ipv6({ source: other.addresses.ipv6, destination: pod.addresses.ipv6 });
    inject(world, world.wanIfindex, forged.udp({ destinationPort: 53 }).payload('forged'));
    assert.equal(dropsOf(node).invalid_source_address, before + 1);
    assert.deepEqual(
      frames.frames().filter((bytes) => parsePacket(bytes).udp !== undefined),
      [],
    );
  });

  test(`a server that calls back after the end does not learn the pod's address (${family})`, () => {
    const [port, serverPort] = [newPort(), newPort()];
    const pod = newPod();
    using listening = tcpServer(world, world.addresses[family], serverPort);
    const client = bound(tcpSocket(pod, version), pod.addresses[family], port);
    client.connect(world.addresses[family], serverPort);
    using accepted = listening.accept();
    assert.equal(accepted?.peer(), formatAddressPort(world.nodeAddresses[family], port));
    client.abort();
    using frames = capture(world, world.wanIfindex);
    const frame = packet().ethernet({ source: world.mac, destination: world.nodeMac });
    const ip = { source: world.addresses[family], destination: world.nodeAddresses[family] };
    const call = (version === 4 ? frame.ipv4(ip) : frame.ipv6(ip)).tcp({
      sourcePort: serverPort,
      destinationPort: port,
      flags: 'S',
    });
    inject(world, world.wanIfindex, call.payload());
    const answers = frames
      .frames()
      .map((bytes) => parsePacket(bytes))
      .filter(({ tcp }) => tcp?.sourcePort === port);
    assert.deepEqual(
      answers.map(({ ipv4, ipv6 }) => (ipv4 ?? ipv6)?.source),
      [world.nodeAddresses[family]],
    );
  });

  test(`a stream of datagrams leaves an address that the node has lost (${family})`, () => {
    const port = newPort();
    const pod = newPod();
    const { endpoints, devices } = node.datapath.maps;
    const old = world.nodeAddresses[family];
    const address = parseAddress(version === 4 ? '192.0.2.77' : '2001:db8::77');
    const row = endpoints.lookup(old);
    assert.ok(row);
    using server = udpServer(world, world.addresses[family], 53);
    using client = bound(udpSocket(pod, version), pod.addresses[family], port);
    client.connect(world.addresses[family], 53);
    client.send('before');
    const before = server.receiveFrom();
    assert.equal(before?.from, formatAddressPort(old, port));
    before?.reply('known from now on');
    assert.equal(client.receive(), 'known from now on');
    devices.update(world.ifindex, { ...world.nodeAddresses, [family]: address });
    client.send('still there');
    assert.equal(server.receiveFrom()?.from, formatAddressPort(old, port));
    endpoints.update(address, row);
    endpoints.delete(old);
    client.send('after');
    const after = server.receiveFrom()?.from;
    devices.update(world.ifindex, world.nodeAddresses);
    endpoints.update(old, row);
    endpoints.delete(address);
    assert.equal(after, formatAddressPort(address, port));
    const answered = { source: world.addresses[family], sourcePort: 53, destination: address, destinationPort: port };
    const alias = node.datapath.maps.conntrack.lookup({ ...answered, protocol: 17 });
    assert.equal(alias?.kind, CtKind.SnatAlias, 'where no flood evicts it, as its connection');
  });
}

test('a router that says a fragment is too big for it is heard by the pod', () => {
  const port = newPort();
  const pod = newPod();
  using client = bound(udpSocket(pod, 6), pod.addresses.ipv6, port);
  client.connect(world.addresses.ipv6, 53);
  using left = capture(world, world.wanIfindex);
  client.send('abcdefghij'.repeat(400));
  const first = left.frames().find((bytes) => isFirstFragment(parsePacket(bytes)));
  assert.ok(first);
  using frames = capture(pod.namespace, 2);
  const router = parseAddress('2001:db8::99');
  const tooBig = packet()
    .ethernet({ source: world.mac, destination: world.nodeMac })
    .ipv6({ source: router, destination: world.nodeAddresses.ipv6 })
    .icmpv6({ type: 2, identifier: 0, sequence: 1300 });
  inject(world, world.wanIfindex, tooBig.payload(first.slice(14, 14 + 1000)));
  const heard = frames
    .frames()
    .map((bytes) => parsePacket(bytes))
    .find(({ icmpv6 }) => icmpv6?.type === 2);
  assert.equal(heard?.ipv6?.destination, pod.addresses.ipv6);
  assert.equal(heard?.icmpv6?.embedded?.ipv6?.source, pod.addresses.ipv6);
  assert.equal(heard?.icmpv6?.checksumValid, true);
  // The socket is told once, and fragments to size from then on.
  assert.throws(() => client.send('abcdefghij'), { code: 'EMSGSIZE' });
  left.frames();
  client.send('abcdefghij'.repeat(400));
  const lengths = left.frames().map(({ length }) => length);
  assert.ok(Math.max(...lengths) > 1200 && Math.max(...lengths) <= 14 + 1300, `${lengths}`);
});

test('a masqueraded connection has an alias for its replies, in the table that no flood evicts', () => {
  const pod = newPod();
  using server = tcpServer(world, world.addresses.ipv4, 8081);
  using client = tcpSocket(pod, 4);
  client.connect(world.addresses.ipv4, 8081);
  using _accepted = server.accept();
  const rows = [...node.datapath.maps.conntrack.entries()];
  const alias = rows.find(([, { snat, kind }]) => kind === CtKind.SnatAlias && snat.address === pod.addresses.ipv4);
  const connection = rows.find(([{ source }]) => source === pod.addresses.ipv4);
  assert.equal(alias?.[0].destination, world.nodeAddresses.ipv4);
  assert.deepEqual(connection?.[1].snat, { address: alias?.[0].destination, port: alias?.[0].destinationPort });
});

test('nothing was dropped but what was forged', () => {
  assert.deepEqual(dropsOf(node), { invalid_source_address: 4 });
});
