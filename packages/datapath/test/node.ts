// Nodes and pods of kernel tests: namespaces with our devices, programs and map rows, as agent and CNI make them.
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { getsockopt, SocketLevel } from '@sluice/ffi';
import { type Address, type Mac, parseAddress, parseMac, parsePrefix } from '@sluice/net';
import { type Netlink, openNetlink, routeTable } from '@sluice/netlink';
import { installationRoot, silentLogger } from '@sluice/runtime';
import {
  type TemporaryNetworkNamespace,
  temporaryBpffs,
  temporaryCgroup,
  temporaryNetworkNamespace,
} from '@sluice/testing';
import {
  type Configuration,
  type Datapath,
  DropReason,
  dropReasonNames,
  EndpointFlag,
  IpcacheFlag,
  openDatapath,
} from '../src/index.ts';
import { type Place, udpSocket } from './sockets.ts';
import { accelerateInMode } from './xdp.ts';

export const VXLAN_PORT = 8472;
export const TUNNEL_MTU = 1450;
const HOST_IDENTITY = 1;
const REMOTE_NODE_IDENTITY = 6;

export interface TestNode extends Disposable, Place {
  readonly number: number;
  readonly namespace: TemporaryNetworkNamespace;
  readonly netlink: Netlink;
  readonly datapath: Datapath;
  readonly configuration: Configuration;
  readonly bpffs: string;
  readonly cgroupPath: string;
  readonly addresses: Families;
  readonly router: Families;
  /** Another agent on the same pins. */
  openDatapath(configuration?: Configuration): Datapath;
  addPod(number: number, identity: number): TestPod;
}

export interface TestPod extends Place {
  readonly namespace: TemporaryNetworkNamespace;
  readonly addresses: Families;
  readonly mac: Mac;
  readonly device: string;
  readonly ifindex: number;
  readonly identity: number;
  /** Of its interface; 1500 until then, more than fits into the tunnel. */
  setMtu(mtu: number): void;
}

export interface Families {
  readonly ipv4: Address;
  readonly ipv6: Address;
}

