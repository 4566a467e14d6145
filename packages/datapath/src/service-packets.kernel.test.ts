// Services for what passes no socket hook: sockets inside a pod's network namespace, outside of the node's cgroup.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bind, internetAddress, SocketLevel, SocketOption, setsockopt } from '@sluice/ffi';
import { type Address, addressToWire, formatAddressPort, packet, parseAddress } from '@sluice/net';
import { dropsOf, type TestPod, TUNNEL_MTU } from '../test/node.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { type Place, past, type TestSocket, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { createTwoNodes } from '../test/two-nodes.ts';
import { inject } from '../test/wire.ts';
import { type Connection, CtKind, CtState, FrontendFlag } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
type Family = (typeof families)[number][1];
const IDENTITY_WORLD = 2;
const balancers = { ipv4: parseAddress('203.0.113.5'), ipv6: parseAddress('2001:db8:113::5') } as const;

const scene = createTwoNodes();
after(() => scene[Symbol.dispose]());
const { node, world, pods } = scene;
for (const pod of Object.values(pods)) pod.setMtu(TUNNEL_MTU);

interface Backend {
  readonly address: Address;
  readonly port: number;
}

/** Established, and not to expire soon. */
function connectionRow(dnat: Backend): Connection {
  return {
    kind: CtKind.Connection,
    state: CtState.Established,
    createdNs: 1n,
    expiresNs: 1n << 62n,
    packets: [3n, 2n],
    bytes: [180n, 120n],
    tcpFlags: [0x12, 0x12],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
    sourceIdentity: 1000,
    destinationIdentity: 0,
    backendId: 0,
    generation: 0,
    dnat,
    snat: { address: undefined, port: 0 },
  };
}

let services = 0;

/** A service of its own for each test. */
function service(family: Family, protocol: number, backends: readonly Backend[], affinitySeconds = 0): Address {
  services += 1;
  const address = parseAddress(family === 'ipv4' ? `10.96.1.${services}` : `fd00:10:96::1${services.toString(16)}`);
  writeService(node.datapath.maps, {
    id: services,
    address,
    port: 80,
    protocol,
    affinitySeconds,
    backends: backends.map((backend, index) => ({ id: services * 100 + index, ...backend })),
  });
  return address;
}

function exchangeOverTcp(place: Place, server: Place, [address, backend]: readonly [Address, Backend]) {
  using listening = tcpServer(server, backend.address, backend.port);
  using client = tcpSocket(place, address.includes(':') ? 6 : 4);
  client.connect(address, 80);
  using accepted = listening.accept();
  client.send('request');
  assert.equal(accepted?.receive(), 'request');
  accepted?.send('response');
  assert.equal(client.receive(), 'response');
  return { seen: accepted?.peer() ?? '', named: client.peer() };
}

function exchangeOverUdp(
  place: Place,
  server: Place,
  [address, backend]: readonly [Address, Backend],
  text = 'request',
) {
  using listening = udpServer(server, backend.address, backend.port);
  using client = udpSocket(place, address.includes(':') ? 6 : 4);
  client.sendTo(text, address, 80);
  const received = listening.receiveFrom();
  assert.equal(received?.text, text);
  received?.reply(text);
  const answer = client.receiveFrom();
  assert.equal(answer?.text, text);
  return { seen: received?.from ?? '', answered: answer?.from };
}

