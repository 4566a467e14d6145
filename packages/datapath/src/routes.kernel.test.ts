// Ways out of the node: several devices, routes that refuse, sizes that do not fit, hops that end, ports that run out.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  type Address,
  type Packet,
  type PacketBuilder,
  packet,
  parseAddress,
  parsePacket,
  parsePrefix,
} from '@sluice/net';
import { systemClock } from '@sluice/runtime';
import { dropsOf, type TestPod } from '../test/node.ts';
import { udpServer, udpSocket } from '../test/sockets.ts';
import { createTwoNodes } from '../test/two-nodes.ts';
import { type Capture, capture, inject } from '../test/wire.ts';
import { connectWorld } from '../test/world.ts';
import { type Connection, CtKind, CtState, type Device, SnatPort, type Tuple } from './index.ts';

const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];

const scene = createTwoNodes();
const { node, remote, world } = scene;
const { client, server: other, far } = scene.pods;
const narrow = 1300;
const second = connectWorld(node, { number: 1, destinations: ['198.18.0.0/15', '2001:db8:1::/48'], mtu: narrow });
after(() => {
  for (const each of [second, scene]) each[Symbol.dispose]();
});

function ip(
  family: Family,
  fields: { to: Address; from?: TestPod; hops?: number; dontFragment?: boolean },
): PacketBuilder {
  const { to: destination, from = client, hops = 64, dontFragment = false } = fields;
  const frame = packet().ethernet({ source: from.mac, destination: node.configuration.hostMac });
  const source = from.addresses[family];
  if (family === 'ipv4') return frame.ipv4({ source, destination, ttl: hops, dontFragment });
  return frame.ipv6({ source, destination, hopLimit: hops });
}

const looksMax = 2000;

