import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  attachTcx,
  enableStatistics,
  kernelVersion,
  loadProgram,
  type Program,
  ProgramType,
  readKernelBtf,
} from '@sluice/bpf';
import {
  AddressFamily,
  bind,
  close,
  getsockopt,
  packetAddress,
  SocketLevel,
  SocketOption,
  SocketType,
  sendto,
  setsockopt,
  socket,
} from '@sluice/ffi';
import { type Address, type Mac, packet, parseAddress, parseMac } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { connectNodes, createTestNode, dropsOf, type TestNode, type TestPod } from '../test/node.ts';
import { type Place, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import { type DatapathEvent, EventType, KernelDeviceFlag, type KernelDrop, type KernelDrops } from './index.ts';
import { explainedReasons, readKernelReasons } from './kernel-reasons.ts';

const PORT = 8080;

interface Watched extends Disposable {
  readonly drops: KernelDrops;
  counts(): Record<string, number>;
  events(): KernelDrop[];
}

/** What an agent does: opens it in the node's namespace, and says which devices are the node's. */
function watch(node: TestNode, pods: readonly TestPod[] = []): Watched {
  const { maps } = node.datapath;
  const { hostIfindex, overlayIfindex } = node.configuration;
  for (const ifindex of [hostIfindex, overlayIfindex, ...pods.map((pod) => pod.ifindex)]) {
    maps.kernelDevices.update(ifindex, 0);
  }
  const lan = node.netlink.links.get('lan0');
  if (lan) maps.kernelDevices.update(lan.ifindex, KernelDeviceFlag.Shared);
  for (const pod of pods) {
    maps.netnsEndpoints.update(cookieOf(pod), { endpointId: pod.ifindex, identity: pod.identity, ...pod.addresses });
  }
  const drops = node.namespace.run(() => node.datapath.openKernelDrops());
  const seen: DatapathEvent[] = [];
  const ring = node.datapath.events((event) => seen.push(event));
  return {
    drops,
    counts: () => Object.fromEntries(drops.counts().map(({ text, packets }) => [text, Number(packets)])),
    events() {
      ring.drain();
      return seen.flatMap((event) => (event.type === 'kernel-drop' ? [event] : []));
    },
    [Symbol.dispose]() {
      ring[Symbol.dispose]();
      drops[Symbol.dispose]();
    },
  };
}

test('a redirect that fails after our program is counted and told with the packet, the device and the place', () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using watched = watch(node, [client, server]);
  using sending = udpSocket(client, 4);
  const { maps } = node.datapath;
  const row = maps.endpoints.lookup(server.addresses.ipv4);
  assert.ok(row);
  maps.endpoints.update(server.addresses.ipv4, { ...row, ifindex: 4_000 });
  sending.sendTo('lost', server.addresses.ipv4, PORT);
  assert.deepEqual(watched.counts(), { 'dropped by the kernel in skb_do_redirect': 1 });
  const [event] = watched.events();
  assert.deepEqual([event?.device, event?.functionName, event?.start], ['slc10', 'skb_do_redirect', 'ethernet']);
  assert.equal(event?.packetLength, 14 + 20 + 8 + 4);
  assert.equal(event?.packet.byteLength, 14 + 20 + 8 + 4);
  assert.deepEqual(Buffer.from(event?.packet.subarray(14 + 28) ?? []).toString(), 'lost');
  assert.deepEqual(dropsOf(node), {});
});

test('a neighbour that does not answer is a drop with its reason, on the device that was to send', async () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  connectNodes(one, other);
  one.namespace.run(() => {
    writeFileSync('/proc/sys/net/ipv4/neigh/lan0/mcast_solicit', '1');
    writeFileSync('/proc/sys/net/ipv4/neigh/lan0/retrans_time_ms', '10');
  });
  using watched = watch(one);
  using sending = udpSocket(one, 4);
  let sent = 0;
  // One that is freed while the program is at work on the same CPU is not seen: the kernel does not call it twice.
  for (; watched.events().length === 0 && sent < 20; sent += 1) {
    sending.sendTo('anybody?', parseAddress('10.10.30.99'), PORT);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const [[reason, count] = [], ...others] = Object.entries(watched.counts());
  assert.deepEqual([reason, others], ['neighbour does not answer [NEIGH_FAILED]', []]);
  assert.ok(Number(count) >= 1 && Number(count) <= sent, `${count} of ${sent}`);
  assert.equal(watched.events()[0]?.device, 'lan0');
});

