import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bind, internetAddress, isSystemError } from '@sluice/ffi';
import { type Address, addressToWire, formatAddressPort, parseAddress } from '@sluice/net';
import { connectNodes, createTestNode, dropsOf } from '../test/node.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { type Place, past, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { connectWorld } from '../test/world.ts';
import { FrontendFlag, FrontendScope } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
const TARGET_PORT = 8080;
const ATTEMPTS = 4;
const hostBits = { 4: 32, 6: 128 } as const;
const balancer = { ipv4: parseAddress('203.0.113.5'), ipv6: parseAddress('2001:db8:113::5') } as const;
const loopback = { ipv4: parseAddress('127.0.0.1'), ipv6: parseAddress('::1') } as const;
const unspecified = { ipv4: parseAddress('0.0.0.0'), ipv6: parseAddress('::') } as const;

const one = createTestNode(1);
const other = createTestNode(2);
connectNodes(one, other);
const world = connectWorld(one);
for (const destination of ['203.0.113.0/24', '2001:db8:113::/64']) world.addRoute(destination);
/** Behind a device of its own. */
const beyond = connectWorld(one, { number: 1, destinations: ['198.18.0.0/15', '2001:db8:f::/64'] });
for (const destination of ['10.10.30.0/24', 'fd00:10:10:30::/64', '192.0.2.0/24', '2001:db8:0::/64'])
  beyond.addRoute(destination);
// What processes of the other node send comes by this device, past the tunnel.
for (const node of [one, other]) {
  const { ifindex = 0 } = node.netlink.links.get('lan0') ?? {};
  node.datapath.maps.devices.update(ifindex, node.addresses);
  node.namespace.run(() => node.datapath.attachNetworkDevice('lan0', ifindex));
}
const here = one.addPod(10, 1000);
const there = other.addPod(10, 1001);
after(() => {
  beyond[Symbol.dispose]();
  world[Symbol.dispose]();
  one[Symbol.dispose]();
  other[Symbol.dispose]();
});

let numbers = 0;

interface Serving {
  readonly address: Address;
  readonly protocol: number;
  readonly backends: readonly Address[];
  readonly port?: number;
  readonly scope?: number;
  readonly flags?: number;
  readonly sourceRanges?: readonly string[];
  readonly affinityId?: number;
}

const backendIds = new Map<string, number>();

/** The same in all services, as the load balancer has it. */
function backendId(address: Address, protocol: number): number {
  const key = `${address}/${protocol}`;
  backendIds.set(key, backendIds.get(key) ?? backendIds.size + 1);
  return backendIds.get(key) ?? 0;
}

/** Returns its port; each service has one of its own. */
function serve({ address, protocol, backends, scope = 0, flags = FrontendFlag.External, ...given }: Serving): number {
  numbers += 1;
  const port = given.port ?? 30_000 + numbers;
  writeService(one.datapath.maps, {
    ...{ id: numbers, address, port, protocol, scope, flags },
    ...(given.sourceRanges && { sourceRanges: given.sourceRanges }),
    ...(given.affinityId && { affinityId: given.affinityId, affinitySeconds: 60 }),
    generation: numbers,
    backends: backends.map((backend) => ({ id: backendId(backend, protocol), address: backend, port: TARGET_PORT })),
  });
  return port;
}

/** A datagram there and back; whom the server saw. */
function ask(client: Place, version: 4 | 6, target: Address, port: number, server: ReturnType<typeof udpServer>) {
  using socket = udpSocket(client, version);
  socket.connect(target, port);
  socket.send('ask');
  const received = server.receiveFrom();
  received?.reply('answer');
  assert.equal(socket.receive(), 'answer');
  return received?.from;
}

