// Needs root, and the compiled objects in bpf/build for the last tests.
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { type Datapath, openDatapath } from '@sluice/datapath';
import {
  AddressFamily,
  bind,
  close,
  internetAddress,
  parseInternetAddress,
  recvfrom,
  SocketLevel,
  SocketOption,
  SocketType,
  sendto,
  setsockopt,
  socket,
} from '@sluice/ffi';
import type { NodeObject, ServiceCidrObject } from '@sluice/kube';
import {
  type Address,
  addressFromWire,
  addressToWire,
  familyOf,
  formatPrefix,
  parseAddress,
  parsePrefix,
} from '@sluice/net';
import { openNetlink, routeProtocol } from '@sluice/netlink';
import { installationRoot, silentLogger } from '@sluice/runtime';
import { Controllers, Table } from '@sluice/state';
import {
  type TemporaryNetworkNamespace,
  temporaryBpffs,
  temporaryCgroup,
  temporaryDirectory,
  temporaryNetworkNamespace,
} from '@sluice/testing';
import { homelabNodes, serviceCidr, sliceTable } from './builders.ts';
import { deviceNames } from './device.ts';
import type { NodeFacts } from './facts.ts';
import { type NodesOptions, startNodes } from './nodes.ts';

/** The API's tables, as the reflectors would fill them. */
function api() {
  const nodes = new Table<NodeObject>({ name: 'node-objects', key: (row) => row.name, columns: {} });
  const serviceCidrs = new Table<ServiceCidrObject>({ name: 'service-cidrs', key: (row) => row.name, columns: {} });
  const slices = sliceTable();
  const deliver = (objects: readonly NodeObject[] = homelabNodes()) => {
    nodes.replaceAll(objects);
    nodes.markInitialized('kubernetes');
    serviceCidrs.replaceAll([serviceCidr('10.96.0.0/16', 'fd00:10:96::/112')]);
    serviceCidrs.markInitialized('kubernetes');
    slices.markInitialized('slices');
  };
  return { nodes, serviceCidrs, slices, deliver };
}

interface Underlay {
  readonly namespace: TemporaryNetworkNamespace;
  readonly number: number;
}

/** Gives eno1 the addresses of the homelab's n-th node. */
function configure({ namespace, number }: Underlay): void {
  using netlink = openNetlink({ namespace: namespace.path });
  const eno1 = netlink.links.get('eno1');
  assert.ok(eno1);
  const { ifindex } = eno1;
  netlink.links.set({ ifindex, up: true });
  netlink.addresses.add({ ifindex, address: parseAddress(`10.10.30.10${number}`), length: 24 });
  netlink.addresses.add({ ifindex, address: parseAddress(`fd00:10:10:30::10${number}`), length: 64, noDad: true });
}

/** Two nodes on one wire. */
function cable(): { first: Underlay; second: Underlay; [Symbol.dispose](): void } {
  const stack = new DisposableStack();
  const first = { namespace: stack.use(temporaryNetworkNamespace()), number: 1 };
  const second = { namespace: stack.use(temporaryNetworkNamespace()), number: 2 };
  using netlink = openNetlink({ namespace: first.namespace.path });
  const namespaceFd = openSync(second.namespace.path, 'r');
  netlink.links.create({ kind: 'veth', name: 'eno1', peer: { name: 'eno1', namespaceFd } });
  closeSync(namespaceFd);
  for (const node of [first, second]) configure(node);
  return { first, second, [Symbol.dispose]: () => stack.dispose() };
}

function start({ namespace, number }: Underlay, kubernetes: ReturnType<typeof api>, more: Partial<NodesOptions> = {}) {
  const stack = new DisposableStack();
  const netlink = stack.use(openNetlink({ namespace: namespace.path }));
  // Timers run in the test's own namespace, so the settings are an empty directory: none is there, none is written.
  const proc = stack.use(temporaryDirectory()).path;
  const feature = startNodes({
    netlink,
    nodeName: `k8s-cp${number}`,
    nodeObjects: kubernetes.nodes,
    serviceCidrs: kubernetes.serviceCidrs,
    slices: kubernetes.slices,
    values: { devices: ['eno1'], mtu: 0, tunnelPort: 8472 },
    log: silentLogger,
    proc,
    ...more,
  });
  const routes = () =>
    netlink.routes
      .list({ protocol: routeProtocol.sluice })
      .map((route) => formatPrefix(route.destination))
      .sort();
  return {
    netlink,
    feature,
    routes,
    async [Symbol.asyncDispose]() {
      await feature.close();
      stack.dispose();
    },
  };
}

