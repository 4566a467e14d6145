import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Address, packet, parseAddress, parsePacket } from '@sluice/net';
import { connectNodes, createTestNode, netnsCookie, type TestNode, type TestPod } from '../test/node.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { tcpServer, tcpSocket } from '../test/sockets.ts';
import { connectWorld } from '../test/world.ts';
import { CtStatus, type DatapathEvent, DropReason, FrontendFlag, type PacketAnswer, Way } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;

const node = createTestNode(1);
const other = createTestNode(2);
connectNodes(node, other);
const world = connectWorld(node);
after(() => {
  world[Symbol.dispose]();
  other[Symbol.dispose]();
  node[Symbol.dispose]();
});
const client = node.addPod(10, 1010);
const neighbour = node.addPod(11, 1011);
const remote = other.addPod(20, 2020);
const cookie = netnsCookie(client.namespace);
const service = { ipv4: parseAddress('10.96.0.10'), ipv6: parseAddress('fd00:10:96::10') };

interface Sent {
  readonly to: Address;
  readonly from?: Address;
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly bytes?: Uint8Array;
}

function built(pod: TestPod, { to, from, protocol = TCP, sourcePort = 50_000 }: Sent): Uint8Array {
  const isIpv6 = to.includes(':');
  const ends = { source: from ?? pod.addresses[isIpv6 ? 'ipv6' : 'ipv4'], destination: to };
  const frame = packet().ethernet({ source: pod.mac, destination: node.configuration.hostMac });
  const network = isIpv6 ? frame.ipv6(ends) : frame.ipv4(ends);
  const ports = { sourcePort, destinationPort: 80 };
  return (protocol === TCP ? network.tcp(ports) : network.udp(ports)).payload();
}

function ask(sent: Sent, pod = client): PacketAnswer {
  const bytes = sent.bytes ?? built(pod, sent);
  return node.namespace.run(() =>
    node.datapath.dryRun().packet({ program: 'pod_from_pod', ifindex: pod.ifindex, bytes }),
  );
}

function askCall(address: Address, protocol = TCP) {
  return node.datapath.dryRun().socketCall({ netnsCookie: cookie, address, port: 80, protocol });
}

function serve(address: Address, backends: readonly Address[], options: { protocol?: number; affinity?: number } = {}) {
  const { protocol = TCP, affinity: affinitySeconds = 0 } = options;
  services += 1;
  const id = services;
  writeService(node.datapath.maps, {
    id,
    address,
    port: 80,
    protocol,
    affinitySeconds,
    backends: backends.map((backend, index) => ({ id: id * 100 + index, address: backend, port: 8080 })),
  });
}
let services = 0;

