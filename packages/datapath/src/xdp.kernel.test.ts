import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { type Address, parseAddress } from '@sluice/net';
import { setOffload } from '@sluice/testing';
import { connectNodes, createTestNode, dropsOf } from '../test/node.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { connectWorld, joinWorld } from '../test/world.ts';
import { accelerate, prepareCable } from '../test/xdp.ts';
import { Direction, DropReason, FrameWay, FrontendFlag, IpcacheFlag } from './index.ts';

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

prepareCable({ place: world, device: 'wan' }, { place: one, device: world.device });
prepareCable({ place: one, device: 'lan0' }, { place: other, device: 'lan0' });
const xdp = accelerate(one, [world.device, 'lan0']);
// How long a test takes, and on which CPU, is no part of what it counts.
xdp.lookAtNextHops(false);

let isJoined = false;

/** The tunnel of both nodes leads through the world from now on. */
function leadThroughWorld(): void {
  const [mine, theirs] = [world.nodeAddresses.ipv4, parseAddress('198.51.100.2')];
  if (!isJoined) {
    joinWorld(world, other);
    world.run(() => writeFileSync('/proc/sys/net/ipv4/ip_forward', '1'));
    prepareCable({ place: world, device: 'wan1' }, { place: other, device: 'wan0' });
    one.run(() => one.datapath.reconfigure({ ...one.configuration, underlayIpv4: mine }));
    isJoined = true;
  }
  for (const [node, peer, router] of [
    [one, theirs, other.router],
    [other, mine, one.router],
  ] as const) {
    const { ipcache, ipcachePrefix } = node.datapath.maps;
    const entry = { tunnelEndpoint: peer, identity: 6, mtu: 0 };
    for (const [key, row] of [...ipcachePrefix.entries()])
      if (row.tunnelEndpoint !== undefined) ipcachePrefix.update(key, { ...entry, identity: 2, flags: 0 });
    for (const address of [peer, ...Object.values(router)])
      ipcache.update(address, { ...entry, flags: IpcacheFlag.Node });
  }
}

let numbers = 0;

function serve(row: Address, protocol: number, backend: Address, flags: number = FrontendFlag.External): number {
  numbers += 1;
  const port = 30_000 + numbers;
  writeService(one.datapath.maps, {
    ...{ id: numbers, address: row, port, protocol, flags, generation: numbers },
    backends: [{ id: numbers, address: backend, port: TARGET_PORT }],
  });
  return port;
}

/** Rounds of a question and an answer each over UDP; the server is asked by nobody else. */
function talk(version: 4 | 6, family: 'ipv4' | 'ipv6', rounds: number): void {
  const port = serve(unspecified[family], UDP, there.addresses[family]);
  using server = udpServer(there, there.addresses[family], TARGET_PORT);
  using client = udpSocket(world, version);
  client.connect(world.nodeAddresses[family], port);
  for (let round = 0; round < rounds; round += 1) {
    client.send(`request ${round}`);
    const received = server.receiveFrom();
    assert.equal(received?.text, `request ${round}`);
    received?.reply(`answer ${round}`);
    assert.equal(client.receive(), `answer ${round}`);
  }
}

function framesSent(): number {
  return xdp.count(FrameWay.Tunnel) + xdp.count(FrameWay.World);
}

/** Of this node: packets and bytes that went on, and those of its connections. */
function counted(): Record<string, number> {
  const { counters, conntrack } = one.datapath.maps;
  const forwarded = counters.lookup({ reason: DropReason.Forwarded, direction: Direction.Ingress }) ?? [];
  const connections = [...conntrack.entries()].map(([, connection]) => connection);
  const sum = (numbers: readonly bigint[]) => Number(numbers.reduce((total, each) => total + each, 0n));
  return {
    packets: sum(forwarded.map(({ packets }) => packets)),
    bytes: sum(forwarded.map(({ bytes }) => bytes)),
    ofConnections: sum(connections.flatMap(({ packets }) => packets)),
    bytesOfConnections: sum(connections.flatMap(({ bytes }) => bytes)),
  };
}

