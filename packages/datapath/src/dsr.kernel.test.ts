// Direct server return: a client with a cable to each of two nodes asks the first, and the second has the backend.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  addressOf,
  bind,
  getsockopt,
  internetAddress,
  ioctl,
  isSystemError,
  SocketLevel,
  SocketOption,
  setsockopt,
} from '@sluice/ffi';
import {
  type Address,
  addressToWire,
  formatAddressPort,
  type PacketBuilder,
  packet,
  parseAddress,
  parsePacket,
} from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { connectNodes, createTestNode, dropsOf, type TestNode, type TestPod, VXLAN_PORT } from '../test/node.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { type Place, type TestSocket, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { capture, inject } from '../test/wire.ts';
import { connectWorld, joinWorld } from '../test/world.ts';
import { CtFlag, FrontendFlag } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
type Family = (typeof families)[number][1];
const TARGET_PORT = 8080;
const ATTEMPTS = 4;
const WORLD = 2;
const balancer = { ipv4: parseAddress('203.0.113.5'), ipv6: parseAddress('2001:db8:113::5') } as const;
const unspecified = { ipv4: parseAddress('0.0.0.0'), ipv6: parseAddress('::') } as const;

const asked = createTestNode(1);
const serving = createTestNode(2);
connectNodes(asked, serving);
const world = connectWorld(asked);
for (const destination of ['203.0.113.0/24', '2001:db8:113::/64']) world.addRoute(destination);
const second = joinWorld(world, serving);
for (const node of [asked, serving]) {
  const { ifindex = 0 } = node.netlink.links.get('lan0') ?? {};
  node.datapath.maps.devices.update(ifindex, node.addresses);
  node.namespace.run(() => node.datapath.attachNetworkDevice('lan0', ifindex));
}
const here = asked.addPod(10, 1000);
const pod = serving.addPod(10, 1001);
const neighbour = serving.addPod(11, 1002);
after(() => {
  world[Symbol.dispose]();
  asked[Symbol.dispose]();
  serving[Symbol.dispose]();
});

let numbers = 0;

interface Serving {
  readonly address: Address;
  readonly protocol: number;
  readonly backend?: Address;
  readonly port?: number;
  readonly targetPort?: number;
  readonly isDsr?: boolean;
  /** Whose service it is; default the asked node's. */
  readonly on?: TestNode;
}

/** Returns its port. The same again is a change of the service. */
function serve({ address, protocol, backend, isDsr = true, on = asked, ...given }: Serving): number {
  numbers += 1;
  const port = given.port ?? 30_000 + numbers;
  writeService(on.datapath.maps, {
    ...{ id: numbers, address, port, protocol, generation: numbers },
    flags: FrontendFlag.External | (isDsr ? FrontendFlag.Dsr : 0),
    backends: backend === undefined ? [] : [{ id: numbers, address: backend, port: given.targetPort ?? TARGET_PORT }],
  });
  return port;
}

function isFrom(address: Address): RegExp {
  return new RegExp(`^\\[?${address}\\]?:`);
}

/** A datagram there and back; whom the server saw. */
function ask(client: TestSocket, server: TestSocket): string | undefined {
  client.send('ask');
  const received = server.receiveFrom();
  received?.reply('answer');
  assert.equal(client.receive(), 'answer');
  return received?.from;
}

function connected(place: Place, version: 4 | 6, target: Address, port: number): TestSocket {
  const socket = udpSocket(place, version);
  socket.connect(target, port);
  return socket;
}

function receiveAll(socket: TestSocket | undefined, length: number): void {
  let received = 0;
  while (received < length) received += socket?.receive()?.length ?? assert.fail(`${received} bytes came`);
}

/** As if it were long ago that the backends' nodes have been told. */
function forgetTold(node: TestNode): void {
  const { conntrack, conntrackNew } = node.datapath.maps;
  for (const map of [conntrack, conntrackNew])
    for (const [tuple, connection] of [...map.entries()]) map.update(tuple, { ...connection, told: 0 });
}

const forgedPort = 4242;

