// Connections of one client to one backend that differ by the frontend alone: the later one gets another port.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bind, internetAddress, SocketLevel, SocketOption, setsockopt } from '@sluice/ffi';
import {
  type Address,
  addressToWire,
  formatAddressPort,
  type Packet,
  packet,
  parseAddress,
  parsePacket,
} from '@sluice/net';
import { systemClock } from '@sluice/runtime';
import { dropsOf, type TestPod, TUNNEL_MTU } from '../test/node.ts';
import { TCP, writeService } from '../test/services.ts';
import { type Place, past, type TestSocket, tcpServer, tcpSocket } from '../test/sockets.ts';
import { createTwoNodes } from '../test/two-nodes.ts';
import { capture, inject } from '../test/wire.ts';
import { type Connection, CtKind, CtState, collectConnections, FrontendFlag, type Tuple, Way } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
type Family = (typeof families)[number][1];

const scene = createTwoNodes();
after(() => scene[Symbol.dispose]());
const { node, world, pods } = scene;
for (const pod of Object.values(pods)) pod.setMtu(TUNNEL_MTU);
for (const destination of ['203.0.113.0/24', '2001:db8:113::/64']) world.addRoute(destination);
const { conntrack, conntrackNew } = node.datapath.maps;

let services = 0;

interface End {
  readonly address: Address;
  readonly port: number;
}

const networks = {
  cluster: { ipv4: '10.96.1.', ipv6: 'fd00:10:96::1' },
  balancers: { ipv4: '203.0.113.', ipv6: '2001:db8:113::' },
} as const;

/** A service of its own for each frontend. */
function serve(family: Family, backend: End, network: keyof typeof networks = 'cluster'): End {
  services += 1;
  const address = parseAddress(networks[network][family] + services.toString(family === 'ipv4' ? 10 : 16));
  const backends = [{ id: services, ...backend }];
  const row = { id: services, address, port: 80, protocol: TCP, flags: FrontendFlag.External, backends };
  writeService(node.datapath.maps, row);
  return { address, port: 80 };
}

let ports = 41_000;

/** Of the client: none that another test has had. */
function newPort(): number {
  ports += 1;
  return ports;
}

interface Link extends Disposable {
  readonly client: TestSocket;
  readonly server: TestSocket;
  /** The client's, as the backend has it. */
  readonly seen: End;
}

function endOf(text: string): End {
  const colon = text.lastIndexOf(':');
  return { address: parseAddress(text.slice(0, colon).replace(/[[\]]/g, '')), port: Number(text.slice(colon + 1)) };
}

interface Opening {
  readonly place: Place;
  readonly from: End;
  readonly to: End;
  readonly listening: TestSocket;
}

function open({ place, from, to, listening }: Opening): Link {
  const client = tcpSocket(place, from.address.includes(':') ? 6 : 4);
  setsockopt(client.fd, SocketLevel.SOCKET, SocketOption.REUSEADDR, 1);
  bind(client.fd, internetAddress(addressToWire(from.address), from.port));
  client.connect(to.address, to.port);
  const server = listening.accept() ?? assert.fail('nobody came');
  return {
    client,
    server,
    seen: endOf(server.peer()),
    [Symbol.dispose]() {
      client[Symbol.dispose]();
      server[Symbol.dispose]();
    },
  };
}

const LENGTH = 60_000;

/** Both ways, and more than one packet of it. */
function exchange({ client, server }: Link, word: string): void {
  client.send(word);
  assert.equal(server.receive(), word);
  server.send(word.repeat(Math.ceil(LENGTH / word.length)));
  let received = '';
  while (received.length < LENGTH) received += client.receive() ?? assert.fail(`${received.length} bytes came`);
  assert.ok(received.startsWith(word.repeat(2)));
}

/** They are open at the same time, and none disturbs the other, nor by its end. */
function exchangeInTurn(links: readonly Link[]): void {
  for (const turn of ['a', 'b']) for (const [index, link] of links.entries()) exchange(link, `${turn}${index};`);
  for (const [index, link] of links.entries()) {
    link.client[Symbol.dispose]();
    assert.equal(link.server.receive(), '', 'the end arrives');
    for (const other of links.slice(index + 1)) exchange(other, `after ${index};`);
  }
}

const conflicts = () => dropsOf(node).nat_conflict ?? 0;
const rows = () => [...conntrack.entries(), ...conntrackNew.entries()];