const deadlineMs = 10_000;

/** Looks again and again: the kernel's and the tables' events come in their own time. */
async function eventually(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!holds()) {
    if (Date.now() > deadline) assert.fail(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const allRoutes = [
  '10.244.0.0/24',
  '10.244.1.0/24',
  '10.244.2.0/24',
  '10.96.0.0/16',
  'fd00:10:244:1::/64',
  'fd00:10:244:2::/64',
  'fd00:10:244::/64',
  'fd00:10:96::/112',
];

test('node becomes ready with devices, facts and routes to all pods and services', async () => {
  using wire = cable();
  const kubernetes = api();
  await using node = start(wire.first, kubernetes);
  assert.match(node.feature.problem ?? '', /waiting for the Node object k8s-cp1/);
  kubernetes.deliver();
  const facts = await node.feature.ready;
  const host = node.netlink.links.get(deviceNames.host);
  assert.deepEqual(
    [facts.hostIfindex, facts.hostMac, facts.mtu, facts.gatewayIpv4, facts.gatewayIpv6, facts.nodeIpv4, facts.nodeIpv6],
    [host?.ifindex, host?.mac, 1450, '10.244.0.1', 'fd00:10:244::1', '10.10.30.101', 'fd00:10:10:30::101'],
  );
  await eventually('routes', () => node.routes().length === allRoutes.length);
  assert.deepEqual(node.routes(), allRoutes);
  const [route] = node.netlink.routes.list({ protocol: routeProtocol.sluice });
  assert.deepEqual([route?.ifindex, route?.source, route?.mtu], [host?.ifindex, '10.244.0.1', 1450]);
  assert.equal(node.feature.problem, undefined);
  assert.equal(node.feature.devices.get('eno1')?.why, 'named by devices: eno1');
});

test('node that disappears, and one whose CIDR is gone after a relist, lose their routes; others keep theirs', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  await eventually('routes', () => node.routes().length === allRoutes.length);
  kubernetes.nodes.delete('k8s-cp3');
  const withoutThird = allRoutes.filter((text) => !/244[.:]2/.test(text));
  await eventually('third gone', () => node.routes().join() === withoutThird.join());
  kubernetes.deliver(homelabNodes().slice(0, 1));
  const withoutSecond = withoutThird.filter((text) => !/244[.:]1/.test(text));
  await eventually('second gone', () => node.routes().join() === withoutSecond.join());
});

test("routes of others and of other protocols are not touched, a former process's go", async () => {
  using wire = cable();
  const kubernetes = api();
  using netlink = openNetlink({ namespace: wire.first.namespace.path });
  const ifindex = netlink.links.get('eno1')?.ifindex ?? 0;
  netlink.routes.replace({ destination: parsePrefix('10.7.0.0/16'), ifindex, protocol: routeProtocol.static });
  netlink.routes.replace({ destination: parsePrefix('10.8.0.0/16'), ifindex });
  await using node = start(wire.first, kubernetes);
  assert.deepEqual(node.routes(), ['10.8.0.0/16'], 'nothing is pruned before the API has told of all nodes');
  kubernetes.deliver();
  await eventually('only ours', () => node.routes().join() === allRoutes.join());
  assert.equal(netlink.routes.list({ family: 4, protocol: routeProtocol.static }).length, 1);
});

test('a pod CIDR of ours that overlaps a network of our devices is refused before anything is made, and why is said', async () => {
  using wire = cable();
  const kubernetes = api();
  await using node = start(wire.first, kubernetes);
  const ifindex = node.netlink.links.get('eno1')?.ifindex ?? 0;
  node.netlink.addresses.add({ ifindex, address: parseAddress('10.244.7.1'), length: 16 });
  const objects = homelabNodes().map((object) => ({ ...object, podCidrs: object.podCidrs.slice(0, 1) }));
  kubernetes.deliver(objects);
  await eventually('refused', () => /no pod CIDR that can be used/.test(node.feature.problem ?? ''));
  assert.match(
    node.feature.problem ?? '',
    /pod CIDR 10\.244\.0\.0\/24 overlaps 10\.244\.0\.0\/16, a network of device eno1/,
  );
  assert.deepEqual([node.routes(), node.netlink.links.get(deviceNames.host)], [[], undefined]);
  node.netlink.addresses.delete({ ifindex, address: parseAddress('10.244.7.1'), length: 16 });
  await node.feature.ready;
  await eventually('routes', () => node.routes().includes('10.244.1.0/24'));
});

test('a network that comes to overlap pods in use takes no route away, and the row says so', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  await eventually('routes', () => node.routes().length === allRoutes.length);
  const ifindex = node.netlink.links.get('eno1')?.ifindex ?? 0;
  node.netlink.addresses.add({ ifindex, address: parseAddress('10.244.1.200'), length: 25 });
  const problems = () => node.feature.nodes.get('k8s-cp2')?.problems.join() ?? '';
  await eventually('told', () => problems() !== '');
  assert.match(problems(), /overlaps 10\.244\.1\.128\/25, a network of device eno1; it stays, because it is in use/);
  assert.deepEqual(node.routes(), allRoutes);
});

