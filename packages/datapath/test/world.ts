// What is outside of the cluster: a machine on a cable of the node's own, which knows no way to pods or services.
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { type Address, type Mac, parseAddress, parsePrefix } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { type TemporaryNetworkNamespace, temporaryNetworkNamespace } from '@sluice/testing';
import { awaitAddress, type Families, type TestNode } from './node.ts';
import type { Place } from './sockets.ts';
import { accelerateInMode } from './xdp.ts';

export interface World extends Disposable, Place {
  readonly namespace: TemporaryNetworkNamespace;
  readonly addresses: Families;
  /** The node's side of the cable. */
  readonly nodeAddresses: Families;
  readonly device: string;
  readonly ifindex: number;
  readonly nodeMac: Mac;
  /** Its own end of the cable. */
  readonly wanIfindex: number;
  readonly mac: Mac;
  addRoute(destination: string): void;
}

export interface WorldOptions {
  /** Default `wan0`, 192.0.2.1 and 2001:db8::1; a second one is told apart by its number. */
  readonly number?: number;
  /** Where its route leads; default everywhere. */
  readonly destinations?: readonly string[];
  readonly mtu?: number;
}

/** Connects the node, with a route, and hooks the programs to the device. */
export function connectWorld(node: TestNode, options: WorldOptions = {}): World {
  const { number = 0, destinations = ['0.0.0.0/0', '::/0'], mtu = 1500 } = options;
  using stack = new DisposableStack();
  const namespace = stack.use(temporaryNetworkNamespace());
  const device = `wan${number}`;
  const addresses = { ipv4: parseAddress(`192.0.${2 + number}.1`), ipv6: parseAddress(`2001:db8:${number}::1`) };
  const nodeAddresses = { ipv4: parseAddress(`192.0.${2 + number}.2`), ipv6: parseAddress(`2001:db8:${number}::2`) };
  const namespaceFd = openSync(namespace.path, 'r');
  try {
    node.netlink.links.create({ kind: 'veth', name: device, mtu, peer: { name: 'wan', mtu, namespaceFd } });
  } finally {
    closeSync(namespaceFd);
  }
  const { ifindex, mac: nodeMac } = linkOf(node.netlink, device);
  setUp(node.netlink, ifindex, nodeAddresses);
  const netlink = stack.use(openNetlink({ namespace: namespace.path }));
  const { ifindex: wanIfindex, mac } = linkOf(netlink, 'wan');
  setUp(netlink, wanIfindex, addresses);
  for (const destination of destinations) {
    const gateway = destination.includes(':') ? addresses.ipv6 : addresses.ipv4;
    node.netlink.routes.replace({ destination: parsePrefix(destination), ifindex, gateway });
  }
  const { maps } = node.datapath;
  maps.devices.update(ifindex, nodeAddresses);
  for (const address of Object.values(nodeAddresses)) maps.endpoints.update(address, hostRow(node));
  node.namespace.run(() => node.datapath.attachNetworkDevice(device, ifindex));
  accelerateInMode([
    { place: namespace, device: 'wan' },
    { node, place: node, device },
  ]);
  const owned = stack.move();
  return {
    namespace,
    addresses,
    nodeAddresses,
    device,
    ifindex,
    nodeMac,
    wanIfindex,
    mac,
    addRoute(destination) {
      const gateway = destination.includes(':') ? nodeAddresses.ipv6 : nodeAddresses.ipv4;
      netlink.routes.replace({ destination: parsePrefix(destination), ifindex: wanIfindex, gateway });
    },
    run: (section) => namespace.run(section),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/**
 * A cable of another node's to the same machine, 198.51.100.1 and 2001:db8:100::1 there, by which that node reaches the
 * world. The machine answers by the first, and takes what comes by either.
 */
export function joinWorld(world: World, node: TestNode): { readonly ifindex: number; readonly wanIfindex: number } {
  const addresses = { ipv4: parseAddress('198.51.100.1'), ipv6: parseAddress('2001:db8:100::1') };
  const nodeAddresses = { ipv4: parseAddress('198.51.100.2'), ipv6: parseAddress('2001:db8:100::2') };
  const namespaceFd = openSync(world.namespace.path, 'r');
  try {
    node.netlink.links.create({ kind: 'veth', name: 'wan0', peer: { name: 'wan1', namespaceFd } });
  } finally {
    closeSync(namespaceFd);
  }
  const { ifindex } = linkOf(node.netlink, 'wan0');
  setUp(node.netlink, ifindex, nodeAddresses);
  using netlink = openNetlink({ namespace: world.namespace.path });
  const { ifindex: wanIfindex } = linkOf(netlink, 'wan1');
  setUp(netlink, wanIfindex, addresses);
  world.run(() => {
    for (const device of ['all', 'wan', 'wan1']) writeFileSync(`/proc/sys/net/ipv4/conf/${device}/rp_filter`, '0');
  });
  for (const [destination, gateway] of [
    ['0.0.0.0/0', addresses.ipv4],
    ['::/0', addresses.ipv6],
  ] as const) {
    node.netlink.routes.replace({ destination: parsePrefix(destination), ifindex, gateway });
  }
  const { maps } = node.datapath;
  maps.devices.update(ifindex, nodeAddresses);
  for (const address of Object.values(nodeAddresses)) maps.endpoints.update(address, hostRow(node));
  node.namespace.run(() => node.datapath.attachNetworkDevice('wan0', ifindex));
  accelerateInMode([
    { place: world, device: 'wan1' },
    { node, place: node, device: 'wan0' },
  ]);
  return { ifindex, wanIfindex };
}

function linkOf(netlink: TestNode['netlink'], name: string): { ifindex: number; mac: Mac } {
  const link = netlink.links.get(name);
  if (link?.mac === undefined) throw new Error(`no device ${name}`);
  return { ifindex: link.ifindex, mac: link.mac };
}

function hostRow(node: TestNode) {
  const row = node.datapath.maps.endpoints.lookup(node.router.ipv4);
  if (row === undefined) throw new Error('the node has no row of its router address');
  return row;
}

function setUp(netlink: TestNode['netlink'], ifindex: number, { ipv4, ipv6 }: Families): void {
  netlink.links.set({ ifindex, up: true });
  for (const [address, length] of [
    [ipv4, 24],
    [ipv6, 64],
  ] as readonly [Address, number][]) {
    netlink.addresses.add({ ifindex, address, length, noDad: true });
  }
  awaitAddress(netlink, ipv6);
}