/** In the middle of their conversation: a client's two connections, by two frontends. */
function openTwo(
  family: Family,
  server: TestPod,
): { first: Link; second: Link; two: End; backend: End; from: End } & Disposable {
  using stack = new DisposableStack();
  const backend = { address: server.addresses[family], port: 8080 };
  const [one, two] = [serve(family, backend), serve(family, backend)];
  const from = { address: pods.client.addresses[family], port: newPort() };
  const listening = stack.use(tcpServer(server, backend.address, backend.port));
  const opening = { place: past(pods.client), from, listening };
  const [first, second] = [stack.use(open({ ...opening, to: one })), stack.use(open({ ...opening, to: two }))];
  const owned = stack.move();
  return { first, second, two, backend, from, [Symbol.dispose]: () => owned.dispose() };
}

for (const [, family] of families) {
  const backendOn = (pod: TestPod): End => ({ address: pod.addresses[family], port: 8080 });

  for (const [who, place, address] of [
    ['a pod', past(pods.client), pods.client.addresses[family]],
    ["the node's own process", past(node), node.router[family]],
    ['who is outside', world, world.addresses[family]],
  ] as const) {
    for (const [where, server] of [
      ['of this node', pods.server],
      ['of another node', pods.far],
    ] as const) {
      test(`${who} reaches a backend ${where} by three frontends with one port (${family})`, () => {
        const backend = backendOn(server);
        const network = who === 'who is outside' ? 'balancers' : 'cluster';
        const frontends = [1, 2, 3].map(() => serve(family, backend, network));
        const from = { address, port: newPort() };
        using listening = tcpServer(server, backend.address, backend.port);
        using stack = new DisposableStack();
        const links = frontends.map((to) => stack.use(open({ place, from, to, listening })));
        assert.equal(new Set(links.map(({ seen }) => `${seen.address} ${seen.port}`)).size, 3);
        // Whoever comes through the tunnel from outside has the gateway's address; all others their own.
        const seenAs = who === 'who is outside' && server === pods.far ? node.router[family] : address;
        for (const { seen } of links) assert.equal(seen.address, seenAs);
        assert.equal(links[0]?.seen.port, from.port);
        for (const [index, { client }] of links.entries()) {
          const { address, port } = frontends[index] ?? assert.fail();
          assert.equal(client.peer(), formatAddressPort(address, port));
        }
        exchangeInTurn(links);
      });
    }
  }

  test(`what came from outside outlives its services, by whichever port (${family})`, () => {
    const { frontends } = node.datapath.maps;
    for (const server of [pods.server, pods.far]) {
      const backend = backendOn(server);
      const [one, two] = [serve(family, backend, 'balancers'), serve(family, backend, 'balancers')];
      const from = { address: world.addresses[family], port: newPort() };
      using listening = tcpServer(server, backend.address, backend.port);
      const opening = { place: world, from, listening };
      using first = open({ ...opening, to: one });
      using second = open({ ...opening, to: two });
      exchange(second, 'established;');
      for (const { address, port } of [one, two]) {
        assert.ok(frontends.delete({ address, port, protocol: TCP, scope: 0 }));
        frontends.delete({ address, port: 0, protocol: 0, scope: 0 });
      }
      for (const turn of ['1;', '2;']) for (const link of [first, second]) exchange(link, `alone ${turn}`);
    }
  });

  test(`who has come to a backend itself comes to it by a frontend with the same port (${family})`, () => {
    for (const server of [pods.server, pods.far]) {
      const backend = backendOn(server);
      const frontend = serve(family, backend);
      const from = { address: pods.client.addresses[family], port: newPort() };
      using listening = tcpServer(server, backend.address, backend.port);
      const opening = { place: past(pods.client), from, listening };
      using direct = open({ ...opening, to: backend });
      using by = open({ ...opening, to: frontend });
      assert.deepEqual(direct.seen, from);
      assert.notEqual(by.seen.port, from.port);
      exchangeInTurn([direct, by]);
    }
  });

  test(`who has come to a backend by a frontend comes to it itself with the same port (${family})`, () => {
    for (const server of [pods.server, pods.far]) {
      const backend = backendOn(server);
      const frontend = serve(family, backend);
      const from = { address: pods.client.addresses[family], port: newPort() };
      using listening = tcpServer(server, backend.address, backend.port);
      const opening = { place: past(pods.client), from, listening };
      using by = open({ ...opening, to: frontend });
      using direct = open({ ...opening, to: backend });
      assert.deepEqual(by.seen, from);
      assert.equal(direct.seen.address, from.address);
      assert.notEqual(direct.seen.port, from.port);
      exchange(by, 'by;');
      exchange(direct, 'direct;');
      // Of the first nothing is left, or nothing that counts.
      by.client.abort();
      for (const table of [conntrack, conntrackNew])
        for (const [tuple, row] of table.entries())
          if (row.dnat.address === frontend.address) {
            if (server === pods.far) table.update(tuple, { ...row, expiresNs: 1n });
            else table.delete(tuple);
          }
      exchange(direct, 'alone;');
    }
  });

  test(`without a frontend a port is given for one backend at a time (${family})`, () => {
    const backends = [backendOn(pods.server), { ...backendOn(pods.server), port: 8081 }] as const;
    const from = { address: pods.client.addresses[family], port: newPort() };
    using stack = new DisposableStack();
    const [one, two] = backends.map((backend) => {
      const listening = stack.use(tcpServer(pods.server, backend.address, backend.port));
      const opening = { place: past(pods.client), from, listening };
      const link = stack.use(open({ ...opening, to: serve(family, backend) }));
      return { link, direct: { ...opening, to: backend } };
    });
    if (!one || !two) assert.fail();
    const direct = open(one.direct);
    const before = conflicts();
    assert.throws(() => open(two.direct));
    assert.ok(conflicts() > before);
    exchangeInTurn([direct, one.link, two.link]);
  });

  test(`a port that was given is another connection's like any other (${family})`, () => {
    const backend = backendOn(pods.server);
    const [one, two] = [serve(family, backend), serve(family, backend)];
    const from = { address: pods.client.addresses[family], port: newPort() };
    using listening = tcpServer(pods.server, backend.address, backend.port);
    const opening = { place: past(pods.client), listening };
    using first = open({ ...opening, from, to: one });
    using second = open({ ...opening, from, to: two });
    using third = open({ ...opening, from: second.seen, to: one });
    assert.equal(new Set([first, second, third].map(({ seen }) => seen.port)).size, 3);
    exchangeInTurn([first, second, third]);
  });

  test(`who comes again when all have ended has his own port (${family})`, () => {
    const backend = backendOn(pods.server);
    const [one, two] = [serve(family, backend), serve(family, backend)];
    const from = { address: pods.client.addresses[family], port: newPort() };
    using listening = tcpServer(pods.server, backend.address, backend.port);
    const opening = { place: past(pods.client), from, listening };
    for (const link of [open({ ...opening, to: one }), open({ ...opening, to: two })]) {
      link.client.abort();
      link.server[Symbol.dispose]();
    }
    using again = open({ ...opening, to: two });
    assert.deepEqual(again.seen, from);
    // And who was led there by the other one before is not taken for this one.
    using other = open({ ...opening, to: one });
    assert.notEqual(other.seen.port, from.port);
    exchangeInTurn([again, other]);
  });

  test(`what leads to the port that was given is kept with its connection, in the safe table (${family})`, async () => {
    using links = openTwo(family, pods.server);
    exchange(links.second, 'established;');
    const later = { ...systemClock, monotonicNs: () => systemClock.monotonicNs() + 60_000_000_000n };
    await collectConnections(node.datapath.maps, later);
    const found = [...conntrack.entries()].filter(([{ sourcePort }]) => {
      return sourcePort === links.from.port || sourcePort === links.second.seen.port;
    });
    const aliases = found.filter(([, { kind }]) => kind === CtKind.DnatAlias).map(([, { snat }]) => snat.port);
    assert.deepEqual(aliases.toSorted(), [0, links.second.seen.port]);
    assert.deepEqual(found.map(([, { clientPort }]) => clientPort).toSorted(), [0, 0, 0, links.from.port]);
    exchangeInTurn([links.first, links.second]);
  });

  test(`errors about its packets are told to each of them by the port that it knows (${family})`, () => {
    using links = openTwo(family, pods.server);
    const { second, two, backend, from } = links;
    const atClient = quotedTo(pods.client, { from: pods.server, source: second.seen, destination: backend, family });
    assert.deepEqual(atClient, { source: from, destination: two });
    const atServer = quotedTo(pods.server, { from: pods.client, source: two, destination: from, family });
    assert.deepEqual(atServer, { source: backend, destination: second.seen });
  });

  test(`a dry run gives another port as well, and notes nothing (${family})`, () => {
    using links = openTwo(family, pods.server);
    const third = serve(family, links.backend);
    const before = rows().length;
    const ends = { source: links.from.address, destination: third.address };
    const frame = packet().ethernet({ source: pods.client.mac, destination: node.configuration.hostMac });
    const segment = (family === 'ipv4' ? frame.ipv4(ends) : frame.ipv6(ends)).tcp({
      sourcePort: links.from.port,
      destinationPort: third.port,
      flags: 'S',
    });
    const question = { program: 'pod_from_pod', ifindex: pods.client.ifindex, bytes: segment.payload() } as const;
    const { explanation } = node.namespace.run(() => node.datapath.dryRun().packet(question));
    assert.equal(explanation?.way, Way.Pod);
    assert.equal(explanation?.tuple.source, links.from.address);
    for (const { seen } of [links.first, links.second]) assert.notEqual(explanation?.tuple.sourcePort, seen.port);
    assert.equal(rows().length, before);
  });

  test(`where all ports are taken towards a backend the client is refused (${family})`, () => {
    const backend = backendOn(pods.server);
    const frontend = serve(family, backend);
    const [source, destination] = [pods.client.addresses[family], backend.address];
    const tuples = Array.from({ length: 65_536 }, (_, sourcePort): Tuple => {
      return { source, sourcePort, destination, destinationPort: backend.port, protocol: TCP };
    });
    conntrack.updateBatch(tuples.map((tuple) => [tuple, established] as const));
    using _rows = { [Symbol.dispose]: () => void conntrack.deleteBatch(tuples) };
    const exhausted = () => dropsOf(node).nat_exhausted ?? 0;
    const before = exhausted();
    using listening = tcpServer(pods.server, backend.address, backend.port);
    const from = { address: source, port: newPort() };
    assert.throws(() => open({ place: past(pods.client), from, to: frontend, listening }));
    assert.ok(exhausted() > before);
  });
}