test('a new node waits until it knows where services are', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.nodes.replaceAll(homelabNodes());
  kubernetes.nodes.markInitialized('kubernetes');
  await using node = start(wire.first, kubernetes);
  await eventually('waits', () => /waiting for the ServiceCIDR objects/.test(node.feature.problem ?? ''));
  kubernetes.serviceCidrs.replaceAll([serviceCidr('10.244.0.0/20', 'fd00:10:96::/112')]);
  kubernetes.serviceCidrs.markInitialized('kubernetes');
  const facts = await node.feature.ready;
  assert.deepEqual([facts.gatewayIpv4, facts.gatewayIpv6], [undefined, 'fd00:10:244::1']);
  assert.match(
    node.feature.nodes.get('k8s-cp1')?.problems.join() ?? '',
    /pod CIDR 10\.244\.0\.0\/24 overlaps 10\.244\.0\.0\/20, where services are/,
  );
});

test('route that somebody takes away comes back', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  await eventually('routes', () => node.routes().length === allRoutes.length);
  node.netlink.routes.delete({ destination: parsePrefix('10.244.1.0/24') });
  await eventually('back', () => node.routes().length === allRoutes.length);
});

test('device that somebody deletes comes back with its addresses and routes, and the facts change', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  const before = await node.feature.ready;
  const changes: NodeFacts[] = [];
  node.feature.onFactsChange((facts) => changes.push(facts));
  node.netlink.links.delete(before.hostIfindex);
  await eventually('facts', () => changes.length > 0);
  await eventually('routes', () => node.routes().length === allRoutes.length);
  assert.notEqual(changes[0]?.hostIfindex, before.hostIfindex);
  assert.equal(changes[0]?.hostMac, before.hostMac);
});

test('MTU of the network device reaches pods and routes at run time', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  await node.feature.ready;
  const ifindex = node.netlink.links.get('eno1')?.ifindex ?? 0;
  node.netlink.links.set({ ifindex, mtu: 1400 });
  await eventually('facts', () => node.feature.facts?.mtu === 1350);
  const mtus = () => new Set(node.netlink.routes.list({ protocol: routeProtocol.sluice }).map((route) => route.mtu));
  await eventually('routes', () => [...mtus()].join() === '1350');
  assert.equal(node.netlink.links.get(deviceNames.overlay)?.mtu, 1350);
});

test('address that comes to and leaves a device is in the tables at once', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  await node.feature.ready;
  const vip = {
    ifindex: node.netlink.links.get('eno1')?.ifindex ?? 0,
    address: parseAddress('10.10.30.10'),
    length: 32,
  };
  const holdsVip = () => node.feature.devices.get('eno1')?.addresses.includes(vip.address) ?? false;
  node.netlink.addresses.add(vip);
  await eventually('added', holdsVip);
  assert.equal(node.feature.addresses.has('eno1 10.10.30.10/32'), true);
  node.netlink.addresses.delete(vip);
  await eventually('removed', () => !holdsVip());
});

test('device that is named and not there, and an own address that no device has, are contradictions until mended', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  await node.feature.ready;
  assert.deepEqual(node.feature.contradictions, []);
  const { ifindex = 0 } = node.netlink.links.get('eno1') ?? {};
  node.netlink.links.set({ ifindex, name: 'lan0' });
  await eventually('named', () =>
    node.feature.contradictions.includes('devices names eno1, which no device is called'),
  );
  node.netlink.links.set({ ifindex, name: 'eno1' });
  node.netlink.addresses.delete({ ifindex, address: parseAddress('fd00:10:10:30::101'), length: 64 });
  const absent = 'fd00:10:10:30::101 of Node k8s-cp1 is on no device: give it to one, or correct the Node';
  await eventually('absent', () => node.feature.contradictions.join() === absent);
  node.netlink.addresses.add({ ifindex, address: parseAddress('fd00:10:10:30::101'), length: 64, noDad: true });
  await eventually('mended', () => node.feature.contradictions.length === 0);
});