/** Node 1 has LAN address 10.10.30.1, pods 10.244.1.0/24 and fd00:10:244:1::/64. */
export function createTestNode(number: number): TestNode {
  using stack = new DisposableStack();
  const namespace = stack.use(temporaryNetworkNamespace());
  const cgroup = stack.use(temporaryCgroup());
  const bpffs = stack.use(temporaryBpffs()).path;
  namespace.run(setNodeSysctls);
  const netlink = stack.use(openNetlink({ namespace: namespace.path }));
  const addresses = familiesOf(`10.10.30.${number}`, `fd00:10:10:30::${number}`);
  const router = familiesOf(`10.244.${number}.1`, `fd00:10:244:${number}::1`);
  const devices = createNodeDevices(netlink, number, router);
  // Loose, as the agent has it: what comes by it need not be answered by it.
  namespace.run(() => writeFileSync('/proc/sys/net/ipv4/conf/sluice_host/rp_filter', '2'));
  const configuration: Configuration = {
    bindProtection: 1,
    hostNetnsCookie: netnsCookie({ run: namespace.run }),
    dryRun: 0,
    hostRouting: 1,
    masqueradeIpv4: 1,
    masqueradeIpv6: 1,
    gatewayIpv4: router.ipv4,
    gatewayIpv6: router.ipv6,
    hostIfindex: devices.host,
    hostMac: devices.hostMac,
    ipv4Enabled: 1,
    ipv6Enabled: 1,
    nodePortMin: 30_000,
    nodePortMax: 32_767,
    maglevSeedIpv4: 0x71dc_da46,
    maglevSeedIpv6: 0x9250_5688,
    tunnelPort: 8472,
    nodeIdentity: REMOTE_NODE_IDENTITY,
    underlayIpv4: addresses.ipv4,
    underlayIpv6: addresses.ipv6,
    overlayIfindex: devices.overlay,
  };
  const open = (chosen: Configuration = configuration) =>
    namespace.run(() =>
      openDatapath({
        bpffs,
        cgroupPath: cgroup.path,
        objectsDirectory: `${installationRoot()}/bpf/build`,
        configuration: chosen,
        log: silentLogger,
      }),
    );
  const datapath = stack.use(open());
  namespace.run(() => {
    datapath.attachSock();
    datapath.attachOverlay(devices.overlay);
    datapath.attachHost(devices.net);
  });
  for (const address of [...Object.values(addresses), ...Object.values(router)]) {
    const row = { id: 0, ifindex: 0, identity: HOST_IDENTITY, flags: EndpointFlag.Host };
    datapath.maps.endpoints.update(address, { ...row, mac: devices.hostMac, nodeMac: devices.hostMac });
  }
  const pods = stack.use(new DisposableStack());
  const owned = stack.move();
  const node: TestNode = {
    number,
    namespace,
    netlink,
    datapath,
    configuration,
    bpffs,
    cgroupPath: cgroup.path,
    addresses,
    router,
    openDatapath: open,
    run: (section) => cgroup.run(() => namespace.run(section)),
    addPod(podNumber, identity) {
      const podNamespace = pods.use(temporaryNetworkNamespace());
      return addPod(node, { number: podNumber, identity, namespace: podNamespace, run: cgroup.run });
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
  return node;
}

/** Joins two nodes by a cable, and tells each of the other's pods. */
export function connectNodes(one: TestNode, other: TestNode): void {
  const namespaceFd = openSync(other.namespace.path, 'r');
  try {
    one.netlink.links.create({ kind: 'veth', name: 'lan0', peer: { name: 'lan0', namespaceFd } });
  } finally {
    closeSync(namespaceFd);
  }
  for (const [node, peer] of [
    [one, other],
    [other, one],
  ] as const) {
    const ifindex = ifindexOf(node.netlink, 'lan0');
    node.netlink.links.set({ ifindex, up: true });
    node.netlink.addresses.add({ ifindex, address: node.addresses.ipv4, length: 24 });
    node.netlink.addresses.add({ ifindex, address: node.addresses.ipv6, length: 64, noDad: true });
    awaitAddress(node.netlink, node.addresses.ipv6);
    learnNode(node, peer);
  }
  const [mine, theirs] = [one, other].map((node) => ({ node, place: node, device: 'lan0' }));
  if (mine && theirs) accelerateInMode([mine, theirs]);
}

/** Packets dropped so far by the names of the reasons. */
export function dropsOf(node: TestNode): Record<string, number> {
  const dropped: Record<string, number> = {};
  for (const [{ reason }, counters] of node.datapath.maps.counters.entries()) {
    if (reason === DropReason.Forwarded) continue;
    const name = new Map(Object.entries(dropReasonNames)).get(String(reason)) ?? `reason ${reason}`;
    dropped[name] = counters.reduce((sum, { packets }) => sum + Number(packets), dropped[name] ?? 0);
  }
  return dropped;
}

function learnNode(node: TestNode, peer: TestNode): void {
  const { maps } = node.datapath;
  const entry = { tunnelEndpoint: peer.addresses.ipv4, identity: REMOTE_NODE_IDENTITY, flags: 0, mtu: 0 };
  for (const prefix of podPrefixes(peer.number)) {
    addPodRoute(node.netlink, node, prefix);
    const bits = prefix.address.includes(':') ? prefix.length : prefix.length + 96;
    maps.ipcachePrefix.update({ prefixLength: bits, address: prefix.address }, { ...entry, identity: 2 });
  }
  for (const address of [...Object.values(peer.addresses), ...Object.values(peer.router)]) {
    maps.ipcache.update(address, { ...entry, flags: IpcacheFlag.Node });
  }
}

function addPodRoute(
  netlink: Netlink,
  node: Pick<TestNode, 'router'>,
  destination: ReturnType<typeof parsePrefix>,
): void {
  const source = destination.address.includes(':') ? node.router.ipv6 : node.router.ipv4;
  netlink.routes.replace({ destination, ifindex: ifindexOf(netlink, 'sluice_host'), source, mtu: TUNNEL_MTU });
}

function createNodeDevices(netlink: Netlink, number: number, router: Families) {
  const hostMac = parseMac(`02:00:00:00:0${number}:01`);
  // With ARP, so that the program's answers to the host are part of what is tested.
  netlink.links.create({ kind: 'veth', name: 'sluice_host', mac: hostMac, peer: { name: 'sluice_net' } });
  netlink.links.create({
    kind: 'vxlan',
    name: 'sluice_vxlan',
    port: VXLAN_PORT,
    external: true,
    mtu: TUNNEL_MTU,
    up: true,
  });
  const [host, net, overlay] = ['sluice_host', 'sluice_net', 'sluice_vxlan'].map((name) => ifindexOf(netlink, name));
  if (host === undefined || net === undefined || overlay === undefined) throw new Error('a device is missing');
  for (const ifindex of [host, net]) netlink.links.set({ ifindex, up: true });
  netlink.addresses.add({ ifindex: host, address: router.ipv4, length: 32 });
  netlink.addresses.add({ ifindex: host, address: router.ipv6, length: 128, noDad: true });
  awaitAddress(netlink, router.ipv6);
  for (const prefix of podPrefixes(number)) addPodRoute(netlink, { router }, prefix);
  for (const services of ['10.96.0.0/16', 'fd00:10:96::/112']) addPodRoute(netlink, { router }, parsePrefix(services));
  return { host, net, overlay, hostMac };
}

interface NewPod extends Place {
  readonly number: number;
  readonly identity: number;
  readonly namespace: TemporaryNetworkNamespace;
}

function addPod(node: TestNode, pod: NewPod): TestPod {
  const addresses = familiesOf(`10.244.${node.number}.${pod.number}`, `fd00:10:244:${node.number}::${pod.number}`);
  const mac = parseMac(`02:00:00:0${node.number}:00:${pod.number.toString(16).padStart(2, '0')}`);
  const nodeMac = parseMac(`02:00:00:0${node.number}:01:${pod.number.toString(16).padStart(2, '0')}`);
  const device = `slc${pod.number}`;
  const namespaceFd = openSync(pod.namespace.path, 'r');
  try {
    node.netlink.links.create({ kind: 'veth', name: device, mac: nodeMac, peer: { name: 'eth0', mac, namespaceFd } });
  } finally {
    closeSync(namespaceFd);
  }
  const ifindex = ifindexOf(node.netlink, device);
  node.netlink.links.set({ ifindex, up: true });
  configurePod(pod.namespace, addresses, node.router);
  const { maps } = node.datapath;
  const row = { id: pod.number, ifindex, identity: pod.identity, flags: 0, mac, nodeMac: node.configuration.hostMac };
  for (const address of Object.values(addresses)) maps.endpoints.update(address, row);
  maps.netnsEndpoints.update(netnsCookie(pod.namespace), {
    endpointId: pod.number,
    identity: pod.identity,
    ...addresses,
  });
  node.namespace.run(() => node.datapath.attachPod(device, ifindex));
  const run: Place['run'] = (section) => pod.run(() => pod.namespace.run(section));
  const setMtu = (mtu: number): void => {
    using netlink = openNetlink({ namespace: pod.namespace.path });
    netlink.links.set({ ifindex: ifindexOf(netlink, 'eth0'), mtu });
  };
  return { namespace: pod.namespace, addresses, mac, device, ifindex, identity: pod.identity, run, setMtu };
}

const SO_NETNS_COOKIE = 71;

/** Of a namespace, as any socket inside tells it. */
export function netnsCookie(place: Place): bigint {
  using anySocket = udpSocket(place, 4);
  const bytes = getsockopt(anySocket.fd, SocketLevel.SOCKET, SO_NETNS_COOKIE, 8);
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}

function configurePod(namespace: TemporaryNetworkNamespace, addresses: Families, gateway: Families): void {
  using netlink = openNetlink({ namespace: namespace.path });
  const ifindex = ifindexOf(netlink, 'eth0');
  netlink.links.set({ ifindex, up: true });
  netlink.addresses.add({ ifindex, address: addresses.ipv4, length: 32 });
  netlink.addresses.add({ ifindex, address: addresses.ipv6, length: 128, noDad: true });
  awaitAddress(netlink, addresses.ipv6);
  for (const [router, length, all] of [
    [gateway.ipv4, 32, '0.0.0.0/0'],
    [gateway.ipv6, 128, '::/0'],
  ] as const) {
    netlink.routes.replace({ destination: { address: router, length }, ifindex });
    netlink.routes.replace({ destination: parsePrefix(all), ifindex, gateway: router });
  }
}

const looksMax = 2000;

/** Packets for an IPv6 address are taken when a worker of the kernel's has made its route: late on a busy machine. */
export function awaitAddress(netlink: Netlink, address: Address): void {
  for (let look = 0; look < looksMax; look += 1) {
    const local = netlink.routes.list({ table: routeTable.local });
    if (local.some((route) => route.type === 'local' && route.destination.address === address)) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
  throw new Error(`${address} does not become an address of the namespace`);
}

function setNodeSysctls(): void {
  for (const [name, value] of [
    ['ipv4/ip_forward', 1],
    ['ipv6/conf/all/forwarding', 1],
    // Strict, as distributions have it: what we do must stand it.
    ['ipv4/conf/all/rp_filter', 1],
    ['ipv4/conf/default/rp_filter', 1],
    // A link-local address that is not sure of itself yet asks for no neighbours.
    ['ipv6/conf/default/accept_dad', 0],
  ] as const) {
    writeFileSync(`/proc/sys/net/${name}`, String(value));
  }
}

function podPrefixes(number: number) {
  return [parsePrefix(`10.244.${number}.0/24`), parsePrefix(`fd00:10:244:${number}::/64`)];
}

function familiesOf(ipv4: string, ipv6: string): Families {
  return { ipv4: parseAddress(ipv4), ipv6: parseAddress(ipv6) };
}

function ifindexOf(netlink: Netlink, name: string): number {
  const link = netlink.links.get(name);
  if (link === undefined) throw new Error(`no device ${name}`);
  return link.ifindex;
}