/** The option as a node would have it, of a frontend that nobody has. */
function forged(family: Family, ends: { source: Address; destination: Address }): PacketBuilder {
  const option = new Uint8Array(family === 'ipv4' ? 8 : 22);
  const view = new DataView(option.buffer);
  view.setUint16(0, family === 'ipv4' ? 0x9a08 : 0x1b12);
  view.setUint16(family === 'ipv4' ? 2 : 18, forgedPort);
  option.set([192, 0, 2, 66], 4);
  if (family === 'ipv6') view.setUint16(20, 0x0100);
  const frame = packet().ethernet({ source: world.mac, destination: world.nodeMac });
  if (family === 'ipv4') return frame.ipv4({ ...ends, options: option });
  return frame.ipv6({ ...ends, extensions: [{ kind: 'destinationOptions', data: option }] });
}

const conflicts = (node: TestNode) => dropsOf(node).nat_conflict ?? 0;

/** With the port of one that is connected. */
function sharing(connected: TestSocket, accepted: TestSocket | undefined, version: 4 | 6, family: Family): TestSocket {
  const socket = tcpSocket(world, version);
  for (const { fd } of [connected, socket]) setsockopt(fd, SocketLevel.SOCKET, SocketOption.REUSEADDR, 1);
  const port = Number(accepted?.peer().split(':').at(-1));
  bind(socket.fd, internetAddress(addressToWire(world.addresses[family]), port));
  return socket;
}

const forgeries = (node: TestNode) => dropsOf(node).forged_dsr_option ?? 0;

