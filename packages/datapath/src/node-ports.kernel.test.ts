// Where NodePorts are: at the node's addresses that have them, and at loopback where that is configured.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Address, parseAddress } from '@sluice/net';
import { connectNodes, createTestNode, dropsOf } from '../test/node.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { type Place, past, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { connectWorld } from '../test/world.ts';
import { EndpointFlag, FrontendFlag } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
const TARGET_PORT = 8080;
const loopback = { ipv4: parseAddress('127.0.0.1'), ipv6: parseAddress('::1') } as const;
const unspecified = { ipv4: parseAddress('0.0.0.0'), ipv6: parseAddress('::') } as const;

const one = createTestNode(1);
const other = createTestNode(2);
connectNodes(one, other);
const world = connectWorld(one);
const here = one.addPod(10, 1000);
const there = other.addPod(10, 1001);
after(() => {
  world[Symbol.dispose]();
  one[Symbol.dispose]();
  other[Symbol.dispose]();
});
const pastHooks = past(here);

let numbers = 0;

function serve(address: Address, protocol: number, backend: Address, flags: number = FrontendFlag.External): number {
  numbers += 1;
  const port = 30_000 + numbers;
  const backends = [{ id: numbers, address: backend, port: TARGET_PORT }];
  writeService(one.datapath.maps, { id: numbers, address, port, protocol, flags, backends });
  return port;
}

function setNodePorts(address: Address, isOn: boolean): void {
  const { endpoints } = one.datapath.maps;
  const row = endpoints.lookup(address) ?? assert.fail(`${address} is no address of the node`);
  endpoints.update(address, { ...row, flags: EndpointFlag.Host | (isOn ? 0 : EndpointFlag.NoNodePorts) });
}

for (const [version, family] of families) {
  test(`the number is the node's own at an address without NodePorts, and a service's at the others (${family})`, () => {
    const [without, served] = [world.nodeAddresses[family], one.addresses[family]];
    const port = serve(unspecified[family], UDP, here.addresses[family]);
    using pod = udpServer(here, here.addresses[family], TARGET_PORT);
    setNodePorts(without, false);
    using own = udpServer(one, without, port);
    const answeredBy = (client: Place, target: Address): string => {
      using socket = udpSocket(client, version);
      socket.connect(target, port);
      socket.send('who');
      for (const deadline = performance.now() + 10_000; performance.now() < deadline; ) {
        if (pod.receiveNow() !== undefined) return 'service';
        if (own.receiveNow() !== undefined) return 'node';
      }
      return assert.fail(`nobody was asked at ${target}`);
    };
    const clients = [world, here, pastHooks, one];
    assert.deepEqual(
      clients.map((client) => answeredBy(client, without)),
      clients.map(() => 'node'),
    );
    for (const client of [here, pastHooks, one, there]) assert.equal(answeredBy(client, served), 'service');
    setNodePorts(without, true);
    assert.deepEqual(
      clients.map((client) => answeredBy(client, without)),
      clients.map(() => 'service'),
    );
  });

  test(`without a server of the node's its stack refuses there, as a port that nobody has (${family})`, () => {
    const address = world.nodeAddresses[family];
    const port = serve(unspecified[family], TCP, here.addresses[family]);
    using server = tcpServer(here, here.addresses[family], TARGET_PORT);
    setNodePorts(address, false);
    for (const client of [world, here, one]) {
      using socket = tcpSocket(client, version);
      assert.throws(() => socket.connect(address, port), { code: 'ECONNREFUSED' });
    }
    setNodePorts(address, true);
    using socket = tcpSocket(world, version);
    socket.connect(address, port);
    using accepted = server.accept();
    assert.ok(accepted);
  });

  test(`with another range its ports are NodePorts, and those of the usual one the node's own (${family})`, () => {
    const address = world.nodeAddresses[family];
    const [inside, outside] = [20_000 + version, 30_900 + version];
    using pod = udpServer(here, here.addresses[family], TARGET_PORT);
    // Before the service: later it would not get the number.
    using own = udpServer(one, address, outside);
    const backends = [{ id: 900 + version, address: here.addresses[family], port: TARGET_PORT }];
    const row = { address: unspecified[family], protocol: UDP, flags: FrontendFlag.External, backends };
    writeService(one.datapath.maps, { ...row, id: 900 + version, port: inside });
    writeService(one.datapath.maps, { ...row, id: 910 + version, port: outside });
    using _other = one.openDatapath({ ...one.configuration, nodePortMin: 20_000, nodePortMax: 20_100 });
    try {
      for (const client of [world, here, pastHooks, one])
        for (const [server, port] of [
          [pod, inside],
          [own, outside],
        ] as const) {
          using socket = udpSocket(client, version);
          socket.connect(address, port);
          socket.send('ask');
          server.receiveFrom()?.reply('answer');
          assert.equal(socket.receive(), 'answer');
        }
    } finally {
      one.openDatapath()[Symbol.dispose]();
    }
  });

  test(`a NodePort at loopback serves the node's processes, and neither pods nor the network (${family})`, () => {
    const port = serve(loopback[family], UDP, there.addresses[family], FrontendFlag.Loopback);
    using server = udpServer(there, there.addresses[family], TARGET_PORT);
    using client = udpSocket(one, version);
    client.connect(loopback[family], port);
    client.send('ask');
    server.receiveFrom()?.reply('answer');
    assert.equal(client.receive(), 'answer');
    for (const place of [here, world]) {
      using socket = udpSocket(place, version);
      socket.connect(loopback[family], port);
      socket.send('ask');
      assert.throws(() => socket.receive(), { code: 'ECONNREFUSED' });
    }
    assert.equal(server.receiveNow(), undefined);
  });
}

test('nothing was dropped', () => {
  assert.deepEqual([dropsOf(one), dropsOf(other)], [{}, {}]);
});