const nobody = { address: undefined, port: 0 };
const established: Connection = {
  ...{ state: CtState.Established, kind: CtKind.Connection, createdNs: 1n, expiresNs: 1n << 62n },
  ...{
    packets: [3n, 2n],
    bytes: [180n, 120n],
    tcpFlags: [0x12, 0x12],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
  },
  ...{ sourceIdentity: 1000, destinationIdentity: 1001, backendId: 0, generation: 0, dnat: nobody, snat: nobody },
};

interface Quoted {
  readonly from: TestPod;
  readonly source: End;
  readonly destination: End;
  readonly family: Family;
}

/** A pod says that a packet which it was sent is too big. What the other one hears was quoted. */
function quotedTo(to: TestPod, { from, source, destination, family }: Quoted) {
  using frames = capture(to.namespace, 2);
  const build = (ends: { source: Address; destination: Address }) => {
    const frame = packet().ethernet({ source: from.mac, destination: node.configuration.hostMac });
    return family === 'ipv4' ? frame.ipv4(ends) : frame.ipv6(ends);
  };
  const ports = { sourcePort: source.port, destinationPort: destination.port, flags: 'A' };
  const quotation = build({ source: source.address, destination: destination.address }).tcp(ports);
  const error = build({ source: from.addresses[family], destination: source.address });
  const tooBig =
    family === 'ipv4' ? error.icmp({ type: 3, code: 4, sequence: 1400 }) : error.icmpv6({ type: 2, sequence: 1400 });
  inject(from.namespace, 2, tooBig.payload(quotation.payload().slice(14)));
  const icmpOf = (found: Packet) => (family === 'ipv4' ? found.icmp : found.icmpv6);
  const found = frames
    .frames()
    .map((bytes) => icmpOf(parsePacket(bytes)))
    .find((icmp) => icmp?.embedded?.tcp !== undefined);
  assert.equal(found?.checksumValid, true);
  const { [family]: network, tcp } = found?.embedded ?? {};
  return {
    source: { address: network?.source, port: tcp?.sourcePort ?? 0 },
    destination: { address: network?.destination, port: tcp?.destinationPort ?? 0 },
  };
}

test('nothing was dropped that was not meant to be', () => {
  assert.deepEqual(Object.keys(dropsOf(node)).toSorted(), ['nat_conflict', 'nat_exhausted']);
  assert.deepEqual(Object.keys(dropsOf(scene.remote)), []);
});