test('an own Node object that somebody has deleted is told, and its network stays', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  const before = await node.feature.ready;
  kubernetes.nodes.delete('k8s-cp1');
  await eventually('told', () => /^Node k8s-cp1 is gone from the API/.test(node.feature.contradictions.join()));
  assert.deepEqual([node.feature.facts, node.feature.problem], [before, undefined]);
  kubernetes.deliver();
  await eventually('mended', () => node.feature.contradictions.length === 0);
});

test('restart finds everything as it is and writes nothing', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  const first = start(wire.first, kubernetes);
  const facts = await first.feature.ready;
  await eventually('routes', () => first.routes().length === allRoutes.length);
  await first[Symbol.asyncDispose]();
  await using second = start(wire.first, kubernetes);
  assert.deepEqual(await second.feature.ready, facts);
  for (const each of second.feature.reconcilers) await each.flush();
  assert.deepEqual(
    second.feature.reconcilers.map((each) => each.summary().updates),
    [0],
  );
});

test('bad Node object is a row with its reason, the others work', async () => {
  using wire = cable();
  const kubernetes = api();
  const [own, other] = homelabNodes();
  assert.ok(own && other);
  kubernetes.deliver([own, { ...other, name: 'twin' }, other]);
  await using node = start(wire.first, kubernetes);
  await node.feature.ready;
  const refused = node.feature.nodes.list().filter((row) => row.status.state === 'error');
  assert.deepEqual(
    refused.map((row) => row.name),
    ['twin'],
  );
  assert.match(refused[0]?.status.error ?? '', /pod CIDR 10\.244\.1\.0\/24 overlaps 10\.244\.1\.0\/24 of node k8s-cp2/);
});

test('while the API server is away the node stands from its memory, and nothing of the others is removed', async () => {
  using wire = cable();
  const kubernetes = api();
  using netlink = openNetlink({ namespace: wire.first.namespace.path });
  const ifindex = netlink.links.get('eno1')?.ifindex ?? 0;
  netlink.routes.replace({ destination: parsePrefix('10.244.1.0/24'), ifindex });
  const lastKnown = {
    addresses: [parseAddress('10.10.30.101')],
    podCidrs: [parsePrefix('10.244.0.0/24'), parsePrefix('fd00:10:244::/64')],
  };
  await using node = start(wire.first, kubernetes, { lastKnown });
  assert.equal((await node.feature.ready).gatewayIpv6, 'fd00:10:244::1');
  for (const each of node.feature.reconcilers) await each.flush();
  assert.deepEqual(node.routes(), ['10.244.0.0/24', '10.244.1.0/24', 'fd00:10:244::/64']);
});

test('own Node object that is deleted takes nothing away from the node', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  await eventually('routes', () => node.routes().length === allRoutes.length);
  kubernetes.deliver(homelabNodes().slice(1));
  await eventually('seen', () => node.feature.nodes.get('k8s-cp1')?.labels['kubernetes.io/hostname'] === undefined);
  for (const each of node.feature.reconcilers) await each.flush();
  assert.deepEqual(node.routes(), allRoutes);
});

test('family that is switched off has neither router address nor routes', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  const values = { devices: [], mtu: 0, tunnelPort: 8472, ipv6: false };
  await using node = start(wire.first, kubernetes, { values });
  assert.equal((await node.feature.ready).gatewayIpv6, undefined);
  await eventually('routes', () => node.routes().length === 4);
  assert.deepEqual(node.routes(), allRoutes.slice(0, 4));
});

test('what stands in the way is told, counted and tried again until it is gone', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  using netlink = openNetlink({ namespace: wire.first.namespace.path });
  const rival = netlink.links.create({ kind: 'vxlan', name: 'flannel.1', port: 8472, external: true });
  const controllers = new Controllers();
  await using node = start(wire.first, kubernetes, { controllers });
  assert.match(node.feature.problem ?? '', /^device flannel\.1 has UDP port 8472/);
  await eventually('counted', () => controllers.list().some((each) => each.failureCount > 0));
  netlink.links.delete(rival.ifindex);
  await node.feature.ready;
  assert.equal(node.feature.problem, undefined);
});