/** The first ICMP error that comes. */
function errorSeen(seen: Capture, family: Family): Packet | undefined {
  for (let look = 0; look < looksMax; look += 1) {
    const found = seen
      .frames()
      .map((bytes) => parsePacket(bytes))
      .find((each) => (family === 'ipv4' ? each.icmp : each.icmpv6)?.embedded !== undefined);
    if (found !== undefined) return found;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
  return undefined;
}

function icmpOf(found: Packet | undefined, family: Family) {
  return family === 'ipv4' ? found?.icmp : found?.icmpv6;
}

/** Where echo has its sequence; in ICMPv6 the lower half of the field. */
function mtuOf(icmp: ReturnType<typeof icmpOf>): number | undefined {
  return icmp?.sequence;
}

for (const family of families) {
  const version = family === 'ipv4' ? 4 : 6;

  test(`a packet leaves with the address of the device that its route takes (${family})`, () => {
    for (const each of [world, second]) {
      using server = udpServer(each, each.addresses[family], 53);
      using socket = udpSocket(client, version);
      socket.sendTo('hello', each.addresses[family], 53);
      const received = server.receiveFrom();
      assert.ok(received?.from.includes(each.nodeAddresses[family]), `${received?.from} by ${each.device}`);
      received?.reply('hello yourself');
      assert.equal(socket.receive(), 'hello yourself');
    }
  });

  for (const type of ['blackhole', 'unreachable', 'prohibit'] as const) {
    test(`a ${type} route is told to the sender, and is a drop with a reason (${family})`, () => {
      const destination = parsePrefix(family === 'ipv4' ? '203.0.113.0/24' : '2001:db8:dead::/48');
      node.netlink.routes.replace({ destination, type });
      const before = dropsOf(node).no_route ?? 0;
      using seen = capture(client.namespace, 2);
      inject(client.namespace, 2, ip(family, { to: destination.address }).udp({ destinationPort: 9 }).payload('x'));
      const icmp = icmpOf(errorSeen(seen, family), family);
      assert.deepEqual([icmp?.type, icmp?.code], family === 'ipv4' ? [3, 0] : [1, 0]);
      assert.equal(icmp?.checksumValid, true);
      assert.equal(dropsOf(node).no_route, before + 1);
      node.netlink.routes.delete({ destination, type });
    });
  }

  test(`what does not fit the route into the world is refused with the size that does (${family})`, () => {
    const to = parseAddress(family === 'ipv4' ? '198.18.0.1' : '2001:db8:1:2::1');
    using seen = capture(client.namespace, 2);
    const big = ip(family, { to, dontFragment: true }).udp({ sourcePort: 4711 });
    inject(client.namespace, 2, big.payload('x'.repeat(1320)));
    const icmp = icmpOf(errorSeen(seen, family), family);
    assert.deepEqual([icmp?.type, icmp?.code, mtuOf(icmp)], family === 'ipv4' ? [3, 4, narrow] : [2, 0, narrow]);
    assert.equal(icmp?.embedded?.udp?.sourcePort, 4711);
  });

  test(`what does not fit the way to another node is refused with the size that does (${family})`, () => {
    const { ipcachePrefix } = node.datapath.maps;
    const key = {
      prefixLength: version === 4 ? 96 + 24 : 64,
      address: parseAddress(version === 4 ? '10.244.2.0' : 'fd00:10:244:2::'),
    };
    const row = ipcachePrefix.lookup({ prefixLength: 128, address: far.addresses[family] });
    assert.ok(row);
    ipcachePrefix.update(key, { ...row, mtu: 1350 });
    using seen = capture(client.namespace, 2);
    const big = ip(family, { to: far.addresses[family], dontFragment: true }).udp({ sourcePort: 4711 });
    inject(client.namespace, 2, big.payload('x'.repeat(1400)));
    const icmp = icmpOf(errorSeen(seen, family), family);
    assert.deepEqual([icmp?.type, icmp?.code, mtuOf(icmp)], family === 'ipv4' ? [3, 4, 1350] : [2, 0, 1350]);
    ipcachePrefix.update(key, row);
  });

  test(`a packet whose hops end at another node is told so through the tunnel (${family})`, () => {
    using seen = capture(client.namespace, 2);
    inject(
      client.namespace,
      2,
      ip(family, { to: far.addresses[family], hops: 2 }).udp({ sourcePort: 33434 }).payload('x'),
    );
    const found = errorSeen(seen, family);
    const icmp = icmpOf(found, family);
    assert.deepEqual([icmp?.type, icmp?.code], family === 'ipv4' ? [11, 0] : [3, 0]);
    assert.equal(found?.[family]?.source, remote.router[family]);
    assert.equal(icmp?.embedded?.udp?.sourcePort, 33434);
  });
}

const none = { address: undefined, port: 0 };

function connection(more: Partial<Connection>): Connection {
  const expiresNs = systemClock.monotonicNs() + 60_000_000_000n;
  const counts = {
    packets: [1n, 0n],
    bytes: [64n, 0n],
    tcpFlags: [0, 0],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
  };
  const ids = { sourceIdentity: 1000, destinationIdentity: 2, backendId: 0, generation: 0 };
  return {
    expiresNs,
    createdNs: 0n,
    ...counts,
    ...ids,
    dnat: none,
    snat: none,
    state: CtState.Established,
    kind: CtKind.Connection,
    ...more,
  };
}

test('when every port is taken towards a destination, the next connection is refused, and other destinations are not', () => {
  const { conntrack } = node.datapath.maps;
  const [source, destination] = [client.addresses.ipv4, world.addresses.ipv4];
  const remotePort = 5353;
  const rows: [Tuple, Connection][] = [];
  for (let port = SnatPort.First; port <= SnatPort.Last; port += 1) {
    const tuple = { source, destination, sourcePort: port, destinationPort: remotePort, protocol: 17 };
    const snat = { address: world.nodeAddresses.ipv4, port };
    rows.push([tuple, connection({ snat })]);
    const reply = {
      source: destination,
      sourcePort: remotePort,
      destination: snat.address,
      destinationPort: port,
      protocol: 17,
    };
    rows.push([reply, connection({ expiresNs: 0n, kind: CtKind.SnatAlias, snat: { address: source, port } })]);
  }
  conntrack.updateBatch(rows);
  const before = dropsOf(node).nat_exhausted ?? 0;
  using server = udpServer(world, destination, remotePort);
  const send = (to: number) =>
    inject(
      other.namespace,
      2,
      ip('ipv4', { to: destination, from: other }).udp({ sourcePort: 40_000, destinationPort: to }).payload('x'),
    );
  send(remotePort);
  using free = udpServer(world, destination, remotePort + 1);
  send(remotePort + 1);
  assert.match(free.receiveFrom()?.from ?? '', /^192\.0\.2\.2:40000$/);
  assert.equal(server.receiveNow(), undefined);
  assert.equal(dropsOf(node).nat_exhausted, before + 1);
  conntrack.deleteBatch(rows.map(([tuple]) => tuple));
});

test('a device without an address of the family lets no pod out with its own', () => {
  const { devices } = node.datapath.maps;
  const found = [...devices.entries()].find(([, { ipv4 }]) => ipv4 === world.nodeAddresses.ipv4);
  const [ifindex, device] = found as [number, Device];
  const before = dropsOf(node).no_masquerade_address ?? 0;
  using server = udpServer(world, world.addresses.ipv4, 5454);
  const send = () =>
    inject(
      other.namespace,
      2,
      ip('ipv4', { to: world.addresses.ipv4, from: other })
        .udp({ sourcePort: 40_001, destinationPort: 5454 })
        .payload('x'),
    );
  devices.update(ifindex, { ...device, ipv4: none.address });
  send();
  devices.delete(ifindex);
  send();
  assert.equal(dropsOf(node).no_masquerade_address, before + 2);
  assert.equal(server.receiveNow(), undefined);
  devices.update(ifindex, device);
  send();
  assert.match(server.receiveFrom()?.from ?? '', /^192\.0\.2\.2:40001$/);
});

test('of a protocol without ports one pod speaks to a destination, the next is refused with the reason', () => {
  const before = dropsOf(node).nat_unsupported ?? 0;
  for (const from of [client, other]) {
    const frame = packet().ethernet({ source: from.mac, destination: node.configuration.hostMac });
    const gre = frame.ipv4({ source: from.addresses.ipv4, destination: world.addresses.ipv4, protocol: 47 });
    inject(from.namespace, 2, gre.payload('sixteen bytes at least'));
  }
  assert.equal(dropsOf(node).nat_unsupported, before + 1);
});
