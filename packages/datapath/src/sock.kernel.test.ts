import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { type Address, formatAddressPort, parseAddress } from '@sluice/net';
import { connectNodes, createTestNode, netnsCookie, type TestNode, type TestPod } from '../test/node.ts';
import { TCP, type TestService, UDP, writeService } from '../test/services.ts';
import { type Place, type TestSocket, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import {
  BackendState,
  Direction,
  DropReason,
  type InspectedTranslation,
  type PacketDrop,
  TracePoint,
} from './index.ts';

const PORT = 80;
const TARGET_PORT = 8080;
const IPPROTO_MPTCP = 262;
/** Backends of one service. */
const MANY = 1000;
const services = { ipv4: parseAddress('10.96.0.20'), ipv6: parseAddress('fd00:10:96::20') } as const;

interface Scene extends Disposable {
  readonly node: TestNode;
  readonly client: TestPod;
  readonly server: TestPod;
}

function scene(): Scene {
  const node = createTestNode(1);
  return {
    node,
    client: node.addPod(10, 1000),
    server: node.addPod(11, 1001),
    [Symbol.dispose]: () => node[Symbol.dispose](),
  };
}

function serve(node: TestNode, protocol: number, address: Address, backends: readonly Address[]): void {
  writeService(node.datapath.maps, {
    id: protocol,
    address,
    port: PORT,
    protocol,
    backends: backends.map((backend, index) => ({ id: protocol * 100 + index, address: backend, port: TARGET_PORT })),
  });
}

/** A process of the client pod that holds a connection until it is killed. */
async function connectInProcess(it: Scene, address: Address, port: number): Promise<ChildProcess> {
  const script = `echo $$ > ${it.node.cgroupPath}/cgroup.procs; exec 3<>/dev/tcp/${address}/${port}; echo ready; read`;
  const process = spawn('nsenter', [`--net=${it.client.namespace.path}`, 'bash', '-c', script], { stdio: 'pipe' });
  const [text] = await once(process.stdout, 'data');
  assert.equal(String(text), 'ready\n');
  return process;
}

function noBackendCount(node: TestNode): bigint | undefined {
  const perCpu = node.datapath.maps.counters.lookup({ reason: DropReason.NoBackend, direction: Direction.Egress });
  return perCpu?.reduce((sum, { packets }) => sum + packets, 0n);
}

/** What its sockets remember, connected or not. */
function remembered(node: TestNode): InspectedTranslation[] {
  return node.datapath.inspection().translations();
}

for (const family of ['ipv4', 'ipv6'] as const) {
  const number = family === 'ipv4' ? 4 : 6;
  const service = services[family];

  test(`TCP to a service reaches its backend, and the peer's name is the service (${family})`, () => {
    using it = scene();
    serve(it.node, TCP, service, [it.server.addresses[family]]);
    using server = tcpServer(it.server, it.server.addresses[family], TARGET_PORT);
    using client = tcpSocket(it.client, number);
    client.connect(service, PORT);
    assert.equal(client.peer(), formatAddressPort(service, PORT));
    using accepted = server.accept();
    client.send('question');
    assert.equal(accepted?.receive(), 'question');
  });

  test(`UDP to a service without connect() is answered by the service's address (${family})`, () => {
    using it = scene();
    serve(it.node, UDP, service, [it.server.addresses[family]]);
    using server = udpServer(it.server, it.server.addresses[family], TARGET_PORT);
    using client = udpSocket(it.client, number);
    client.sendTo('question', service, PORT);
    server.receiveFrom()?.reply('answer');
    const answer = client.receiveFrom();
    assert.equal(answer?.text, 'answer');
    assert.equal(answer?.from, formatAddressPort(service, PORT));
  });

  test(`UDP to a service with connect() is answered, and the peer's name is the service (${family})`, () => {
    using it = scene();
    serve(it.node, UDP, service, [it.server.addresses[family]]);
    using server = udpServer(it.server, it.server.addresses[family], TARGET_PORT);
    using client = udpSocket(it.client, number);
    client.connect(service, PORT);
    client.send('question');
    server.receiveFrom()?.reply('answer');
    assert.equal(client.receiveFrom()?.from, formatAddressPort(service, PORT));
    assert.equal(client.peer(), formatAddressPort(service, PORT));
  });

  test(`TCP to a service without backends is refused at once (${family})`, () => {
    using it = scene();
    serve(it.node, TCP, service, []);
    const { ipv4, ipv6 } = it.client.addresses;
    it.node.datapath.maps.netnsEndpoints.update(netnsCookie(it.client), {
      endpointId: 1,
      identity: 300,
      ipv4,
      ipv6,
    });
    const told: PacketDrop[] = [];
    using drops = it.node.datapath.events((event) => void (event.type === 'drop' && told.push(event)));
    for (const place of [it.client, it.node]) {
      using client = tcpSocket(place, number);
      assert.throws(() => client.connect(service, PORT), { code: 'ECONNREFUSED' });
    }
    drops.drain();
    assert.equal(noBackendCount(it.node), 2n);
    assert.deepEqual(
      told.map((event) => [event.reason, event.tracePoint, event.destination, event.destinationPort]),
      [1, 2].map(() => [DropReason.NoBackend, TracePoint.Socket, service, PORT]),
    );
    assert.deepEqual([told[0]?.source, told[0]?.sourceIdentity], [it.client.addresses[family], 300]);
  });

  test(`UDP to a service without backends gets its ICMP error, from a pod and from the node (${family})`, () => {
    using it = scene();
    serve(it.node, UDP, service, []);
    for (const place of [it.client, it.node]) {
      using client = udpSocket(place, number);
      client.connect(service, PORT);
      client.send('question');
      assert.throws(() => client.receive(), { code: 'ECONNREFUSED' });
    }
    assert.equal(noBackendCount(it.node), 1n);
  });

  test(`a pod reaches itself through its service (${family})`, () => {
    using it = scene();
    serve(it.node, TCP, service, [it.server.addresses[family]]);
    using server = tcpServer(it.server, it.server.addresses[family], TARGET_PORT);
    using client = tcpSocket(it.server, number);
    client.connect(service, PORT);
    using accepted = server.accept();
    assert.ok(accepted);
  });

  test(`the node's own processes reach a service (${family})`, () => {
    using it = scene();
    serve(it.node, TCP, service, [it.server.addresses[family]]);
    using server = tcpServer(it.server, it.server.addresses[family], TARGET_PORT);
    using client = tcpSocket(it.node, number);
    client.connect(service, PORT);
    using accepted = server.accept();
    assert.ok(accepted);
  });
}

test('an IPv6 socket reaches an IPv4 service by its mapped address, TCP and UDP', () => {
  using it = scene();
  serve(it.node, TCP, services.ipv4, [it.server.addresses.ipv4]);
  serve(it.node, UDP, services.ipv4, [it.server.addresses.ipv4]);
  using server = tcpServer(it.server, it.server.addresses.ipv4, TARGET_PORT);
  using client = tcpSocket(it.client, 4, { mapped: true });
  client.connect(services.ipv4, PORT);
  assert.equal(client.peer(), formatAddressPort(services.ipv4, PORT));
  using accepted = server.accept();
  assert.ok(accepted);

  using datagrams = udpServer(it.server, it.server.addresses.ipv4, TARGET_PORT);
  using unconnected = udpSocket(it.client, 4, { mapped: true });
  unconnected.sendTo('question', services.ipv4, PORT);
  datagrams.receiveFrom()?.reply('answer');
  assert.equal(unconnected.receiveFrom()?.from, formatAddressPort(services.ipv4, PORT));

  using connected = udpSocket(it.client, 4, { mapped: true });
  connected.connect(services.ipv4, PORT);
  connected.send('question');
  datagrams.receiveFrom()?.reply('answer');
  assert.equal(connected.receiveFrom()?.from, formatAddressPort(services.ipv4, PORT));
  assert.equal(connected.peer(), formatAddressPort(services.ipv4, PORT));
});

test('a datagram to the backend itself is answered by the backend, also after one to the service', () => {
  using it = scene();
  const backend = it.server.addresses.ipv4;
  serve(it.node, UDP, services.ipv4, [backend]);
  using server = udpServer(it.server, backend, TARGET_PORT);
  using client = udpSocket(it.client, 4);
  client.sendTo('to the service', services.ipv4, PORT);
  server.receiveFrom()?.reply('1');
  assert.equal(client.receiveFrom()?.from, formatAddressPort(services.ipv4, PORT));
  client.sendTo('to the backend', backend, TARGET_PORT);
  server.receiveFrom()?.reply('2');
  assert.equal(client.receiveFrom()?.from, formatAddressPort(backend, TARGET_PORT));
});

test('a datagram socket that is connected no more hears the backend from the backend, and the service it asks from that', () => {
  using it = scene();
  const backend = it.server.addresses.ipv4;
  serve(it.node, UDP, services.ipv4, [backend]);
  const other = parseAddress('10.96.0.21');
  const sameBackend = { id: 300, address: backend, port: TARGET_PORT };
  writeService(it.node.datapath.maps, { id: 21, address: other, port: PORT, protocol: UDP, backends: [sameBackend] });
  using server = udpServer(it.server, backend, TARGET_PORT);
  for (const [address, port] of [
    [backend, TARGET_PORT],
    [other, PORT],
  ] as const) {
    using client = udpSocket(it.client, 4);
    client.connect(services.ipv4, PORT);
    client.disconnect();
    client.sendTo('question', address, port);
    server.receiveFrom()?.reply('answer');
    assert.equal(client.receiveFrom()?.from, formatAddressPort(address, port));
    client.connect(services.ipv4, PORT);
    client.sendTo('past the connection', other, PORT);
    client.send('question');
    for (const _ of [1, 2]) server.receiveFrom()?.reply('answer');
    assert.equal(client.peer(), formatAddressPort(services.ipv4, PORT));
    for (const _ of [1, 2]) assert.equal(client.receiveFrom()?.from, formatAddressPort(services.ipv4, PORT));
  }
});

test('a datagram that names the service to which its socket is connected goes to the backend that answers get in from', () => {
  using it = scene();
  const pods = [it.server, ...[12, 13, 14].map((number) => it.node.addPod(number, 990 + number))];
  serve(
    it.node,
    UDP,
    services.ipv4,
    pods.map((pod) => pod.addresses.ipv4),
  );
  using stack = new DisposableStack();
  const servers = pods.map((pod) => stack.use(udpServer(pod, pod.addresses.ipv4, TARGET_PORT)));
  for (let round = 0; round < 8; round += 1) {
    using client = udpSocket(it.client, 4);
    client.connect(services.ipv4, PORT);
    client.sendTo('question', services.ipv4, PORT);
    const received = servers.map((server) => server.receiveNow()).filter((text) => text !== undefined);
    assert.deepEqual(received, ['question']);
    client.send('again');
    assert.deepEqual(
      servers.map((server) => server.receiveNow()).filter((text) => text !== undefined),
      ['again'],
    );
  }
  assert.deepEqual(remembered(it.node), []);
});

test('connect() of a UDP socket to another address forgets the service', () => {
  using it = scene();
  const backend = it.server.addresses.ipv4;
  serve(it.node, UDP, services.ipv4, [backend]);
  using client = udpSocket(it.client, 4);
  client.connect(services.ipv4, PORT);
  client.connect(backend, TARGET_PORT);
  assert.equal(client.peer(), formatAddressPort(backend, TARGET_PORT));
  assert.equal(remembered(it.node).length, 0);
});

test('datagrams of one socket stay with their backend until it is gone', () => {
  using it = scene();
  const [first, second] = [it.server, it.node.addPod(12, 1002)];
  serve(it.node, UDP, services.ipv4, [first.addresses.ipv4, second.addresses.ipv4]);
  using one = udpServer(first, first.addresses.ipv4, TARGET_PORT);
  using other = udpServer(second, second.addresses.ipv4, TARGET_PORT);
  using client = udpSocket(it.client, 4);
  const receivers = () => [one, other].map((server) => count(server));
  for (let sent = 0; sent < 16; sent += 1) client.sendTo('x', services.ipv4, PORT);
  const [toFirst = 0, toSecond = 0] = receivers();
  assert.deepEqual([toFirst, toSecond].sort(numerically), [0, 16]);
  // The next generation has only the other backend.
  const remaining = toFirst === 0 ? first : second;
  writeService(it.node.datapath.maps, {
    id: UDP,
    generation: 2,
    address: services.ipv4,
    port: PORT,
    protocol: UDP,
    backends: [{ id: UDP * 100 + (remaining === first ? 0 : 1), address: remaining.addresses.ipv4, port: TARGET_PORT }],
  });
  client.sendTo('x', services.ipv4, PORT);
  assert.deepEqual(receivers(), remaining === first ? [1, 0] : [0, 1]);
});

function count(server: TestSocket): number {
  let received = 0;
  while (server.receiveNow() !== undefined) received += 1;
  return received;
}

test('a socket that talks to more services than it has places for forgets the one it sent by longest ago', () => {
  using it = scene();
  using server = udpServer(it.server, it.server.addresses.ipv4, TARGET_PORT);
  using client = udpSocket(it.client, 4);
  const addresses = Array.from({ length: 9 }, (_, index) => parseAddress(`10.96.0.${index + 1}`));
  using others = new DisposableStack();
  for (const [index, address] of addresses.entries()) {
    const port = TARGET_PORT + index;
    if (index > 0) others.use(udpServer(it.server, it.server.addresses.ipv4, port));
    const backend = { id: 200 + index, address: it.server.addresses.ipv4, port };
    writeService(it.node.datapath.maps, { id: 20 + index, address, port: PORT, protocol: UDP, backends: [backend] });
    client.sendTo('x', address, PORT);
  }
  const frontends = remembered(it.node).map(({ translation }) => translation.frontend);
  assert.deepEqual(frontends.sort(), addresses.slice(1).sort());
  assert.ok(server.receiveNow() !== undefined);
});

test('a connected datagram socket whose backend is gone is told by its next datagram, on this node and another', () => {
  using it = scene();
  using elsewhere = createTestNode(2);
  connectNodes(it.node, elsewhere);
  const remote = elsewhere.addPod(10, 1005);
  const pods = [
    [it.server, it.node],
    [remote, elsewhere],
  ] as const;
  for (const [pod, node] of pods) {
    serve(it.node, UDP, services.ipv4, [pod.addresses.ipv4]);
    using server = udpServer(pod, pod.addresses.ipv4, TARGET_PORT);
    using client = udpSocket(it.client, 4);
    client.connect(services.ipv4, PORT);
    client.send('there?');
    server.receiveFrom()?.reply('here');
    assert.equal(client.receive(), 'here');
    for (const address of Object.values(pod.addresses)) node.datapath.maps.endpoints.delete(address);
    client.send('there?');
    assert.throws(() => client.receive(), /ECONNREFUSED/);
  }
});

test('affinity keeps a client with its backend for all its sockets; the client is the pod, or the node', () => {
  using it = scene();
  const { affinities, netnsEndpoints } = it.node.datapath.maps;
  const servers = [it.server, it.node.addPod(12, 1002), it.node.addPod(13, 1003)];
  const { ipv4, ipv6 } = it.client.addresses;
  netnsEndpoints.update(netnsCookie(it.client), { endpointId: 10, identity: it.client.identity, ipv4, ipv6 });
  serveSticky(it.node, 1, servers);
  using stack = new DisposableStack();
  const sockets = servers.map((pod) => stack.use(udpServer(pod, pod.addresses.ipv4, TARGET_PORT)));
  for (const place of [it.client, it.node]) {
    sendFromNewSockets(place, 30);
    assert.deepEqual(sockets.map(count).sort(numerically), [0, 0, 30]);
  }
  const clients = [...affinities.entries()].map(([{ client }]) => client);
  assert.deepEqual(clients.sort(), [ipv4, it.node.router.ipv4].sort());
});

test('affinity follows the service: a backend that stays keeps its clients, one that goes loses them', () => {
  using it = scene();
  const servers = [it.server, it.node.addPod(12, 1002), it.node.addPod(13, 1003)];
  serveSticky(it.node, 1, servers);
  using stack = new DisposableStack();
  const sockets = servers.map((pod) => stack.use(udpServer(pod, pod.addresses.ipv4, TARGET_PORT)));
  sendFromNewSockets(it.client, 1);
  const chosen = sockets.map(count).indexOf(1);
  const another = (chosen + 1) % servers.length;
  serveSticky(it.node, 2, servers, (index) => index === chosen || index === another);
  sendFromNewSockets(it.client, 20);
  assert.equal(sockets.map(count)[chosen], 20);
  serveSticky(it.node, 3, servers, (index) => index === another);
  sendFromNewSockets(it.client, 20);
  assert.equal(sockets.map(count)[another], 20);
});

test('a client is not led to another service by the number that its backend had, however many backends there are', () => {
  using it = scene();
  const [stranger, stays] = [it.node.addPod(12, 1002), it.node.addPod(13, 1003)];
  using first = udpServer(it.server, it.server.addresses.ipv4, TARGET_PORT);
  using foreign = udpServer(stranger, stranger.addresses.ipv4, TARGET_PORT);
  using kept = udpServer(stays, stays.addresses.ipv4, TARGET_PORT);
  const backend = (id: number, { addresses }: TestPod) => ({ id, address: addresses.ipv4, port: TARGET_PORT });
  const many = Array.from({ length: MANY }, (_, index) => ({ ...backend(1000 + index, stays), port: 20_000 + index }));
  writeSticky(it.node, 1, [backend(100, it.server)]);
  sendFromNewSockets(it.client, 1);
  assert.equal(count(first), 1);
  writeSticky(it.node, 2, many);
  const { address, port } = backend(100, stranger);
  it.node.datapath.maps.backends.update(100, { address, port, protocol: UDP, state: BackendState.Active });
  sendFromNewSockets(it.client, 20);
  assert.equal(count(foreign), 0);
  writeSticky(it.node, 3, [backend(101, stays)]);
  sendFromNewSockets(it.client, 1);
  writeSticky(it.node, 4, [...many, backend(101, stays)]);
  sendFromNewSockets(it.client, 20);
  assert.equal(count(kept), 21);
});

function serveSticky(
  node: TestNode,
  generation: number,
  servers: readonly TestPod[],
  isBackend: (index: number) => boolean = () => true,
): void {
  const backends = servers.map(({ addresses }, index) => ({
    id: 100 + index,
    address: addresses.ipv4,
    port: TARGET_PORT,
  }));
  writeSticky(
    node,
    generation,
    backends.filter((_, index) => isBackend(index)),
  );
}

function writeSticky(node: TestNode, generation: number, backends: TestService['backends']): void {
  writeService(node.datapath.maps, {
    ...{ id: 7, generation, address: services.ipv4, port: PORT, protocol: UDP, affinitySeconds: 60 },
    backends,
  });
}

function sendFromNewSockets(place: Place, times: number): void {
  for (let sent = 0; sent < times; sent += 1) {
    using client = udpSocket(place, 4);
    client.sendTo('x', services.ipv4, PORT);
  }
}

function numerically(a: number, b: number): number {
  return a - b;
}

/** Takes the places of all sockets to come, as sockets would whose cookies are the same modulo their number. */
function takeAllPlaces(node: TestNode): void {
  const { connectedSockets } = node.datapath.maps;
  const nobody = { address: parseAddress('192.0.2.1'), port: 1 };
  const row = { backendId: 0, frontend: nobody.address, backend: nobody.address, frontendPort: 1, backendPort: 1 };
  const others = { generation: 0, netnsCookie: 0n, protocol: TCP, round: 0xffff_ffff, lock: { val: 0 } };
  for (const [index] of connectedSockets.entries()) connectedSockets.update(index, { ...row, ...others });
}

test('a connected socket has a place, and a storage of its own where another socket has the place', async () => {
  using it = scene();
  serve(it.node, UDP, services.ipv4, [it.server.addresses.ipv4]);
  const kept = () =>
    (['connected_sockets', 'connected_translations'] as const).map(
      (name) => it.node.datapath.inspection().translations(name).length,
    );
  using placed = udpSocket(it.client, 4);
  placed.connect(services.ipv4, PORT);
  assert.deepEqual(kept(), [1, 0]);
  const [found] = it.node.datapath.inspection().translations('connected_sockets');
  assert.equal(found?.netnsCookie, netnsCookie(it.client));
  assert.equal(found.protocol, UDP);
  placed[Symbol.dispose]();
  assert.deepEqual(kept(), [0, 0]);
  takeAllPlaces(it.node);
  using crowded = udpSocket(it.client, 4);
  crowded.connect(services.ipv4, PORT);
  assert.deepEqual(kept(), [0, 1]);
  assert.equal(crowded.peer(), formatAddressPort(services.ipv4, PORT));
  crowded[Symbol.dispose]();
  await assertSettled(it.node, 0);
});

test('a socket of the kernel, of whose end nobody is told, takes no place: a subflow of Multipath TCP', async () => {
  using it = scene();
  serve(it.node, TCP, services.ipv4, [it.server.addresses.ipv4]);
  using server = tcpServer(it.server, it.server.addresses.ipv4, TARGET_PORT);
  using client = tcpSocket(it.client, 4, { protocol: IPPROTO_MPTCP });
  client.connect(services.ipv4, PORT);
  using accepted = server.accept();
  client.send('question');
  assert.equal(accepted?.receive(), 'question');
  const { length } = it.node.datapath.inspection().translations('connected_translations');
  assert.deepEqual([remembered(it.node).length, length], [1, 1]);
  client[Symbol.dispose]();
  accepted[Symbol.dispose]();
  await assertSettled(it.node, 0);
});

test('no translation outlives its socket: closed, aborted or killed', async () => {
  using it = scene();
  serve(it.node, TCP, services.ipv4, [it.server.addresses.ipv4]);
  serve(it.node, UDP, services.ipv6, [it.server.addresses.ipv6]);
  using server = tcpServer(it.server, it.server.addresses.ipv4, TARGET_PORT);
  const accepted: Disposable[] = [];
  // A socket whose FIN is acknowledged while its owner is still in close() stays, whole, until this has passed
  // (tcp_rcv_state_process): seldom here, and not so seldom on an emulated machine.
  it.client.namespace.run(() => writeFileSync('/proc/sys/net/ipv4/tcp_fin_timeout', '1'));
  for (let round = 0; round < 300; round += 1) {
    const client = tcpSocket(it.client, 4);
    client.connect(services.ipv4, PORT);
    const other = server.accept();
    if (other !== undefined) accepted.push(other);
    if (round === 0) assert.equal(remembered(it.node).length, 1);
    if (round % 2 === 0) client.abort();
    else client[Symbol.dispose]();
    using datagram = udpSocket(it.client, 6);
    datagram.sendTo('x', services.ipv6, PORT);
  }
  const process = await connectInProcess(it, services.ipv4, PORT);
  await assertSettled(it.node, 1);
  process.kill('SIGKILL');
  await once(process, 'exit');
  for (const other of accepted) other[Symbol.dispose]();
  await assertSettled(it.node, 0);
});

const SETTLE_MS = 30_000;

/** The last segments of a closed connection, and RCU, let go of a socket a moment after its owner did. */
async function assertSettled(node: TestNode, expected: number): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  let left = remembered(node);
  while (left.length !== expected && performance.now() < end) {
    await delay(10);
    left = remembered(node);
  }
  assert.equal(left.length, expected, inspect(left, { depth: 4 }));
}