test('listener that fails to take changed facts gets them again', async () => {
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using node = start(wire.first, kubernetes);
  await node.feature.ready;
  const taken: number[] = [];
  node.feature.onFactsChange(({ mtu }) => {
    taken.push(mtu);
    if (taken.length === 1) throw new Error('the verifier had a bad day');
  });
  const ifindex = node.netlink.links.get('eno1')?.ifindex ?? 0;
  node.netlink.links.set({ ifindex, mtu: 1400 });
  await eventually('twice', () => taken.length === 2);
  assert.deepEqual(taken, [1350, 1350]);
});

function program(facts: NodeFacts, namespace: TemporaryNetworkNamespace, stack: DisposableStack): Datapath {
  const datapath = stack.use(
    openDatapath({
      bpffs: stack.use(temporaryBpffs()).path,
      cgroupPath: stack.use(temporaryCgroup()).path,
      objectsDirectory: `${installationRoot()}/bpf/build`,
      configuration: {
        ...facts,
        bindProtection: 0,
        hostNetnsCookie: 0n,
        dryRun: 0,
        hostRouting: 1,
        ipv4Enabled: 1,
        ipv6Enabled: 1,
        masqueradeIpv4: 1,
        masqueradeIpv6: 1,
        nodeIdentity: 6,
        underlayIpv4: facts.nodeIpv4,
        underlayIpv6: facts.nodeIpv6,
        nodePortMin: 30_000,
        nodePortMax: 32_767,
        maglevSeedIpv4: 0x71dc_da46,
        maglevSeedIpv6: 0x9250_5688,
        tunnelPort: 8472,
      },
      log: silentLogger,
    }),
  );
  namespace.run(() => {
    datapath.attachHost(facts.netIfindex);
    datapath.attachOverlay(facts.overlayIfindex);
  });
  return datapath;
}

/** Sends a datagram and answers it; returns whom the receiver and then the asker saw. Blocks at most two seconds each. */
function ping(from: TemporaryNetworkNamespace, to: TemporaryNetworkNamespace, target: Address): Address[] {
  const domain = familyOf(target) === 4 ? AddressFamily.INET : AddressFamily.INET6;
  const open = () => {
    const fd = socket(domain, SocketType.DGRAM);
    setsockopt(fd, SocketLevel.SOCKET, SocketOption.RCVTIMEO, new Uint8Array(BigInt64Array.of(2n, 0n).buffer));
    return fd;
  };
  const client = from.run(open);
  const server = to.run(open);
  try {
    bind(server, internetAddress(addressToWire(target), 7));
    sendto(client, Buffer.from('ping'), internetAddress(addressToWire(target), 7));
    const seen = recvfrom(server, new Uint8Array(16));
    if (seen === undefined) return [];
    sendto(server, Buffer.from('pong'), seen.address);
    const answer = recvfrom(client, new Uint8Array(16));
    return [seen, ...(answer ? [answer] : [])].map((each) =>
      addressFromWire(parseInternetAddress(each.address).address),
    );
  } finally {
    close(client);
    close(server);
  }
}

test('two nodes reach the router addresses of each other through the tunnel, in both families', async () => {
  using stack = new DisposableStack();
  using wire = cable();
  const kubernetes = api();
  kubernetes.deliver();
  await using first = start(wire.first, kubernetes);
  await using second = start(wire.second, kubernetes);
  for (const [node, underlay] of [
    [first, wire.first],
    [second, wire.second],
  ] as const) {
    const { maps } = program(await node.feature.ready, underlay.namespace, stack);
    node.feature.serveMaps(maps);
    for (const each of node.feature.reconcilers) await each.flush();
    assert.deepEqual([maps.ipcache.count(), maps.ipcachePrefix.count(), maps.endpoints.count()], [8, 8, 4]);
  }
  const { namespace: from } = wire.first;
  const { namespace: to } = wire.second;
  assert.deepEqual(ping(from, to, parseAddress('10.244.1.1')), ['10.244.0.1', '10.244.1.1']);
  assert.deepEqual(ping(from, to, parseAddress('fd00:10:244:1::1')), ['fd00:10:244::1', 'fd00:10:244:1::1']);
  assert.deepEqual(ping(to, from, parseAddress('10.244.0.1')), ['10.244.1.1', '10.244.0.1']);
  kubernetes.nodes.delete('k8s-cp2');
  await eventually('rows gone', () => first.feature.nodes.size === 2);
  for (const each of first.feature.reconcilers) await each.flush();
  assert.deepEqual(ping(to, from, parseAddress('10.244.0.1')), [], 'who is no node any more is not heard');
});