for (const [version, family] of families) {
  const client = isFrom(world.addresses[family]);
  const gateway = isFrom(asked.router[family]);

  for (const [what, target, address] of [
    ['a NodePort', world.nodeAddresses[family], unspecified[family]],
    ['an address of a load balancer', balancer[family], balancer[family]],
  ] as const) {
    test(`by ${what} a pod of another node sees the client's address, and answers it itself (${family})`, () => {
      const port = serve({ address, protocol: UDP, backend: pod.addresses[family] });
      using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
      using socket = connected(world, version, target, port);
      using direct = capture(world.namespace, second.wanIfindex);
      for (let time = 0; time < 3; time += 1) assert.match(String(ask(socket, server)), client);
      const answers = direct.frames().map((frame) => parsePacket(frame));
      assert.equal(answers.filter(({ udp }) => udp?.sourcePort === port).length, 3);
    });

    test(`a connection by ${what} carries data both ways and ends (${family})`, () => {
      const port = serve({ address, protocol: TCP, backend: pod.addresses[family] });
      using server = tcpServer(pod, pod.addresses[family], TARGET_PORT);
      using socket = tcpSocket(world, version);
      socket.connect(target, port);
      using accepted = server.accept();
      assert.match(accepted?.peer() ?? '', client);
      socket.send('x'.repeat(60_000));
      receiveAll(accepted, 60_000);
      accepted?.send('y'.repeat(60_000));
      receiveAll(socket, 60_000);
      assert.equal(socket.peer(), formatAddressPort(target, port));
      accepted?.[Symbol.dispose]();
      assert.equal(socket.receive(), '');
    });

    test(`a datagram of many fragments comes in by ${what} and another one goes back (${family})`, () => {
      const port = serve({ address, protocol: UDP, backend: pod.addresses[family] });
      using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
      using socket = connected(world, version, target, port);
      // What fits beside the option is learnt by the first; IPv6 tells the sender of it by an error.
      for (let attempt = 0; ; attempt += 1) {
        try {
          socket.send('x'.repeat(20_000));
        } catch (error) {
          if (!isSystemError(error, 'EMSGSIZE') || attempt >= ATTEMPTS) throw error;
        }
        const received = server.receiveFrom();
        if (received === undefined && attempt < ATTEMPTS) continue;
        assert.equal(received?.text.length, 20_000);
        assert.match(received.from, client);
        received.reply('y'.repeat(30_000));
        assert.equal(socket.receive()?.length, 30_000);
        break;
      }
    });

    test(`without backends ${what} refuses who comes from outside (${family})`, () => {
      const port = serve({ address, protocol: TCP });
      using socket = tcpSocket(world, version);
      assert.throws(() => socket.connect(target, port), /ECONNREFUSED/);
    });

    test(`by ${what} a process of another node sees the client's address, and answers as the service (${family})`, () => {
      for (const protocol of [UDP, TCP]) {
        const port = serve({ address, protocol, backend: serving.addresses[family], targetPort: 9000 + version });
        if (protocol === UDP) {
          using server = udpServer(serving, serving.addresses[family], 9000 + version);
          using socket = connected(world, version, target, port);
          assert.match(String(ask(socket, server)), client);
          continue;
        }
        using server = tcpServer(serving, serving.addresses[family], 9000 + version);
        using socket = tcpSocket(world, version);
        socket.connect(target, port);
        using accepted = server.accept();
        assert.match(accepted?.peer() ?? '', client);
        accepted?.send('hello');
        assert.equal(socket.receive(), 'hello');
      }
    });
  }

  test(`one service is answered directly, another one by the asked node (${family})`, () => {
    using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
    for (const [isDsr, seen] of [
      [true, client],
      [false, gateway],
    ] as const) {
      const port = serve({ address: balancer[family], protocol: UDP, backend: pod.addresses[family], isDsr });
      using socket = connected(world, version, balancer[family], port);
      assert.match(String(ask(socket, server)), seen);
    }
  });

  test(`each datagram of a socket is answered by the service that it named (${family})`, () => {
    const common = { address: balancer[family], protocol: UDP, backend: pod.addresses[family] };
    const named = [serve(common), serve(common)];
    using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
    using socket = udpSocket(world, version);
    for (const port of [...named, ...named]) {
      socket.sendTo('ask', balancer[family], port);
      server.receiveFrom()?.reply('answer');
      assert.match(socket.receiveFrom()?.from ?? '', new RegExp(`:${port}$`));
    }
  });

  test(`datagrams that are cut by the device arrive one by one (${family})`, () => {
    const port = serve({ address: balancer[family], protocol: UDP, backend: pod.addresses[family] });
    using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
    using socket = connected(world, version, balancer[family], port);
    setsockopt(socket.fd, UDP, UDP_SEGMENT, new Uint8Array(Int32Array.of(1000).buffer));
    socket.send('x'.repeat(4_500));
    const lengths = Array.from({ length: 5 }, () => {
      const received = server.receiveFrom();
      received?.reply('answer');
      return received?.text.length;
    });
    assert.deepEqual(lengths, [1000, 1000, 1000, 1000, 500]);
    assert.equal(socket.receive(), 'answer');
  });

  test(`checksums and segments are right that the kernel makes of it for a plain device (${family})`, () => {
    for (const node of [asked, serving]) offload(node, 'lan0', false);
    try {
      using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
      const port = serve({ address: balancer[family], protocol: UDP, backend: pod.addresses[family] });
      using socket = connected(world, version, balancer[family], port);
      assert.match(String(ask(socket, server)), client);
      setsockopt(socket.fd, UDP, UDP_SEGMENT, new Uint8Array(Int32Array.of(1000).buffer));
      using wire = capture(serving.namespace, serving.netlink.links.get('lan0')?.ifindex ?? 0);
      socket.send('x'.repeat(2_500));
      const lengths = Array.from({ length: 3 }, () => server.receiveFrom()?.text.length);
      assert.deepEqual(lengths, [1000, 1000, 500]);
      const longest = Math.max(...wire.frames().map((frame) => frame.byteLength));
      assert.ok(longest > 1000 && longest < 1500, `${longest} bytes in one frame`);
      using listening = tcpServer(pod, pod.addresses[family], TARGET_PORT);
      using stream = tcpSocket(world, version);
      stream.connect(
        balancer[family],
        serve({ address: balancer[family], protocol: TCP, backend: pod.addresses[family] }),
      );
      using accepted = listening.accept();
      stream.send('x'.repeat(60_000));
      receiveAll(accepted, 60_000);
    } finally {
      for (const node of [asked, serving]) offload(node, 'lan0', true);
    }
  });

  test(`what fits into the tunnel but for the option is refused, and the client told what fits (${family})`, () => {
    const [headers, fits, level, mtuOption] = family === 'ipv4' ? [28, 1442, 0, 14] : [48, 1426, 41, 24];
    const address = parseAddress(family === 'ipv4' ? '203.0.113.9' : '2001:db8:113::9');
    const port = serve({ address, protocol: UDP, backend: pod.addresses[family] });
    using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
    using socket = connected(world, version, address, port);
    socket.send('x'.repeat(fits + 1 - headers));
    assert.equal(server.receiveFrom(), undefined);
    try {
      socket.receiveNow();
    } catch (error) {
      assert.ok(isSystemError(error, 'EMSGSIZE'), String(error));
    }
    const mtu = getsockopt(socket.fd, level, mtuOption, 4);
    assert.equal(new DataView(mtu.buffer, mtu.byteOffset).getInt32(0, true), fits);
    socket.send('x'.repeat(fits - headers));
    assert.equal(server.receiveFrom()?.text.length, fits - headers);
  });

  test(`IPv6 packets of 1280 bytes are never refused, however narrow the tunnel (${family})`, () => {
    if (family === 'ipv4') return;
    const { ipcachePrefix } = asked.datapath.maps;
    const key = { prefixLength: 64, address: parseAddress('fd00:10:244:2::') };
    const row = ipcachePrefix.lookup(key) ?? assert.fail('no row');
    ipcachePrefix.update(key, { ...row, mtu: 1290 });
    try {
      const port = serve({ address: balancer.ipv6, protocol: UDP, backend: pod.addresses.ipv6 });
      using server = udpServer(pod, pod.addresses.ipv6, TARGET_PORT);
      using socket = connected(world, version, balancer.ipv6, port);
      socket.send('x'.repeat(1280 - 48));
      assert.equal(server.receiveFrom()?.text.length, 1280 - 48);
      const before = dropsOf(asked).too_big ?? 0;
      socket.send('x'.repeat(1281 - 48));
      assert.equal(server.receiveFrom(), undefined);
      assert.equal(dropsOf(asked).too_big, before + 1);
    } finally {
      ipcachePrefix.update(key, row);
    }
  });

  test(`a port that nobody listens on is told by the service (${family})`, () => {
    for (const [protocol, backend] of [
      [UDP, pod.addresses[family]],
      [TCP, pod.addresses[family]],
      [UDP, serving.addresses[family]],
      [TCP, serving.addresses[family]],
    ] as const) {
      const port = serve({ address: balancer[family], protocol, backend, targetPort: 8099 });
      using socket = (protocol === UDP ? udpSocket : tcpSocket)(world, version);
      assert.throws(() => {
        socket.connect(balancer[family], port);
        socket.send('ask');
        socket.receive();
      }, /ECONNREFUSED/);
    }
  });

  test(`the backend is told of a client who is gone (${family})`, () => {
    for (const [target, address] of [
      [world.nodeAddresses[family], unspecified[family]],
      [balancer[family], balancer[family]],
    ] as const) {
      const port = serve({ address, protocol: UDP, backend: pod.addresses[family] });
      using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
      const socket = connected(world, version, target, port);
      socket.send('ask');
      const from = server.receiveFrom()?.from ?? '';
      socket[Symbol.dispose]();
      server.connect(world.addresses[family], Number(from.split(':').at(-1)));
      server.send('answer');
      assert.throws(() => server.receive(), /ECONNREFUSED/);
    }
  });

  test(`a hop too few on the backend's node is told to the client, of what he sent (${family})`, () => {
    const port = serve({ address: balancer[family], protocol: UDP, backend: pod.addresses[family] });
    using socket = connected(world, version, balancer[family], port);
    const [level, hops] = family === 'ipv4' ? [0, 2] : [41, 16];
    setsockopt(socket.fd, level, hops, new Uint8Array(Int32Array.of(2).buffer));
    using wire = capture(world.namespace, world.wanIfindex);
    const before = dropsOf(serving).ttl_exceeded ?? 0;
    socket.send('ask');
    assert.equal(socket.receive(), undefined);
    assert.equal(dropsOf(serving).ttl_exceeded, before + 1);
    const errors = wire.frames().filter((frame) => {
      const { icmp, icmpv6 } = parsePacket(frame);
      return icmp?.type === 11 || icmpv6?.type === 3;
    });
    assert.equal(errors.length, 1);
    const quotation = errors[0]?.subarray(family === 'ipv4' ? 14 + 20 + 8 : 14 + 40 + 8) ?? new Uint8Array();
    const quoted = parsePacket(quotation, { start: 'ip' });
    assert.equal((quoted.ipv4 ?? quoted.ipv6)?.destination, balancer[family]);
    assert.equal(quoted.udp?.destinationPort, port);
  });

  test(`options of the client's own arrive, and where no room is left the asked node answers (${family})`, () => {
    if (family === 'ipv6') return;
    using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
    for (const [length, seen] of [
      [8, client],
      [32, client],
      [36, gateway],
    ] as const) {
      const port = serve({ address: balancer[family], protocol: UDP, backend: pod.addresses[family] });
      using socket = connected(world, version, balancer[family], port);
      setsockopt(socket.fd, 0, IP_OPTIONS, new Uint8Array(length).fill(1));
      assert.match(String(ask(socket, server)), seen);
    }
  });

  test(`options for which a connection without them has no room are refused (${family})`, () => {
    if (family === 'ipv6') return;
    const port = serve({ address: balancer[family], protocol: UDP, backend: pod.addresses[family] });
    using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
    using socket = connected(world, version, balancer[family], port);
    ask(socket, server);
    setsockopt(socket.fd, 0, IP_OPTIONS, new Uint8Array(36).fill(1));
    socket.send('ask');
    assert.equal(server.receiveFrom(), undefined);
    assert.equal(dropsOf(asked).encap_failed, 1);
  });

  test(`segments out of the window leave as the frontend's, and end nothing (${family})`, () => {
    const port = serve({ address: balancer[family], protocol: TCP, backend: pod.addresses[family] });
    using listening = tcpServer(pod, pod.addresses[family], TARGET_PORT);
    using socket = tcpSocket(world, version);
    socket.connect(balancer[family], port);
    using accepted = listening.accept();
    const clientPort = Number(accepted?.peer().split(':').at(-1));
    const ends = { source: pod.addresses[family], destination: world.addresses[family] };
    const frame = packet().ethernet({
      source: pod.mac,
      ...(serving.configuration.hostMac && { destination: serving.configuration.hostMac }),
    });
    const strays = [0x1000_0000, 0x9000_0000].flatMap((sequence) =>
      (['A', 'PA', 'SA', 'R', 'RA', 'FA'] as const).map((flags) => ({ sequence, flags })),
    );
    using direct = capture(world.namespace, second.wanIfindex);
    for (const { sequence, flags } of strays) {
      const network = family === 'ipv4' ? frame.ipv4(ends) : frame.ipv6(ends);
      const segment = { sourcePort: TARGET_PORT, destinationPort: clientPort, sequence, flags };
      inject(pod.namespace, 2, network.tcp({ ...segment, acknowledgement: sequence }).payload());
    }
    const seen = direct.frames().map((bytes) => parsePacket(bytes));
    const answers = seen.filter(({ tcp }) => tcp?.destinationPort === clientPort);
    const sources = answers.map(({ ipv4, ipv6, tcp }) => {
      const source = (ipv4 ?? ipv6)?.source;
      return source && formatAddressPort(parseAddress(source), tcp?.sourcePort ?? 0);
    });
    assert.deepEqual([...new Set(sources)], [formatAddressPort(balancer[family], port)]);
    for (const { sequence, flags } of strays)
      assert.ok(
        answers.some(({ tcp }) => tcp?.sequence === sequence && tcp.flags === flags),
        `${flags} of ${sequence} has not come`,
      );
    socket.send('request');
    assert.equal(accepted?.receive(), 'request');
    accepted?.send('response');
    assert.equal(socket.receive(), 'response');
  });

  test(`a forged option from the world is not believed (${family})`, () => {
    const source = world.addresses[family];
    const send = (port: number, from: number) =>
      inject(
        world,
        world.wanIfindex,
        forged(family, { source, destination: balancer[family] })
          .udp({ sourcePort: from, destinationPort: port })
          .payload('forged'),
      );
    const before = forgeries(asked);
    const common = { address: balancer[family], protocol: UDP };
    using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
    // Behind ours it is no more than an option that nobody knows; to a pod of the asked node nobody reads it.
    using local = udpServer(here, here.addresses[family], TARGET_PORT);
    for (const [backend, receiver] of [
      [pod, server],
      [here, local],
    ] as const) {
      const port = serve({ ...common, backend: backend.addresses[family] });
      using socket = udpServer(world, source, 7000 + numbers);
      send(port, 7000 + numbers);
      const received = receiver.receiveFrom();
      assert.equal(received?.text, 'forged');
      received.reply('answer');
      assert.match(socket.receiveFrom()?.from ?? '', new RegExp(`:${port}$`));
    }
    assert.equal(forgeries(asked), before);
    // Nothing of ours stands before it.
    send(serve({ ...common, backend: pod.addresses[family], isDsr: false }), 7999);
    assert.equal(server.receiveFrom(), undefined);
    assert.equal(forgeries(asked), before + 1);
  });

  test(`a forged option from a pod does not get into the tunnel, nor out of it (${family})`, () => {
    const ends = { source: here.addresses[family], destination: pod.addresses[family] };
    const datagram = forged(family, ends).udp({ sourcePort: 4711, destinationPort: TARGET_PORT });
    using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
    const [near, far] = [forgeries(asked), forgeries(serving)];
    inject(here.namespace, 2, fromPod(here, family, ends));
    assert.equal(forgeries(asked), near + 1);
    using node = udpSocket(asked, 4);
    const tunnel = (vni: number, bytes: Uint8Array) =>
      node.sendBytes(packet().vxlan({ vni }).payload(bytes), serving.addresses.ipv4, VXLAN_PORT);
    tunnel(here.identity, datagram.payload('forged'));
    assert.equal(forgeries(serving), far + 1);
    assert.equal(server.receive(), undefined);
  });

  test(`by two services a client with one port reaches one pod of the asked node, with its own address (${family})`, () => {
    const served = { address: balancer[family], protocol: TCP, backend: here.addresses[family] };
    using server = tcpServer(here, here.addresses[family], TARGET_PORT);
    using first = tcpSocket(world, version);
    first.connect(balancer[family], serve(served));
    using accepted = server.accept();
    using other = sharing(first, accepted, version, family);
    other.connect(balancer[family], serve(served));
    const peer = server.accept()?.peer() ?? '';
    assert.match(peer, client);
    assert.notEqual(peer, accepted?.peer());
  });

  test(`by two services a client with one port does not reach one pod that answers it itself (${family})`, () => {
    const served = { address: balancer[family], protocol: TCP, backend: pod.addresses[family] };
    using server = tcpServer(pod, pod.addresses[family], TARGET_PORT);
    using first = tcpSocket(world, version);
    first.connect(balancer[family], serve(served));
    using accepted = server.accept();
    using other = sharing(first, accepted, version, family);
    const before = conflicts(asked);
    assert.throws(() => other.connect(balancer[family], serve(served)));
    assert.ok(conflicts(asked) > before);
    first.send('not disturbed');
    assert.equal(accepted?.receive(), 'not disturbed');
  });

  test(`by another node a client is not told of whose connection is there already (${family})`, () => {
    const port = serve({ address: balancer[family], protocol: TCP, backend: pod.addresses[family] });
    using server = tcpServer(pod, pod.addresses[family], TARGET_PORT);
    using first = tcpSocket(world, version);
    first.connect(balancer[family], port);
    using accepted = server.accept();
    const { conntrack } = serving.datapath.maps;
    const [tuple, row] = [...conntrack.entries()].find(([, { dnat }]) => dnat.port === port) ?? assert.fail();
    // As if it had come to this node by another frontend.
    conntrack.update(tuple, { ...row, flags: 0, dnat: { address: balancer[family], port: port + 1 } });
    const before = conflicts(serving);
    forgetTold(asked);
    first.send('told');
    assert.equal(accepted?.receive(), undefined);
    assert.ok(conflicts(serving) > before);
  });

  test(`connections go on as they began when the mode is switched (${family})`, () => {
    const common = { address: balancer[family], protocol: TCP, backend: pod.addresses[family] };
    using server = tcpServer(pod, pod.addresses[family], TARGET_PORT);
    for (const isDsr of [true, false]) {
      const port = serve({ ...common, isDsr });
      using socket = tcpSocket(world, version);
      socket.connect(balancer[family], port);
      using accepted = server.accept();
      assert.match(accepted?.peer() ?? '', isDsr ? client : gateway);
      serve({ ...common, port, isDsr: !isDsr });
      for (const length of [1, 50_000]) {
        socket.send('x'.repeat(length));
        receiveAll(accepted, length);
        accepted?.send('y'.repeat(length));
        receiveAll(socket, length);
      }
      using another = tcpSocket(world, version);
      another.connect(balancer[family], port);
      using later = server.accept();
      assert.match(later?.peer() ?? '', isDsr ? gateway : client);
    }
  });

  test(`connections go on when agents restart, with programs of another configuration (${family})`, () => {
    const port = serve({ address: balancer[family], protocol: TCP, backend: pod.addresses[family] });
    using server = tcpServer(pod, pod.addresses[family], TARGET_PORT);
    using socket = tcpSocket(world, version);
    socket.connect(balancer[family], port);
    using accepted = server.accept();
    using stack = new DisposableStack();
    for (const node of [asked, serving]) {
      for (const nodePortMax of [32_000, 32_767]) stack.use(node.openDatapath({ ...node.configuration, nodePortMax }));
      socket.send('x'.repeat(10_000));
      receiveAll(accepted, 10_000);
      accepted?.send('y'.repeat(10_000));
      receiveAll(socket, 10_000);
    }
  });

  test(`a backend's node that has forgotten the connection learns it again (${family})`, () => {
    const port = serve({ address: balancer[family], protocol: TCP, backend: pod.addresses[family] });
    using server = tcpServer(pod, pod.addresses[family], TARGET_PORT);
    using socket = tcpSocket(world, version);
    socket.connect(balancer[family], port);
    using accepted = server.accept();
    socket.send('before');
    assert.equal(accepted?.receive(), 'before');
    for (const map of [serving.datapath.maps.conntrack, serving.datapath.maps.conntrackNew])
      for (const [tuple] of [...map.entries()]) map.delete(tuple);
    forgetTold(asked);
    socket.send('after');
    assert.equal(accepted?.receive(), 'after');
    accepted?.send('answer');
    assert.equal(socket.receive(), 'answer');
    assert.equal(flagsOf(serving, port), CtFlag.Told);
    assert.equal(flagsOf(asked, port), CtFlag.OneWay);
  });

  test(`a connection stays with its pod when the address moves to that node (${family})`, () => {
    const port = serve({ address: balancer[family], protocol: TCP, backend: pod.addresses[family] });
    using server = tcpServer(pod, pod.addresses[family], TARGET_PORT);
    using socket = tcpSocket(world, version);
    socket.connect(balancer[family], port);
    using accepted = server.accept();
    // Whom that node itself would choose.
    serve({ address: balancer[family], protocol: TCP, port, backend: neighbour.addresses[family], on: serving });
    using netlink = openNetlink({ namespace: world.namespace.path });
    const own = { address: balancer[family], length: family === 'ipv4' ? 32 : 128 };
    const gatewayOf = { ipv4: parseAddress('198.51.100.2'), ipv6: parseAddress('2001:db8:100::2') } as const;
    netlink.routes.replace({ destination: own, ifindex: second.wanIfindex, gateway: gatewayOf[family] });
    try {
      socket.send('after');
      assert.equal(accepted?.receive(), 'after');
      accepted?.send('answer');
      assert.equal(socket.receive(), 'answer');
    } finally {
      netlink.routes.delete({ destination: own, ifindex: second.wanIfindex });
    }
  });

  test(`who is not in the world is answered by the asked node (${family})`, () => {
    const backend = pod.addresses[family];
    const port = serve({ address: unspecified[family], protocol: UDP, backend });
    using server = udpServer(pod, backend, TARGET_PORT);
    for (const place of [neighbour, serving]) {
      using socket = connected(place, version, asked.addresses[family], port);
      assert.match(String(ask(socket, server)), gateway);
    }
  });

  test(`fragments that overtake the one that tells are answered all the same (${family})`, () => {
    const [source, destination] = [world.addresses[family], pod.addresses[family]];
    using server = udpServer(pod, destination, TARGET_PORT);
    using socket = udpServer(world, source, 7777);
    using node = udpSocket(asked, 4);
    for (const fragment of toldFragments(family, { source, destination }).reverse())
      node.sendBytes(packet().vxlan({ vni: WORLD }).payload(fragment), serving.addresses.ipv4, VXLAN_PORT);
    const received = server.receiveFrom();
    assert.equal(received?.text.length, 2_000);
    received.reply('answer');
    assert.match(socket.receiveFrom()?.from ?? '', new RegExp(`:${forgedPort}$`));
  });
}