test('what our programs drop is not counted a second time, also where the sender is told', () => {
  using node = createTestNode(1);
  const pod = node.addPod(10, 1000);
  using watched = watch(node, [pod]);
  sendFrame(pod, strange(pod));
  using client = udpSocket(pod, 4);
  client.sendTo('nobody there', parseAddress('10.244.1.200'), PORT);
  const { invalid_source_address, stale_or_unroutable } = dropsOf(node);
  assert.deepEqual([invalid_source_address, stale_or_unroutable], [1, 1]);
  assert.deepEqual(watched.counts(), {});
});

test('what a foreign program before ours drops is counted as such', () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using watched = watch(node, [client, server]);
  using sending = udpSocket(client, 4);
  // Before the other program is there, so that ARP is done.
  sending.sendTo('arrives', server.addresses.ipv4, PORT);
  sendFrame(client, strange(client));
  // r0 = TC_ACT_SHOT; exit
  const instructions = Uint8Array.of(0xb7, 0, 0, 0, 2, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
  using program = loadProgram({ name: 'foreign', type: ProgramType.schedCls, instructions, license: 'GPL' });
  using _link = node.namespace.run(() =>
    attachTcx({ program, ifindex: client.ifindex, hook: 'ingress', place: 'before' }),
  );
  sending.sendTo('lost', server.addresses.ipv4, PORT);
  assert.deepEqual(watched.counts(), { 'dropped by another program at ingress [TC_INGRESS]': 1 });
  assert.deepEqual(Object.keys(dropsOf(node)), ['invalid_source_address']);
});

test('what is dropped inside a pod, at the interface that we gave it, is seen; other interfaces are not ours', () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using watched = watch(node, [client, server]);
  const damaged = (destination: Address) =>
    packet()
      .ethernet({ source: client.mac, destination: node.configuration.hostMac })
      .ipv4({ source: client.addresses.ipv4, destination, checksum: 0x1234 })
      .udp({ destinationPort: PORT })
      .payload('damaged');
  sendFrame(client, damaged(server.addresses.ipv4));
  assert.deepEqual(watched.counts(), { 'wrong IP checksum [IP_CSUM]': 1 });
  const [event] = watched.events();
  assert.deepEqual([event?.device, event?.endpointId], ['eth0', server.ifindex]);
  sendFrame(server, damaged(parseAddress('127.0.0.1')), { device: 'lo' });
  assert.deepEqual(watched.counts(), { 'wrong IP checksum [IP_CSUM]': 1 });
});

test('a closed port and a slow reader are between sender and receiver', () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using watched = watch(node, [client, server]);
  using sending = udpSocket(client, 4);
  sending.sendTo('anybody?', server.addresses.ipv4, PORT);
  using slow = udpServer(server, server.addresses.ipv4, PORT + 1);
  setsockopt(slow.fd, SocketLevel.SOCKET, SocketOption.RCVBUF, 1);
  for (let count = 0; count < 20; count += 1) sending.sendTo('x'.repeat(1000), server.addresses.ipv4, PORT + 1);
  using closed = tcpSocket(client, 4);
  assert.throws(() => closed.connect(server.addresses.ipv4, PORT), { code: 'ECONNREFUSED' });
  assert.deepEqual(watched.counts(), {});
});

test('a connection that ends is no drop, though the kernel gives its last segments up without a reason', () => {
  using node = createTestNode(1);
  const pod = node.addPod(10, 1000);
  using watched = watch(node, [pod]);
  using listening = tcpServer(pod, pod.addresses.ipv4, PORT);
  for (let connection = 0; connection < 3; connection += 1) {
    using client = tcpSocket(node, 4);
    client.connect(pod.addresses.ipv4, PORT);
    using accepted = listening.accept();
    client.send('question');
    assert.equal(accepted?.receive(), 'question');
    client[Symbol.dispose]();
  }
  assert.deepEqual(watched.counts(), {});
});