for (const [version, family] of families) {
  test(`a connection from the world to a pod of another node goes by XDP once it is there (${family})`, () => {
    const port = serve(unspecified[family], TCP, there.addresses[family]);
    using server = tcpServer(there, there.addresses[family], TARGET_PORT);
    using client = tcpSocket(world, version);
    client.connect(world.nodeAddresses[family], port);
    using accepted = server.accept();
    const before = [xdp.count(FrameWay.Tunnel), xdp.count(FrameWay.World)];
    for (let round = 0; round < 50; round += 1) {
      client.send(`request ${round}`);
      assert.equal(accepted?.receive(), `request ${round}`);
      accepted?.send(`answer ${round}`);
      assert.equal(client.receive(), `answer ${round}`);
    }
    const [tunnel = 0, back = 0] = before;
    assert.ok(xdp.count(FrameWay.Tunnel) - tunnel >= 40, `${xdp.count(FrameWay.Tunnel) - tunnel}`);
    assert.ok(xdp.count(FrameWay.World) - back >= 40, `${xdp.count(FrameWay.World) - back}`);
  });

  test(`datagrams go by XDP once their connection is there (${family})`, () => {
    const before = framesSent();
    talk(version, family, 50);
    assert.ok(framesSent() - before >= 90, `${framesSent() - before} of 100`);
  });

  test(`packets and connections are counted alike with XDP and without (${family})`, () => {
    const [byTc, byXdp] = [false, true].map((isOn) => {
      xdp.set(isOn);
      const before = counted();
      talk(version, family, 20);
      return Object.fromEntries(Object.entries(counted()).map(([name, value]) => [name, value - (before[name] ?? 0)]));
    });
    assert.deepEqual(byXdp, byTc);
  });

  test(`a stream is whole while XDP comes and goes, with packets of any size (${family})`, () => {
    const port = serve(unspecified[family], TCP, there.addresses[family]);
    using server = tcpServer(there, there.addresses[family], TARGET_PORT);
    using client = tcpSocket(world, version);
    client.connect(world.nodeAddresses[family], port);
    using accepted = server.accept();
    assert.ok(accepted);
    const before = framesSent();
    for (let round = 0; round < 40; round += 1) {
      xdp.set(round % 4 !== 0);
      const text = `${round}`.padEnd(1 + round * 700, 'abcdefghijklm');
      for (const [from, to] of [
        [client, accepted],
        [accepted, client],
      ] as const) {
        from.send(text);
        let received = '';
        while (received.length < text.length) received += to.receive() ?? assert.fail('nothing more came');
        assert.equal(received, text);
      }
    }
    xdp.set(true);
    assert.ok(framesSent() - before > 300, `${framesSent() - before}`);
  });
}

test('where no device may send what XDP hands to it, TC serves all', () => {
  xdp.set(false);
  const before = framesSent();
  talk(4, 'ipv4', 5);
  assert.equal(framesSent(), before);
  xdp.set(true);
});

test('a packet whose checksum a device has yet to finish is served by TC, and arrives', () => {
  world.run(() => setOffload('wan', 'transmitChecksums', true));
  const before = xdp.count(FrameWay.Tunnel);
  talk(4, 'ipv4', 20);
  world.run(() => setOffload('wan', 'transmitChecksums', false));
  assert.equal(xdp.count(FrameWay.Tunnel), before);
});

test('once in a while a packet takes the way of the stack, which so finds out that a neighbour has gone', () => {
  const served = () => {
    const before = framesSent();
    talk(4, 'ipv4', 30);
    return framesSent() - before;
  };
  const steady = served();
  xdp.lookAtNextHops(true);
  const due = served();
  xdp.lookAtNextHops(false);
  // To the tunnel and to the world, on each CPU that the packets came by.
  assert.ok(due <= steady - 2, `${due} with a look at each next hop, ${steady} without`);
});

for (const [version, family] of families) {
  test(`a node behind the same device is reached through it, and answers (${family})`, () => {
    leadThroughWorld();
    const before = [xdp.count(FrameWay.Tunnel), xdp.count(FrameWay.World)];
    talk(version, family, 50);
    const [tunnel = 0, back = 0] = before;
    assert.ok(xdp.count(FrameWay.Tunnel) - tunnel >= 45, `${xdp.count(FrameWay.Tunnel) - tunnel}`);
    assert.ok(xdp.count(FrameWay.World) - back >= 45, `${xdp.count(FrameWay.World) - back}`);
  });

  test(`with DSR, segments that need not tell of the frontend go by XDP, and answers do not come by (${family})`, () => {
    leadThroughWorld();
    const flags = FrontendFlag.External | FrontendFlag.Dsr;
    const port = serve(unspecified[family], TCP, there.addresses[family], flags);
    using server = tcpServer(there, there.addresses[family], TARGET_PORT);
    using client = tcpSocket(world, version);
    client.connect(world.nodeAddresses[family], port);
    using accepted = server.accept();
    const before = [xdp.count(FrameWay.Tunnel), xdp.count(FrameWay.World)];
    for (let round = 0; round < 30; round += 1) {
      client.send(`request ${round}`);
      assert.equal(accepted?.receive(), `request ${round}`);
      accepted?.send(`answer ${round}`);
      assert.equal(client.receive(), `answer ${round}`);
    }
    assert.match(accepted?.peer() ?? '', new RegExp(`^\\[?${world.addresses[family]}\\]?:`));
    const [tunnel = 0, back = 0] = before;
    assert.ok(xdp.count(FrameWay.Tunnel) - tunnel >= 25, `${xdp.count(FrameWay.Tunnel) - tunnel}`);
    assert.equal(xdp.count(FrameWay.World), back);
  });

  test(`generic XDP serves the same, on socket buffers (${family})`, () => {
    const generic = accelerate(one, [world.device, 'lan0'], 'generic');
    const before = framesSent();
    talk(version, family, 50);
    assert.ok(framesSent() - before >= 90, `${framesSent() - before} of 100`);
    generic.set(false);
    accelerate(one, [world.device, 'lan0']);
  });
}

test('nothing was dropped but what did not fit into the tunnel, whose sender was told', () => {
  for (const node of [one, other]) assert.deepEqual(Object.keys(dropsOf(node)), ['too_big']);
});