for (const [, family] of families) {
  test(`a packet to a pod of the same node is told as delivered into its interface (${family})`, () => {
    const { action, explanation } = ask({ to: neighbour.addresses[family] });
    assert.equal(action, 'redirected');
    assert.equal(explanation?.way, Way.Pod);
    assert.equal(explanation?.ifindex, neighbour.ifindex);
    assert.equal(explanation?.sourceIdentity, client.identity);
    assert.equal(explanation?.destinationIdentity, neighbour.identity);
    assert.equal(explanation?.ctStatus, CtStatus.New);
    assert.equal(explanation?.frontend.address, undefined);
  });

  test(`a packet to a pod of another node is told as tunneled to that node (${family})`, () => {
    const { action, explanation } = ask({ to: remote.addresses[family] });
    assert.equal(action, 'redirected');
    assert.equal(explanation?.way, Way.Tunnel);
    assert.equal(explanation?.nextHop, other.addresses.ipv4);
    assert.equal(explanation?.ifindex, node.configuration.overlayIfindex);
  });

  test(`a packet into the world is told with its device, its gateway and the address that it leaves with (${family})`, () => {
    const to = parseAddress(family === 'ipv4' ? '198.51.100.7' : '2001:db8:ffff::7');
    const { action, explanation, bytes } = ask({ to });
    assert.equal(action, 'redirected');
    assert.equal(explanation?.way, Way.Device);
    assert.equal(explanation?.ifindex, world.ifindex);
    assert.equal(explanation?.nextHop, world.addresses[family]);
    const out = node.namespace.run(() =>
      node.datapath.dryRun().packet({ program: 'netdev_to_network', ifindex: world.ifindex, bytes }),
    );
    assert.equal(out.action, 'left');
    const { [family]: header, tcp } = parsePacket(out.bytes);
    assert.equal(header?.source, world.nodeAddresses[family]);
    assert.equal(tcp?.sourcePort, 50_000);
    assert.equal(header?.destination, to);
  });

  test(`a packet to the node itself is told as going to its stack (${family})`, () => {
    const { explanation } = ask({ to: node.addresses[family] });
    assert.equal(explanation?.way, Way.Host);
    assert.equal(explanation?.ifindex, node.configuration.hostIfindex);
  });

  test(`a source that is not the pod's is told as dropped (${family})`, () => {
    const { action, explanation } = ask({ to: neighbour.addresses[family], from: neighbour.addresses[family] });
    assert.equal(action, 'dropped');
    assert.equal(explanation?.reason, DropReason.InvalidSourceAddress);
    assert.ok((explanation?.line ?? 0) > 0);
  });

  test(`the only backend of a service is what the call is told to get, and gets (${family})`, () => {
    const address = parseAddress(family === 'ipv4' ? '10.96.0.20' : 'fd00:10:96::20');
    serve(address, [neighbour.addresses[family]]);
    const answer = askCall(address);
    assert.equal(answer.result, 'translated');
    assert.equal(answer.backend?.address, neighbour.addresses[family]);
    assert.equal(answer.backend?.port, 8080);
    assert.equal(answer.backendCount, 1);
    using server = tcpServer(neighbour, neighbour.addresses[family], 8080);
    using socket = tcpSocket(client, family === 'ipv4' ? 4 : 6);
    socket.connect(address, 80);
    assert.ok(server.accept());
  });

  test(`past the socket hooks a packet is told as translated to a backend (${family})`, () => {
    for (const protocol of [TCP, UDP]) {
      const address = parseAddress(family === 'ipv4' ? `10.96.0.${30 + protocol}` : `fd00:10:96::${30 + protocol}`);
      serve(address, [remote.addresses[family]], { protocol });
      assert.equal(askCall(address, protocol).backend?.address, remote.addresses[family]);
      const { explanation } = ask({ to: address, protocol });
      assert.equal(explanation?.way, Way.Tunnel);
      assert.equal(explanation?.frontend.address, address);
      assert.equal(explanation?.tuple.destination, remote.addresses[family]);
      assert.equal(explanation?.tuple.destinationPort, 8080);
    }
  });

  test(`a service without backends refuses the call, and its packet is told with its answer (${family})`, () => {
    serve(service[family], []);
    serve(service[family], [], { protocol: UDP });
    assert.equal(askCall(service[family]).result, 'no backend');
    const reset = ask({ to: service[family] });
    assert.equal(reset.explanation?.reason, DropReason.NoBackend);
    assert.equal(reset.action, 'redirected');
    assert.ok(parsePacket(reset.bytes).tcp?.flags.includes('R'));
    const error = parsePacket(ask({ to: service[family], protocol: UDP }).bytes);
    assert.ok(error.icmp ?? error.icmpv6);
  });
}

test('who is not of the source ranges is told so: a pod by its address, the node by its flag, as the call is', () => {
  const { SourceRanges, NodeAllowed } = FrontendFlag;
  const address = parseAddress('10.96.0.60');
  const backends = [{ id: 60, address: neighbour.addresses.ipv4, port: 8080 }];
  const results = (flags: number, sourceRanges: readonly string[], generation: number) => {
    const row = { id: 60, address, port: 80, protocol: TCP, backends, flags, sourceRanges, generation };
    writeService(node.datapath.maps, row);
    return [cookie, 0n].map(
      (netnsCookie) => node.datapath.dryRun().socketCall({ netnsCookie, address, port: 80, protocol: TCP }).result,
    );
  };
  assert.deepEqual(results(0, [], 1), ['translated', 'translated']);
  assert.deepEqual(results(SourceRanges, ['198.51.100.0/24'], 2), ['not allowed', 'not allowed']);
  assert.deepEqual(results(SourceRanges, ['10.244.1.0/24'], 3), ['translated', 'not allowed']);
  assert.deepEqual(results(SourceRanges | NodeAllowed, ['198.51.100.0/24'], 4), ['not allowed', 'translated']);
});

test('an address that nobody has in the pod CIDR of this node is told as unroutable', () => {
  const address = parseAddress('10.244.1.0');
  const row = { tunnelEndpoint: undefined, identity: 3, flags: 1, mtu: 0 };
  node.datapath.maps.ipcachePrefix.update({ prefixLength: 96 + 24, address }, row);
  const { action, explanation } = ask({ to: parseAddress('10.244.1.200') });
  assert.equal(action, 'dropped');
  assert.equal(explanation?.reason, DropReason.StaleOrUnroutable);
});

test("a pod that would meet itself behind a service is told as sending from the service's address", () => {
  const address = parseAddress('10.96.0.60');
  serve(address, [client.addresses.ipv4]);
  const { explanation } = ask({ to: address });
  assert.equal(explanation?.way, Way.Pod);
  assert.equal(explanation?.tuple.source, address);
});

test('a client with affinity is told the backend that it had, and has it afterwards', () => {
  const address = parseAddress('10.96.0.70');
  serve(address, [neighbour.addresses.ipv4, remote.addresses.ipv4], { affinity: 100 });
  assert.equal(askCall(address).isByAffinity, false);
  using server = tcpServer(neighbour, neighbour.addresses.ipv4, 8080);
  using far = tcpServer(remote, remote.addresses.ipv4, 8080);
  using first = tcpSocket(client, 4);
  first.connect(address, 80);
  const told = askCall(address);
  assert.equal(told.isByAffinity, true);
  assert.equal(told.affinitySeconds, 100);
  const chosen = told.backend?.address === remote.addresses.ipv4 ? far : server;
  assert.ok(chosen.accept());
  using second = tcpSocket(client, 4);
  second.connect(address, 80);
  assert.ok(chosen.accept());
});