for (const [version, family] of families) {
  const backendOn = (pod: TestPod): Backend => ({ address: pod.addresses[family], port: 8080 });
  const own = pods.client.addresses[family];

  for (const [where, server] of [
    ['of this node', pods.server],
    ['of another node', pods.far],
  ] as const) {
    test(`TCP to a service reaches a pod ${where}, which sees the client (${family})`, () => {
      const backend = backendOn(server);
      const address = service(family, TCP, [backend]);
      const { seen, named } = exchangeOverTcp(past(pods.client), server, [address, backend]);
      assert.ok(seen.includes(own), `${seen} is the client`);
      assert.equal(named, formatAddressPort(address, 80));
    });

    test(`UDP to a service reaches a pod ${where} and is answered by the service (${family})`, () => {
      const backend = backendOn(server);
      const address = service(family, UDP, [backend]);
      const { seen, answered } = exchangeOverUdp(past(pods.client), server, [address, backend]);
      assert.ok(seen.includes(own), `${seen} is the client`);
      assert.equal(answered, formatAddressPort(address, 80));
    });

    test(`a datagram of 65,000 bytes goes through a service to a pod ${where} and back (${family})`, () => {
      const backend = backendOn(server);
      const address = service(family, UDP, [backend]);
      exchangeOverUdp(past(pods.client), server, [address, backend], 'abcdefghij'.repeat(6500));
    });

    test(`the node's own socket past the hooks reaches a pod ${where} (${family})`, () => {
      const backend = backendOn(server);
      const tcp = service(family, TCP, [backend]);
      exchangeOverTcp(past(node), server, [tcp, backend]);
      const udp = service(family, UDP, [backend]);
      exchangeOverUdp(past(node), server, [udp, backend]);
    });
  }

  test(`a client that is its service's backend meets itself, as the service (${family})`, () => {
    const backend = backendOn(pods.client);
    const address = service(family, TCP, [backend]);
    const { seen } = exchangeOverTcp(past(pods.client), pods.client, [address, backend]);
    assert.ok(seen.includes(address), `${seen} is the service`);
    const udp = service(family, UDP, [backend]);
    exchangeOverUdp(past(pods.client), pods.client, [udp, backend]);
  });

  test(`the node that is its service's backend meets itself, as the service (${family})`, () => {
    const backend = { address: node.addresses[family], port: 6443 };
    const address = service(family, TCP, [backend]);
    const { seen } = exchangeOverTcp(past(node), node, [address, backend]);
    assert.ok(seen.includes(address), `${seen} is the service`);
  });

  test(`a pod reaches the node by a service (${family})`, () => {
    const backend = { address: node.addresses[family], port: 6443 };
    const { seen } = exchangeOverTcp(past(pods.client), node, [service(family, TCP, [backend]), backend]);
    assert.ok(seen.includes(own), `${seen} is the client`);
  });

  test(`a backend in the world is reached from the node's address, by pods and by the node (${family})`, () => {
    const backend = { address: world.addresses[family], port: 8080 };
    for (const place of [past(pods.client), past(node)]) {
      const { seen, named } = exchangeOverTcp(place, world, [service(family, TCP, [backend]), backend]);
      assert.ok(seen.includes(world.nodeAddresses[family]), `${seen} is the node`);
      assert.match(named, /80$/);
      exchangeOverUdp(place, world, [service(family, UDP, [backend]), backend]);
    }
  });

  for (const [where, server] of [
    ['of this node', pods.server],
    ['of another node', pods.far],
  ] as const) {
    test(`a closed port of a backend ${where} is the client's ECONNREFUSED (${family})`, () => {
      const address = service(family, UDP, [{ address: server.addresses[family], port: 9 }]);
      using client = udpSocket(past(pods.client), version);
      client.connect(address, 80);
      client.send('anybody?');
      assert.throws(() => client.receive(), { code: 'ECONNREFUSED' });
    });
  }

  test(`a client that has gone tells the backend so, through the service (${family})`, () => {
    const backend = backendOn(pods.server);
    const address = service(family, UDP, [backend]);
    using server = udpSocket(pods.server, version);
    bindTo(server, backend);
    const client = udpSocket(past(pods.client), version);
    client.sendTo('request', address, 80);
    const received = server.receiveFrom();
    client[Symbol.dispose]();
    server.connect(own, portOf(received?.from));
    server.send('too late');
    assert.throws(() => server.receive(), { code: 'ECONNREFUSED' });
  });

  test(`affinity is the same at the socket and past it (${family})`, () => {
    const backends = [8081, 8082, 8083, 8084].map((port) => ({ address: pods.server.addresses[family], port }));
    const address = service(family, UDP, backends, 600);
    const servers = backends.map((backend) => udpServer(pods.server, backend.address, backend.port));
    using _closed = closing(servers);
    const chosen = Array.from({ length: 12 }, (_, turn) => {
      using client = udpSocket(turn % 2 === 0 ? pods.client : past(pods.client), version);
      client.sendTo(`turn ${turn}`, address, 80);
      return whoReceives(servers);
    });
    assert.equal(new Set(chosen).size, 1, `all at one backend: ${chosen.join()}`);
  });

  test(`a connection outlives its service, which refuses new ones (${family})`, () => {
    const backend = backendOn(pods.server);
    const address = service(family, TCP, [backend]);
    using listening = tcpServer(pods.server, backend.address, backend.port);
    using client = tcpSocket(past(pods.client), version);
    client.connect(address, 80);
    using accepted = listening.accept();
    node.datapath.maps.frontends.delete({ address, port: 80, protocol: TCP, scope: 0 });
    client.send('still here');
    assert.equal(accepted?.receive(), 'still here');
    accepted?.send('me too');
    assert.equal(client.receive(), 'me too');
    using late = tcpSocket(past(pods.client), version);
    assert.throws(() => late.connect(address, 80), { code: 'ECONNREFUSED' });
  });

  test(`who forges a pod's address outside does not speak in its connection (${family})`, () => {
    const address = balancers[family];
    const backend = backendOn(pods.server);
    services += 1;
    const row = { id: services, address, port: 80, protocol: TCP, flags: FrontendFlag.External };
    writeService(node.datapath.maps, { ...row, backends: [{ id: services * 100, ...backend }] });
    using listening = tcpServer(pods.server, backend.address, backend.port);
    using client = tcpSocket(past(pods.client), version);
    client.connect(address, 80);
    using accepted = listening.accept();
    client.send('request');
    assert.equal(accepted?.receive(), 'request');
    const rows = () => [...node.datapath.maps.conntrack.entries()];
    const carried = () => rows().find(([, { dnat }]) => dnat.address === address)?.[1].packets;
    const alias = rows().find(([tuple]) => tuple.destination === address)?.[0];
    const before = [carried(), dropsOf(node).invalid_source_address ?? 0] as const;
    const frame = packet().ethernet({ source: world.mac, destination: world.nodeMac });
    const to = { source: own, destination: address };
    const segment = (family === 'ipv4' ? frame.ipv4(to) : frame.ipv6(to)).tcp({
      sourcePort: alias?.sourcePort ?? 0,
      destinationPort: 80,
      flags: 'A',
    });
    inject(world.namespace, world.wanIfindex, segment.payload('forged'));
    const refused = () => dropsOf(node).invalid_source_address ?? 0;
    for (let look = 0; look < looksMax && refused() === before[1]; look += 1);
    assert.deepEqual([carried(), refused()], [before[0], before[1] + 1]);
  });

  test(`who takes a port whose service is gone has the connections that begin there (${family})`, () => {
    const { conntrack } = node.datapath.maps;
    const [address, port] = [world.nodeAddresses[family], 32_000];
    const [source, sourcePort, backend] = [world.addresses[family], 50_000, backendOn(pods.server)];
    // One that a NodePort has led to a pod, and whose client has lost its power.
    const to = { source, sourcePort, protocol: TCP };
    const row = { ...connectionRow({ address, port }), sourceIdentity: IDENTITY_WORLD };
    const alias = { ...to, destination: address, destinationPort: port };
    conntrack.update(alias, { ...row, kind: CtKind.DnatAlias, dnat: backend });
    conntrack.update({ ...to, destination: backend.address, destinationPort: backend.port }, row);
    using listening = tcpServer(node, address, port);
    using client = tcpSocket(world, version);
    reuse(client);
    bindTo(client, { address: source, port: sourcePort });
    client.connect(address, port);
    using accepted = listening.accept();
    client.send('anew');
    assert.equal(accepted?.receive(), 'anew');
    assert.equal(conntrack.lookup(alias), undefined);
  });

  test(`a port whose connection was left without an end reaches a backend that is there (${family})`, () => {
    const gone = { address: parseAddress(family === 'ipv4' ? '10.244.1.77' : 'fd00:10:244:1::77'), port: 8080 };
    const backend = backendOn(pods.server);
    const address = service(family, TCP, [gone]);
    const tuple = { source: own, sourcePort: 41_001, protocol: TCP } as const;
    const { maps } = node.datapath;
    const abandoned = connectionRow({ address, port: 80 });
    maps.conntrack.update({ ...tuple, destination: gone.address, destinationPort: gone.port }, abandoned);
    const alias = { ...abandoned, kind: CtKind.DnatAlias, dnat: gone, backendId: services * 100, generation: 1 };
    maps.conntrack.update({ ...tuple, destination: address, destinationPort: 80 }, alias);
    writeService(maps, {
      id: services,
      address,
      port: 80,
      protocol: TCP,
      generation: 2,
      backends: [{ id: services * 100 + 1, ...backend }],
    });
    using listening = tcpServer(pods.server, backend.address, backend.port);
    using client = tcpSocket(past(pods.client), version);
    bindTo(client, { address: own, port: 41_001 });
    client.connect(address, 80);
    using accepted = listening.accept();
    assert.equal(accepted?.peer(), formatAddressPort(own, 41_001));
  });
}