for (const [version, family] of families) {
  for (const [what, target, row] of [
    ['a NodePort', world.nodeAddresses[family], unspecified[family]],
    ['an address of a load balancer', balancer[family], balancer[family]],
  ] as const) {
    test(`from outside by ${what} to a pod of this node, which sees the client's own address (${family})`, () => {
      const port = serve({ address: row, protocol: UDP, backends: [here.addresses[family]] });
      using server = udpServer(here, here.addresses[family], TARGET_PORT);
      const seen = ask(world, version, target, port, server);
      assert.match(String(seen), new RegExp(`^\\[?${world.addresses[family]}\\]?:`));
    });

    test(`from outside by ${what} to a pod of another node, whose answers come back by the first (${family})`, () => {
      const port = serve({ address: row, protocol: UDP, backends: [there.addresses[family]] });
      using server = udpServer(there, there.addresses[family], TARGET_PORT);
      const seen = ask(world, version, target, port, server);
      assert.match(String(seen), new RegExp(`^\\[?${one.router[family]}\\]?:`));
    });

    test(`a datagram of many fragments comes in by ${what} and another one goes back (${family})`, () => {
      for (const pod of [here, there]) {
        const port = serve({ address: row, protocol: UDP, backends: [pod.addresses[family]] });
        using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
        using client = udpSocket(world, version);
        client.connect(target, port);
        // What fits into the tunnel is learnt by the first; IPv6 tells the sender of it by an error.
        for (let attempt = 0; ; attempt += 1) {
          try {
            client.send('x'.repeat(20_000));
          } catch (error) {
            if (!isSystemError(error, 'EMSGSIZE') || attempt >= ATTEMPTS) throw error;
          }
          const received = server.receiveFrom();
          if (received === undefined && attempt < ATTEMPTS) continue;
          assert.equal(received?.text.length, 20_000);
          received?.reply('y'.repeat(30_000));
          const answer = client.receive();
          if (answer === undefined && attempt < ATTEMPTS) continue;
          assert.equal(answer?.length, 30_000);
          break;
        }
      }
    });

    test(`a connection from outside by ${what} carries data both ways and ends (${family})`, () => {
      const port = serve({ address: row, protocol: TCP, backends: [there.addresses[family]] });
      using server = tcpServer(there, there.addresses[family], TARGET_PORT);
      using client = tcpSocket(world, version);
      client.connect(target, port);
      using accepted = server.accept();
      client.send('request');
      assert.equal(accepted?.receive(), 'request');
      accepted?.send('x'.repeat(60_000));
      let received = '';
      while (received.length < 60_000) received += client.receive() ?? assert.fail('nothing more came');
      assert.equal(client.peer(), formatAddressPort(target, port));
    });

    for (const [where, pod] of [
      ['of this node', here],
      ['of another node', there],
    ] as const) {
      test(`a connection from outside by ${what} to a pod ${where} outlives its service, which refuses new ones (${family})`, () => {
        const { frontends } = one.datapath.maps;
        const port = serve({ address: row, protocol: TCP, backends: [pod.addresses[family]] });
        using server = tcpServer(pod, pod.addresses[family], TARGET_PORT);
        using client = tcpSocket(world, version);
        client.connect(target, port);
        using accepted = server.accept();
        client.send('before');
        assert.equal(accepted?.receive(), 'before');
        frontends.delete({ address: row, port, protocol: TCP, scope: 0 });
        client.send('still here');
        assert.equal(accepted?.receive(), 'still here');
        accepted?.send('me too');
        assert.equal(client.receive(), 'me too');
        using late = tcpSocket(world, version);
        assert.throws(() => late.connect(target, port), { code: 'ECONNREFUSED' });
      });
    }

    test(`without backends ${what} refuses who comes from outside (${family})`, () => {
      const port = serve({ address: row, protocol: TCP, backends: [] });
      using client = tcpSocket(world, version);
      assert.throws(() => client.connect(target, port), /ECONNREFUSED/);
    });

    test(`by ${what} datagrams go on to whoever serves, though he has the number of one that is gone (${family})`, () => {
      const numbered = (backend: Address, generation: number, port?: number) => {
        numbers += 1;
        const given = { id: 900_000, address: row, protocol: UDP, generation, flags: FrontendFlag.External };
        const backends = [{ id: 900_000, address: backend, port: TARGET_PORT }];
        writeService(one.datapath.maps, { ...given, port: port ?? 30_000 + numbers, backends });
        return port ?? 30_000 + numbers;
      };
      using client = udpSocket(world, version);
      let port: number | undefined;
      for (const [generation, pod] of [here, there, here].entries()) {
        port = numbered(pod.addresses[family], 900_000 + generation, port);
        using server = udpServer(pod, pod.addresses[family], TARGET_PORT);
        if (generation === 0) client.connect(target, port);
        client.send('ask');
        const received = server.receiveFrom();
        assert.equal(received?.text, 'ask', `pod ${generation}`);
        received?.reply('answer');
        assert.equal(client.receive(), 'answer');
      }
    });

    test(`without backends ${what} refuses datagrams of the node's own process (${family})`, () => {
      const port = serve({ address: row, protocol: UDP, backends: [] });
      using client = udpSocket(one, version);
      client.connect(target, port);
      client.send('ask');
      assert.throws(() => client.receive(), /ECONNREFUSED/);
    });

    test(`with policy Local ${what} is served by this node's pods alone to who comes from outside (${family})`, () => {
      const port = serve({ address: row, protocol: UDP, backends: [there.addresses[family], here.addresses[family]] });
      serve({
        ...{ address: row, protocol: UDP, port, scope: FrontendScope.External },
        backends: [here.addresses[family]],
      });
      using server = udpServer(here, here.addresses[family], TARGET_PORT);
      for (let time = 0; time < 8; time += 1) ask(world, version, target, port, server);
    });

    test(`with policy Local and nobody here ${what} says nothing to who comes from outside (${family})`, () => {
      const before = dropsOf(one).no_local_backend ?? 0;
      const port = serve({ address: row, protocol: UDP, backends: [there.addresses[family]] });
      const flags = FrontendFlag.External | FrontendFlag.Elsewhere;
      serve({ address: row, protocol: UDP, port, scope: FrontendScope.External, backends: [], flags });
      using client = udpSocket(world, version);
      client.connect(target, port);
      client.send('ask');
      assert.equal(client.receive(), undefined);
      assert.equal(dropsOf(one).no_local_backend, before + 1);
    });

    test(`a pod and the node's processes reach ${what} at their sockets (${family})`, () => {
      const port = serve({ address: row, protocol: UDP, backends: [there.addresses[family]] });
      using server = udpServer(there, there.addresses[family], TARGET_PORT);
      for (const client of [here, one]) ask(client, version, target, port, server);
    });
  }

  test(`a pod of another node comes to this node's NodePort, and its own address is seen by pods here (${family})`, () => {
    const port = serve({ address: unspecified[family], protocol: UDP, backends: [here.addresses[family]] });
    using server = udpServer(here, here.addresses[family], TARGET_PORT);
    const seen = ask(there, version, one.addresses[family], port, server);
    assert.match(String(seen), new RegExp(`^\\[?${there.addresses[family]}\\]?:`));
  });

  test(`a pod of another node comes to this node's NodePort and is led to a pod of its own node (${family})`, () => {
    const neighbour = other.addPod(20 + version, 1002);
    const port = serve({ address: unspecified[family], protocol: UDP, backends: [neighbour.addresses[family]] });
    using server = udpServer(neighbour, neighbour.addresses[family], TARGET_PORT);
    ask(there, version, one.addresses[family], port, server);
  });

  test(`with policy Local who is on another node gets this node's pods by its NodePort, or hears nothing (${family})`, () => {
    const serving = { address: unspecified[family], protocol: UDP };
    const everywhere = [there.addresses[family], here.addresses[family]];
    const port = serve({ ...serving, backends: everywhere });
    const outside = { ...serving, port, scope: FrontendScope.External };
    serve({ ...outside, backends: [here.addresses[family]] });
    using server = udpServer(here, here.addresses[family], TARGET_PORT);
    for (const client of [there, other])
      for (let time = 0; time < 8; time += 1) {
        const seen = ask(client, version, one.addresses[family], port, server);
        assert.match(String(seen), new RegExp(`^\\[?${client.addresses[family]}\\]?:`));
      }
    serve({ ...outside, backends: [], flags: FrontendFlag.External | FrontendFlag.Elsewhere });
    const before = dropsOf(one).no_local_backend ?? 0;
    for (const client of [there, other]) {
      using socket = udpSocket(client, version);
      socket.connect(one.addresses[family], port);
      socket.send('ask');
      assert.equal(socket.receive(), undefined);
    }
    assert.equal(dropsOf(one).no_local_backend, before + 2);
    assert.equal(server.receiveNow(), undefined);
  });

  for (const [what, target, row, port] of [
    ['a NodePort', one.addresses[family], unspecified[family], 30_900],
    ['a host port', world.nodeAddresses[family], world.nodeAddresses[family], 8090],
    ['an address of a load balancer', balancer[family], balancer[family], 8090],
    ['an external address', world.addresses[family], world.addresses[family], 8090],
  ] as const) {
    test(`past the socket hooks a pod that is the backend of ${what} meets itself as the one it asked (${family})`, () => {
      const fromTarget = new RegExp(`^\\[?${target}\\]?:`);
      const flags = FrontendFlag.External | (target === world.addresses[family] ? FrontendFlag.Shared : 0);
      const serving = { address: row, port, flags, backends: [here.addresses[family]] };
      serve({ ...serving, protocol: UDP });
      serve({ ...serving, protocol: TCP });
      using server = udpServer(here, here.addresses[family], TARGET_PORT);
      assert.match(String(ask(past(here), version, target, port, server)), fromTarget);
      using closed = tcpSocket(past(here), version);
      assert.throws(() => closed.connect(target, port), { code: 'ECONNREFUSED' });
      using listening = tcpServer(here, here.addresses[family], TARGET_PORT);
      using socket = tcpSocket(past(here), version);
      socket.connect(target, port);
      using accepted = listening.accept();
      assert.match(accepted?.peer() ?? '', fromTarget);
      assert.equal(socket.peer(), formatAddressPort(target, port));
      socket.send('request');
      assert.equal(accepted?.receive(), 'request');
      accepted?.send('answer');
      assert.equal(socket.receive(), 'answer');
    });
  }

  test(`a node whose address a balancer has given to a service keeps its other ports (${family})`, () => {
    for (const node of [one, other]) {
      const address = node.addresses[family];
      const backends = [here.addresses[family]];
      const port = serve({ address, protocol: UDP, port: 5380, backends });
      serve({ address, protocol: TCP, port: 5380, backends });
      using served = udpServer(here, here.addresses[family], TARGET_PORT);
      using datagrams = udpServer(node, address, 9999);
      using listening = tcpServer(node, address, 9999);
      for (const client of [here, past(here), one]) {
        ask(client, version, address, port, served);
        ask(client, version, address, 9999, datagrams);
        using socket = tcpSocket(client, version);
        socket.connect(address, 9999);
        using accepted = listening.accept();
        assert.ok(accepted);
      }
    }
  });

  test(`who has an address that a Service names as an external one keeps its other ports (${family})`, () => {
    const address = world.addresses[family];
    const serving = { address, port: 5380, flags: FrontendFlag.External | FrontendFlag.Shared };
    for (const protocol of [UDP, TCP]) serve({ ...serving, protocol, backends: [here.addresses[family]] });
    using served = udpServer(here, here.addresses[family], TARGET_PORT);
    using datagrams = udpServer(world, address, 9999);
    using listening = tcpServer(world, address, 9999);
    for (const client of [here, past(here), one]) {
      ask(client, version, address, 5380, served);
      ask(client, version, address, 9999, datagrams);
      using socket = tcpSocket(client, version);
      socket.connect(address, 9999);
      using accepted = listening.accept();
      assert.ok(accepted);
    }
  });

  test(`a NodePort is at the addresses of all devices, by whichever of them who asks comes (${family})`, () => {
    for (const pod of [here, there]) {
      const backend = pod.addresses[family];
      const port = serve({ address: unspecified[family], protocol: UDP, backends: [backend] });
      using server = udpServer(pod, backend, TARGET_PORT);
      for (const { nodeAddresses } of [world, beyond]) ask(beyond, version, nodeAddresses[family], port, server);
      ask(beyond, version, one.addresses[family], port, server);
      ask(world, version, world.nodeAddresses[family], port, server);
    }
  });

  test(`the node's own connection gives way to a client outside that has its port, and both work (${family})`, () => {
    const backend = there.addresses[family];
    const port = serve({ address: unspecified[family], protocol: UDP, backends: [backend] });
    using server = udpServer(there, backend, TARGET_PORT);
    using outside = udpSocket(world, version);
    outside.connect(world.nodeAddresses[family], port);
    outside.send('from outside');
    const first = server.receiveFrom();
    using own = udpSocket(one, version);
    bind(own.fd, internetAddress(addressToWire(one.router[family]), Number(first?.from.split(':').at(-1))));
    own.connect(backend, TARGET_PORT);
    for (let time = 0; time < 3; time += 1) {
      own.send('from the node');
      const second = server.receiveFrom();
      assert.equal(second?.text, 'from the node');
      assert.notEqual(second.from, first?.from);
      second.reply('to the node');
      first?.reply('to the client');
      assert.equal(own.receive(), 'to the node');
      assert.equal(outside.receive(), 'to the client');
    }
  });

  test(`so does one of TCP, whose peer goes by the same name (${family})`, () => {
    const backend = there.addresses[family];
    const port = serve({ address: unspecified[family], protocol: TCP, backends: [backend] });
    using server = tcpServer(there, backend, TARGET_PORT);
    using outside = tcpSocket(world, version);
    outside.connect(world.nodeAddresses[family], port);
    using first = server.accept();
    using own = tcpSocket(one, version);
    bind(own.fd, internetAddress(addressToWire(one.router[family]), Number(first?.peer().split(':').at(-1))));
    own.connect(backend, TARGET_PORT);
    using second = server.accept();
    assert.equal(own.peer(), formatAddressPort(backend, TARGET_PORT));
    for (const [client, accepted] of [
      [own, second],
      [outside, first],
    ] as const) {
      client.send('request');
      assert.equal(accepted?.receive(), 'request');
      accepted?.send('x'.repeat(5_000));
      for (let length = 0; length < 5_000; ) length += client.receive()?.length ?? assert.fail(`${length} bytes came`);
    }
  });

  test(`a client outside does not get the port that the node has there itself (${family})`, () => {
    const backend = there.addresses[family];
    const port = serve({ address: unspecified[family], protocol: UDP, backends: [backend] });
    using server = udpServer(there, backend, TARGET_PORT);
    using own = udpSocket(one, version);
    bind(own.fd, internetAddress(addressToWire(one.router[family]), 45_678));
    own.connect(backend, TARGET_PORT);
    own.send('from the node');
    const first = server.receiveFrom();
    using outside = udpSocket(world, version);
    bind(outside.fd, internetAddress(addressToWire(world.addresses[family]), 45_678));
    outside.connect(world.nodeAddresses[family], port);
    outside.send('from outside');
    const second = server.receiveFrom();
    assert.notEqual(second?.from, first?.from);
    first?.reply('to the node');
    second?.reply('to the client');
    assert.equal(own.receive(), 'to the node');
    assert.equal(outside.receive(), 'to the client');
  });

  test(`from outside to a process of the node, which answers as the NodePort (${family})`, () => {
    const port = serve({ address: unspecified[family], protocol: UDP, backends: [one.addresses[family]] });
    using server = udpServer(one, one.addresses[family], TARGET_PORT);
    const seen = ask(world, version, world.nodeAddresses[family], port, server);
    assert.match(String(seen), new RegExp(`^\\[?${world.addresses[family]}\\]?:`));
  });

  test(`a process of the node answers as the NodePort where nothing is masqueraded, too (${family})`, () => {
    const port = serve({ address: unspecified[family], protocol: UDP, backends: [one.addresses[family]] });
    using server = udpServer(one, one.addresses[family], TARGET_PORT);
    using _plain = one.openDatapath({ ...one.configuration, masqueradeIpv4: 0, masqueradeIpv6: 0 });
    try {
      ask(world, version, world.nodeAddresses[family], port, server);
    } finally {
      one.openDatapath()[Symbol.dispose]();
    }
  });

  test(`a closed port of a pod is told by the NodePort, past the host's stack or not (${family})`, () => {
    const port = serve({ address: unspecified[family], protocol: UDP, backends: [here.addresses[family]] });
    for (const hostRouting of [1, 0]) {
      one.openDatapath({ ...one.configuration, hostRouting })[Symbol.dispose]();
      using client = udpSocket(world, version);
      client.connect(world.nodeAddresses[family], port);
      client.send('ask');
      assert.throws(() => client.receive(), /ECONNREFUSED/, `hostRouting ${hostRouting}`);
    }
    one.openDatapath()[Symbol.dispose]();
  });

  test(`a ClusterIP does not serve who comes from outside (${family})`, () => {
    const inside = serve({ address: balancer[family], protocol: TCP, backends: [here.addresses[family]], flags: 0 });
    // The address itself is known outside by another service's port.
    serve({ address: balancer[family], protocol: UDP, backends: [here.addresses[family]] });
    using client = tcpSocket(world, version);
    assert.throws(() => client.connect(balancer[family], inside), /ECONNREFUSED/);
  });

  test(`a client keeps its backend at every way in, unless that is none of this one's (${family})`, () => {
    const nearby = one.addPod(30 + version, 1003);
    const [first, second] = [here.addresses[family], nearby.addresses[family]];
    const serving = { protocol: UDP, backends: [first, second], affinityId: 700_000 + version };
    const ways: [Address, Address][] = [
      [balancer[family], balancer[family]],
      [world.nodeAddresses[family], unspecified[family]],
    ];
    using servers = new DisposableStack();
    const [a, b] = [first, second].map((address) =>
      servers.use(udpServer(address === first ? here : nearby, address, TARGET_PORT)),
    );
    const answering = (client: Place, target: Address, port: number) => {
      using socket = udpSocket(client, version);
      socket.connect(target, port);
      socket.send('ask');
      for (const deadline = performance.now() + 10_000; performance.now() < deadline; ) {
        const index = [a, b].findIndex((server) => server?.receiveNow() !== undefined);
        if (index >= 0) return index;
      }
      return assert.fail('nobody was asked');
    };
    for (const client of [world, here]) {
      const seen = new Set<number>();
      for (let time = 0; time < 6; time += 1) {
        for (const [target, row] of ways) seen.add(answering(client, target, serve({ ...serving, address: row })));
      }
      assert.equal(seen.size, 1, `of ${[...seen]}`);
      const other = seen.has(0) ? second : first;
      const port = serve({ ...serving, address: balancer[family], backends: [other] });
      assert.equal(answering(client, balancer[family], port), seen.has(0) ? 1 : 0);
    }
  });

  test(`who is not of its source ranges is not let in from outside, and gets no answer (${family})`, () => {
    const before = dropsOf(one).client_not_allowed ?? 0;
    const flags = FrontendFlag.External | FrontendFlag.SourceRanges;
    const serving = { address: balancer[family], protocol: UDP, backends: [there.addresses[family]], flags };
    // Those of another service, and of the other family, are not its own.
    serve({ ...serving, sourceRanges: ['0.0.0.0/0', '::/0'] });
    const port = serve({ ...serving, sourceRanges: ['198.51.100.0/24', '2001:db8:5::/64'] });
    using client = udpSocket(world, version);
    client.connect(balancer[family], port);
    client.send('ask');
    assert.equal(client.receive(), undefined);
    assert.equal(dropsOf(one).client_not_allowed, before + 1);
  });

  test(`a pod that is not of its source ranges gets no answer, as when kube-proxy drops its packets (${family})`, () => {
    const flags = FrontendFlag.External | FrontendFlag.SourceRanges | FrontendFlag.NodeAllowed;
    const serving = { address: balancer[family], backends: [there.addresses[family]], flags };
    const sourceRanges = [`${there.addresses[family]}/${hostBits[version]}`];
    const datagrams = serve({ ...serving, protocol: UDP, sourceRanges });
    const connections = serve({ ...serving, protocol: TCP, sourceRanges });
    using server = udpServer(there, there.addresses[family], TARGET_PORT);
    const before = dropsOf(one).client_not_allowed ?? 0;
    const pastHooks = past(here);
    for (const [index, client] of [here, pastHooks].entries()) {
      using socket = udpSocket(client, version);
      socket.connect(balancer[family], datagrams);
      socket.send('ask');
      assert.equal(socket.receive(), undefined);
      assert.equal(dropsOf(one).client_not_allowed, before + 1 + index);
      assert.equal(server.receiveNow(), undefined);
    }
    using connection = tcpSocket(here, version);
    assert.throws(() => connection.connect(balancer[family], connections), /ETIMEDOUT|EINPROGRESS|EAGAIN/);
    ask(one, version, balancer[family], datagrams, server);
  });

  test(`where all backends are elsewhere and the policy is Local a pod's call is not refused: its packets are dropped (${family})`, () => {
    const before = dropsOf(one).no_local_backend ?? 0;
    const serving = { address: balancer[family], backends: [], flags: FrontendFlag.Elsewhere };
    using connection = tcpSocket(here, version);
    const port = serve({ ...serving, protocol: TCP });
    assert.throws(() => connection.connect(balancer[family], port), /ETIMEDOUT|EINPROGRESS|EAGAIN/);
    assert.ok((dropsOf(one).no_local_backend ?? 0) > before);
    using refused = tcpSocket(here, version);
    const nobody = serve({ ...serving, protocol: TCP, flags: 0 });
    assert.throws(() => refused.connect(balancer[family], nobody), { code: 'ECONNREFUSED' });
  });

  test(`a pod that is of its source ranges is served, at the socket and past it, though its node is not (${family})`, () => {
    const flags = FrontendFlag.External | FrontendFlag.SourceRanges;
    const sourceRanges = ['198.51.100.0/24', `${here.addresses[family]}/${hostBits[version]}`];
    const serving = { address: balancer[family], protocol: UDP, backends: [there.addresses[family]], sourceRanges };
    const port = serve({ ...serving, flags });
    using server = udpServer(there, there.addresses[family], TARGET_PORT);
    for (const run of [here.run, here.namespace.run]) ask({ run }, version, balancer[family], port, server);
  });

  test(`a process of the node is judged by the node, not by its router's address, and told EPERM (${family})`, () => {
    const flags = FrontendFlag.External | FrontendFlag.SourceRanges;
    const serving = { address: balancer[family], backends: [there.addresses[family]] };
    const sourceRanges = [`${one.router[family]}/${hostBits[version]}`];
    const before = dropsOf(one).client_not_allowed ?? 0;
    for (const [protocol, socketOf] of [
      [TCP, tcpSocket],
      [UDP, udpSocket],
    ] as const) {
      const port = serve({ ...serving, protocol, flags, sourceRanges });
      using socket = socketOf(one, version);
      assert.throws(() => socket.connect(balancer[family], port), { code: 'EPERM' });
    }
    using unconnected = udpSocket(one, version);
    const port = serve({ ...serving, protocol: UDP, flags, sourceRanges });
    assert.throws(() => unconnected.sendTo('ask', balancer[family], port), { code: 'EPERM' });
    assert.equal(dropsOf(one).client_not_allowed, before + 3);
  });

  test(`datagrams of an unconnected socket go on to who let them in when the ranges change (${family})`, () => {
    const flags = FrontendFlag.External | FrontendFlag.SourceRanges;
    const serving = { address: balancer[family], protocol: UDP, backends: [there.addresses[family]], flags };
    const port = serve({ ...serving, sourceRanges: [`${here.addresses[family]}/${hostBits[version]}`] });
    using server = udpServer(there, there.addresses[family], TARGET_PORT);
    using client = udpSocket(here, version);
    for (const text of ['before', 'after']) {
      client.sendTo(text, balancer[family], port);
      assert.equal(server.receiveFrom()?.text, text);
      serve({ ...serving, port, sourceRanges: [] });
    }
  });

  test(`who is of its source ranges is let in, and stays when they change (${family})`, () => {
    const flags = FrontendFlag.External | FrontendFlag.SourceRanges;
    const serving = { address: balancer[family], protocol: TCP, backends: [here.addresses[family]], flags };
    const port = serve({
      ...serving,
      sourceRanges: ['198.51.100.0/24', `${world.addresses[family]}/${hostBits[version]}`],
    });
    using server = tcpServer(here, here.addresses[family], TARGET_PORT);
    using client = tcpSocket(world, version);
    client.connect(balancer[family], port);
    using accepted = server.accept();
    serve({ ...serving, port, sourceRanges: [] });
    client.send('request');
    assert.equal(accepted?.receive(), 'request');
    accepted?.send('answer');
    assert.equal(client.receive(), 'answer');
    using another = tcpSocket(world, version);
    assert.throws(() => another.connect(balancer[family], port), /ETIMEDOUT|EINPROGRESS|EAGAIN/);
  });

  test(`a host port is at an address of the node, whose other ports stay its own (${family})`, () => {
    const address = world.nodeAddresses[family];
    const port = serve({ address, protocol: UDP, port: 8088, backends: [here.addresses[family]] });
    using server = udpServer(here, here.addresses[family], TARGET_PORT);
    using own = udpServer(one, address, 9999);
    for (const client of [world, here, one]) {
      ask(client, version, address, port, server);
      ask(client, version, address, 9999, own);
    }
    serve({ address: one.addresses[family], protocol: UDP, port, backends: [here.addresses[family]] });
    for (const client of [there, past(there), other, beyond]) ask(client, version, one.addresses[family], port, server);
  });

  test(`a host port at loopback is for the node's processes, and none of a pod's (${family})`, () => {
    const address = loopback[family];
    const backends = [here.addresses[family]];
    const port = serve({ address, protocol: TCP, port: 8089, backends, flags: FrontendFlag.Loopback });
    using server = tcpServer(here, here.addresses[family], TARGET_PORT);
    using client = tcpSocket(one, version);
    client.connect(address, port);
    using accepted = server.accept();
    assert.ok(accepted);
    using pod = tcpSocket(here, version);
    assert.throws(() => pod.connect(address, port), /ECONNREFUSED/);
  });

  test(`the node's own server keeps a port of the range that no service has (${family})`, () => {
    using server = udpServer(one, world.nodeAddresses[family], 32_001);
    ask(world, version, world.nodeAddresses[family], 32_001, server);
  });
}

test('nothing was dropped that was not meant to be', () => {
  const meant = ['client_not_allowed', 'no_backend', 'no_local_backend', 'too_big'];
  // Who does not know yet what fits into the tunnel is told.
  assert.deepEqual(Object.keys(dropsOf(one)).toSorted(), meant);
  assert.deepEqual(Object.keys(dropsOf(other)), ['too_big']);
});