test('a node sees its own drops only, though another has devices of the same numbers', () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  const pods = [one.addPod(10, 1000), other.addPod(10, 1000)] as const;
  assert.equal(pods[0].ifindex, pods[1].ifindex);
  using ofOne = watch(one, [pods[0]]);
  using ofOther = watch(other, [pods[1]]);
  loseOnePacket(other, pods[1]);
  assert.deepEqual(ofOne.counts(), {});
  assert.deepEqual(Object.values(ofOther.counts()), [1]);
});

test('a frame for a group or for another machine is no loss on a network that others use', () => {
  using one = createTestNode(1);
  using other = createTestNode(2);
  connectNodes(one, other);
  using watched = watch(other);
  const LLDP = 0x88cc;
  const mac = other.netlink.links.get('lan0')?.mac;
  assert.ok(mac);
  const send = (destination: Mac) =>
    sendFrame(one, packet().ethernet({ destination, etherType: LLDP }).payload('neighbours'), { device: 'lan0' });
  for (const destination of ['01:80:c2:00:00:0e', 'ff:ff:ff:ff:ff:ff', '02:00:00:00:77:77'])
    send(parseMac(destination));
  assert.deepEqual(watched.counts(), {});
  send(mac);
  assert.deepEqual(watched.counts(), { 'unknown ethertype [UNHANDLED_PROTO]': 1 });
});

test('a flood is counted to the last packet, also when the budget for events is spent', () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using watched = watch(node, [client, server]);
  const { eventBudgets } = node.datapath.maps;
  const budgets = () => eventBudgets.lookup(EventType.KernelDrop) ?? [];
  const withheld = () => budgets().reduce((sum, row) => sum + Number(row.withheld), 0);
  using sending = udpSocket(client, 4);
  breakRow(node, server);
  const flood = 1_000;
  const send = (count: number) => {
    for (let sent = 0; sent < count; sent += 1) sending.sendTo('lost', server.addresses.ipv4, PORT);
  };
  send(1);
  assert.equal(watched.events().length, 1);
  // As after a flood, however slow this machine is.
  const spent = process.hrtime.bigint() + 60_000_000_000n;
  eventBudgets.update(
    EventType.KernelDrop,
    budgets().map((row) => ({ ...row, spentUntilNs: spent })),
  );
  send(flood);
  const counted = Object.values(watched.counts()).reduce((sum, count) => sum + count, 0);
  assert.equal(counted + Number(watched.drops.missed()), 1 + flood);
  assert.deepEqual([watched.events().length, withheld()], [1, counted - 1]);
});

test('the counting goes on without a process, and the next one takes the same link over', () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  let before: number;
  {
    using watched = watch(node, [client, server]);
    before = programOf(watched).info().id;
  }
  loseOnePacket(node, client, server);
  using watched = watch(node, [client, server]);
  assert.equal(programOf(watched).info().id, before);
  assert.deepEqual(Object.values(watched.counts()), [1]);
});

test('a link whose pin somebody removed is made anew', () => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using watched = watch(node, [client, server]);
  assert.deepEqual(node.datapath.unpinned(), []);
  rmSync(join(node.bpffs, 'sluice/links/kernel_drops'));
  assert.deepEqual(node.datapath.unpinned(), ['kernel_drops']);
  node.datapath.repin();
  assert.deepEqual(node.datapath.unpinned(), []);
  loseOnePacket(node, client, server);
  assert.ok((Object.values(watched.counts())[0] ?? 0) >= 1);
  const [usage] = node.datapath.programUsage().filter(({ name }) => name === 'kfree_seen');
  assert.deepEqual(usage?.attachedTo, ['kernel_drops']);
});