for (const [, family] of families) {
  test(`a connection that began without a service keeps its peer when a service gets that address (${family})`, () => {
    const address = pods.server.addresses[family];
    const { frontends } = node.datapath.maps;
    const key = { address, port: 80, protocol: TCP, scope: 0 };
    using listening = tcpServer(pods.server, address, 80);
    using connected = tcpSocket(past(pods.client), family === 'ipv4' ? 4 : 6);
    connected.connect(address, 80);
    using accepted = listening.accept();
    connected.send('before');
    assert.equal(accepted?.receive(), 'before');
    services += 1;
    const backends = [{ id: services * 100, address: pods.far.addresses[family], port: 8080 }];
    using rows = new DisposableStack();
    rows.defer(() => frontends.delete({ ...key, port: 0, protocol: 0 }));
    rows.defer(() => frontends.delete(key));
    writeService(node.datapath.maps, { id: services, address, port: 80, protocol: TCP, backends });
    connected.send('after');
    assert.equal(accepted?.receive(), 'after');
  });
}

test('what is translated has its aliases in the safe table as soon as it is answered', () => {
  const backend = { address: pods.server.addresses.ipv4, port: 8080 };
  const address = service('ipv4', UDP, [backend]);
  exchangeOverUdp(past(pods.client), pods.server, [address, backend]);
  const rows = [...node.datapath.maps.conntrack.entries()].filter(
    ([tuple, row]) => tuple.destination === address || row.dnat.address === address,
  );
  assert.deepEqual(rows.map(([, { kind }]) => kind).sort(), [CtKind.Connection, CtKind.DnatAlias]);
});

function bindTo(socket: TestSocket, { address, port }: Backend): void {
  bind(socket.fd, internetAddress(addressToWire(address), port));
}

function reuse(socket: TestSocket): void {
  setsockopt(socket.fd, SocketLevel.SOCKET, SocketOption.REUSEADDR, 1);
}

function portOf(text: string | undefined): number {
  return Number(text?.slice(text.lastIndexOf(':') + 1));
}

function closing(sockets: readonly TestSocket[]): Disposable {
  return {
    [Symbol.dispose]() {
      for (const socket of sockets) socket[Symbol.dispose]();
    },
  };
}

const looksMax = 10_000;

function whoReceives(servers: readonly TestSocket[]): number {
  for (let look = 0; look < looksMax; look += 1) {
    const index = servers.findIndex((server) => server.receiveNow() !== undefined);
    if (index !== -1) return index;
  }
  throw new Error('nobody received it');
}