test('a service is told by the row that each kind of client has, and what he gets there', () => {
  const address = parseAddress('10.96.0.90');
  serve(address, [neighbour.addresses.ipv4, remote.addresses.ipv4]);
  const asked = (kind: 'pod' | 'node' | 'outside', port = 80) =>
    node.datapath
      .dryRun()
      .service({ ...{ address, port, protocol: TCP, kind, clientPort: 40_000 }, client: client.addresses.ipv4 });
  for (const kind of ['pod', 'node'] as const) {
    const row = asked(kind);
    assert.equal(row?.result, 'backend');
    assert.equal(row?.scope, 'internal');
    assert.equal(row?.frontend, address);
    assert.equal(row?.backendCount, 2);
    const slots = [0, 1].map((slot) =>
      node.datapath.maps.slots.lookup({ serviceId: row.serviceId, generation: row.generation, slot }),
    );
    assert.ok(slots.some((slot) => slot?.backendId === row.backend?.id));
  }
  assert.equal(asked('outside'), undefined, 'a cluster address is not for them');
  assert.equal(asked('pod', 81), undefined);
});

test('questions change nothing: no row of any map, no counter, no event', async () => {
  const address = parseAddress('10.96.0.80');
  serve(address, [neighbour.addresses.ipv4, remote.addresses.ipv4], { affinity: 100 });
  serve(parseAddress('10.96.0.81'), []);
  const seen: DatapathEvent[] = [];
  const { maps } = node.datapath;
  for (const { ifindex } of [client, world]) maps.kernelDevices.update(ifindex, 0);
  using drops = node.namespace.run(() => node.datapath.openKernelDrops());
  using ring = node.datapath.events((event) => seen.push(event));
  // The kernel's function that frees the packet of a test run is learnt once.
  ask({ to: neighbour.addresses.ipv4 });
  // Whatever else the namespaces say meanwhile (multicast reports come late on a busy machine) they do not say each time.
  for (let attempt = 1; ; attempt += 1) {
    const before = await settledContents(node);
    ring.drain();
    seen.length = 0;
    askEverything(address);
    ring.drain();
    if (attempt < ATTEMPTS && !isDeepStrictEqual(contents(node), before)) continue;
    assert.deepEqual(contents(node), before);
    assert.deepEqual(seen, []);
    break;
  }
  assert.equal(drops.missed(), 0n);
});

const ATTEMPTS = 5;

/** 200 questions. */
function askEverything(address: Address): void {
  for (let round = 0; round < 20; round += 1) {
    const sourcePort = 51_000 + round;
    for (const to of [neighbour, remote].map((pod) => pod.addresses.ipv4)) ask({ to, sourcePort });
    for (const to of ['10.96.0.80', '10.96.0.81', '198.51.100.7', '10.244.1.200']) {
      const { action, bytes } = ask({ to: parseAddress(to), sourcePort });
      if (to !== '198.51.100.7') continue;
      assert.equal(action, 'redirected');
      node.namespace.run(() =>
        node.datapath.dryRun().packet({ program: 'netdev_to_network', ifindex: world.ifindex, bytes }),
      );
    }
    ask({ to: neighbour.addresses.ipv4, from: neighbour.addresses.ipv4 });
    askCall(address);
    askCall(parseAddress('10.96.0.81'));
    for (const kind of ['pod', 'node', 'outside'] as const)
      node.datapath.dryRun().service({
        ...{ address, port: 80, protocol: TCP, clientPort: sourcePort, kind },
        client: client.addresses.ipv4,
      });
  }
}

test('a question after the configuration has changed is answered by the new one', () => {
  const to = parseAddress('198.51.100.7');
  assert.equal(ask({ to }).explanation?.way, Way.Device);
  node.namespace.run(() => node.datapath.reconfigure({ ...node.configuration, hostRouting: 0 }));
  assert.equal(ask({ to }).explanation?.way, Way.Host);
  node.namespace.run(() => node.datapath.reconfigure(node.configuration));
});

/** Rows of all maps, per-CPU ones with each CPU's. */
function contents({ datapath: { maps } }: TestNode): Record<string, unknown> {
  const rows = Object.entries(maps).map(([name, map]) => [name, [...map.entries()]]);
  return Object.fromEntries(rows);
}

const settleMs = 500;

/** The last segments of connections of the tests before are on their way for a moment after these have ended. */
async function settledContents(node: TestNode): Promise<Record<string, unknown>> {
  let before = contents(node);
  for (;;) {
    await delay(settleMs);
    const after = contents(node);
    if (isDeepStrictEqual(after, before)) return after;
    before = after;
  }
}