test('reasons that have a text of ours are reasons of the kernel', (context) => {
  using btf = readKernelBtf();
  const reasons = readKernelReasons(btf);
  const missing = explainedReasons.filter((name) => reasons.numberOf(name) === undefined);
  context.diagnostic(`Linux ${kernelVersion()} lacks ${missing.join(', ') || 'none'}`);
  // The newest that the texts were written for; an older one lacks some.
  if (kernelVersion() === '6.18') assert.deepEqual(missing, []);
  else assert.ok(missing.length < explainedReasons.length / 2);
});

test('what it costs each freed packet of the machine', (context) => {
  using node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  using watched = watch(node, [client, server]);
  using _statistics = enableStatistics();
  const measure = (name: string, action: () => void): void => {
    const before = programOf(watched).statistics();
    action();
    const { runCount, runTimeNs } = programOf(watched).statistics();
    const runs = Number(runCount - before.runCount);
    assert.ok(runs > 0, name);
    context.diagnostic(`${name}: ${(Number(runTimeNs - before.runTimeNs) / runs).toFixed(0)} ns a call, ${runs} calls`);
  };
  using sending = udpSocket(client, 4);
  const send = (count: number, to: Address) => {
    for (let sent = 0; sent < count; sent += 1) sending.sendTo('x', to, PORT);
  };
  using elsewhere = temporaryNetworkNamespace();
  using openedElsewhere = openNetlink({ namespace: elsewhere.path });
  openedElsewhere.links.set({ ifindex: 1, up: true });
  const damaged = packet().ethernet({}).ipv4({ checksum: 0x1234 }).udp({}).payload();
  measure('a reason that is left out (closed port)', () => send(20_000, server.addresses.ipv4));
  measure('a packet of a namespace that is not ours', () => {
    sendFrame({ namespace: elsewhere }, damaged, { device: 'lo', times: 20_000 });
  });
  breakRow(node, server);
  measure('ours, first 256 told, the others counted', () => send(20_000, server.addresses.ipv4));
});

/** Sends one datagram to a pod whose row names a device that is not there. */
function loseOnePacket(node: TestNode, client: TestPod, server: TestPod = node.addPod(99, 1)): void {
  using sending = udpSocket(client, 4);
  breakRow(node, server);
  sending.sendTo('lost', server.addresses.ipv4, PORT);
}

/** From an address that is not the pod's own. */
function strange(pod: TestPod): Uint8Array {
  return packet()
    .ethernet({ source: pod.mac, destination: parseMac('02:00:00:00:01:01') })
    .ipv4({ source: parseAddress('10.9.9.9'), destination: parseAddress('10.244.1.1') })
    .udp({ destinationPort: PORT })
    .payload('strange');
}

/** By a device of the place's namespace, as it stands. */
function sendFrame(
  place: { readonly namespace: TestPod['namespace'] },
  bytes: Uint8Array,
  { device = 'eth0', times = 1 }: { device?: string; times?: number } = {},
): void {
  using netlink = openNetlink({ namespace: place.namespace.path });
  const ifindex = netlink.links.get(device)?.ifindex;
  assert.ok(ifindex !== undefined, device);
  const fd = place.namespace.run(() => socket(AddressFamily.PACKET, SocketType.RAW, 0));
  try {
    bind(fd, packetAddress({ ifindex, ethertype: 0 }));
    for (let sent = 0; sent < times; sent += 1) sendto(fd, bytes);
  } finally {
    close(fd);
  }
}

function programOf({ drops }: Watched): Program {
  const [program] = drops.programs();
  assert.ok(program);
  return program;
}

function cookieOf(place: Place): bigint {
  using anySocket = udpSocket(place, 4);
  const bytes = getsockopt(anySocket.fd, SocketLevel.SOCKET, SocketOption.NETNS_COOKIE, 8);
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}

function breakRow(node: TestNode, pod: TestPod): void {
  const row = node.datapath.maps.endpoints.lookup(pod.addresses.ipv4);
  assert.ok(row);
  node.datapath.maps.endpoints.update(pod.addresses.ipv4, { ...row, ifindex: 4_000 });
}