const UDP_SEGMENT = 103;
const IP_OPTIONS = 4;

const SIOCETHTOOL = 0x8946;
const ETHTOOL_STXCSUM = 0x17;

/** Whether the device is given packets whose checksums, and segments, it is to make itself. */
function offload(place: Place, device: string, isOn: boolean): void {
  const value = new Uint8Array(Uint32Array.of(ETHTOOL_STXCSUM, isOn ? 1 : 0).buffer);
  const request = new Uint8Array(40);
  request.set(Buffer.from(device));
  new DataView(request.buffer).setBigUint64(16, addressOf(value), true);
  using socket = udpSocket(place, 4);
  ioctl(socket.fd, SIOCETHTOOL, request);
}

/** Of the connection whose frontend has the port. */
function flagsOf(node: TestNode, port: number): number | undefined {
  const found = [...node.datapath.maps.conntrack.entries()].find(
    ([, { kind, dnat }]) => kind === 0 && dnat.port === port,
  );
  return found?.[1].flags;
}

/** As a pod sends it, from its own MAC. */
function fromPod(from: TestPod, family: Family, ends: { source: Address; destination: Address }): Uint8Array {
  const frame = forged(family, ends).udp({ sourcePort: 4711, destinationPort: TARGET_PORT }).payload('forged');
  const mac = (text: string) => Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
  frame.set(mac(asked.configuration.hostMac ?? ''), 0);
  frame.set(mac(from.mac), 6);
  return frame;
}

/** A datagram of 2,000 bytes as the asked node would send it, in two. */
function toldFragments(family: Family, ends: { source: Address; destination: Address }): Uint8Array[] {
  const ports = { sourcePort: 7777, destinationPort: TARGET_PORT };
  const plain = packet().ethernet();
  const whole = (family === 'ipv4' ? plain.ipv4(ends) : plain.ipv6(ends)).udp(ports).payload('x'.repeat(2_000));
  const datagram = whole.slice(family === 'ipv4' ? 34 : 54);
  const option = new Uint8Array(family === 'ipv4' ? 8 : 22);
  const view = new DataView(option.buffer);
  view.setUint16(0, family === 'ipv4' ? 0x9a08 : 0x1b12);
  view.setUint16(family === 'ipv4' ? 2 : 18, forgedPort);
  if (family === 'ipv4') option.set([203, 0, 113, 5], 4);
  else option.set([0x20, 0x01, 0x0d, 0xb8, 0x01, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], 2);
  return [0, 1_000].map((offset) => {
    const more = offset === 0;
    const bytes = datagram.slice(offset, more ? 1_000 : undefined);
    if (family === 'ipv4') {
      const fragment = { fragmentOffset: offset, moreFragments: more, identification: 77, protocol: UDP };
      return plain.ipv4({ ...ends, ...fragment, ...(more && { options: option }) }).payload(bytes);
    }
    const extension = { kind: 'fragment', offset, more, identification: 77 } as const;
    const told = more ? [{ kind: 'destinationOptions', data: option } as const] : [];
    return plain.ipv6({ ...ends, extensions: [...told, extension], protocol: UDP }).payload(bytes);
  });
}

test('nothing was dropped that was not meant to be', () => {
  assert.deepEqual(Object.keys(dropsOf(asked)).toSorted(), [
    'encap_failed',
    'forged_dsr_option',
    'nat_conflict',
    'no_backend',
    'too_big',
  ]);
  // Whether a pod has to learn what fits back through the tunnel depends on the kernel: 6.12 forgets what 6.18 still knows.
  const atServing = Object.keys(dropsOf(serving)).filter((reason) => reason !== 'too_big');
  assert.deepEqual(atServing.toSorted(), ['forged_dsr_option', 'nat_conflict', 'ttl_exceeded']);
});
