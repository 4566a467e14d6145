import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findOtherPrograms, type OtherProgram } from '@sluice/datapath';
import type { Filter, Link, Netlink } from '@sluice/netlink';
import { openNetlink } from '@sluice/netlink';
import { type Device, describeDevices } from '@sluice/nodes';
import { readFileIfPresent } from '@sluice/runtime';
import { type ForeignRules, foreignRules } from '../foreign/foreign-rules.ts';
import type { NodeSettings } from '../node-settings.ts';
import type { FactsPaths, Usage } from './machine-facts.ts';

/** The node's network, as the calling thread's namespace has it. */
export interface NetworkFacts extends ForeignRules {
  readonly settings: NodeSettings;
  readonly links: readonly Pick<Link, 'name' | 'kind' | 'ifindex' | 'mtu' | 'vxlan'>[];
  /** With the decision which of them face the network. */
  readonly devices: readonly Device[];
  /** `all/rp_filter` and the like, of net/ipv4/conf. */
  readonly ipv4Settings: Readonly<Record<string, string | undefined>>;
  readonly ipv6Settings: Readonly<Record<string, string | undefined>>;
  /** Rows of the neighbour tables, and how many there may be. */
  readonly neighbours: Readonly<Record<4 | 6, Usage | undefined>>;
  /** net.ipv4.ip_local_port_range, and net.ipv4.ip_local_reserved_ports: which ports the kernel gives to whoever asks. */
  readonly localPorts: string;
  readonly reservedPorts: string;
  /** Of the kernel's own connection tracking; undefined: not loaded. */
  readonly conntrack: Usage | undefined;
  /** IPVS services, as kube-proxy's mode of that name makes them. */
  readonly ipvsServices: number;
  readonly programs: readonly OtherProgram[];
  /** Of `tc`, at the devices where we have programs. */
  readonly filters: readonly (Omit<Filter, 'ifindex'> & { readonly device: string })[];
  /** Why nobody could look for them. */
  readonly programsUnknown: string | undefined;
  /** Who holds the tunnel's UDP port, but for our own device. */
  readonly tunnelPortHolders: readonly string[];
  /** Who listens at a port that the agent would have. */
  readonly agentPortHolders: readonly { readonly port: number; readonly holders: readonly string[] }[];
  /** In the container runtime's directory, in the order in which it takes the first. */
  readonly cniFiles: readonly string[];
  /** Names of processes that look after the network of pods, too. */
  readonly rivals: readonly string[];
}

export interface NetworkFactsOptions extends FactsPaths {
  readonly settings: NodeSettings;
  readonly cgroupPath: string | undefined;
}

export function readNetworkFacts(options: NetworkFactsOptions): NetworkFacts {
  const { settings, proc, cgroupPath } = options;
  const text = (path: string) => readFileIfPresent(join(proc, path))?.trim();
  using netlink = openNetlink();
  const links = netlink.links.list();
  const devices = describeDevices(
    { links, addresses: netlink.addresses.list(), routes: netlink.routes.list() },
    { patterns: settings.devices, nodeAddresses: settings.nodeAddresses },
  );
  const hooked = links.filter(({ name }) => isHooked(name, devices));
  const neighbours = netlink.neighbours.list();
  const rowsOf = (family: 4 | 6) => neighbours.filter(({ address }) => address.includes(':') === (family === 6)).length;
  return {
    settings,
    links,
    devices,
    ...foreignRules({ procPath: join(proc, 'thread-self') }),
    ipv4Settings: readDeviceSettings(proc, 'ipv4', ['rp_filter', 'forwarding', 'route_localnet']),
    ipv6Settings: readDeviceSettings(proc, 'ipv6', ['forwarding', 'disable_ipv6']),
    neighbours: {
      4: usageOf(rowsOf(4), text('sys/net/ipv4/neigh/default/gc_thresh3')),
      6: usageOf(rowsOf(6), text('sys/net/ipv6/neigh/default/gc_thresh3')),
    },
    localPorts: text('sys/net/ipv4/ip_local_port_range') ?? '',
    reservedPorts: text('sys/net/ipv4/ip_local_reserved_ports') ?? '',
    conntrack: usageOf(
      Number(text('sys/net/netfilter/nf_conntrack_count')),
      text('sys/net/netfilter/nf_conntrack_max'),
    ),
    ipvsServices: countIpvs(text('thread-self/net/ip_vs')),
    ...readPrograms(hooked, cgroupPath),
    filters: readFilters(netlink, hooked),
    tunnelPortHolders: readTunnelPortHolders({ proc, links, port: settings.tunnelPort }),
    agentPortHolders: readAgentPortHolders(proc, settings.agentPorts),
    cniFiles: listCniFiles(settings.cniDirectory),
    rivals: findRivals(proc),
  };
}

function usageOf(used: number, max: string | undefined): Usage | undefined {
  return max === undefined || Number.isNaN(used) ? undefined : { used, max: Number(max) };
}

function readDeviceSettings(proc: string, family: 'ipv4' | 'ipv6', names: readonly string[]) {
  const folder = join(proc, 'sys/net', family, 'conf');
  const devices = existsSync(folder) ? readdirSync(folder) : [];
  const paths = devices.flatMap((device) => names.map((name) => `${device}/${name}`));
  return Object.fromEntries(paths.map((path) => [path, readFileIfPresent(join(folder, path))?.trim()]));
}

/** /proc/net/ip_vs has a line `TCP  0A600001:01BB rr` for each service, and `  -> ...` for each backend. */
export function countIpvs(text = ''): number {
  return text.split('\n').filter((line) => /^(TCP|UDP|SCTP|FWM)\b/.test(line)).length;
}

function isHooked(name: string, devices: readonly Device[]): boolean {
  return /^(sluice_|slc[0-9a-f]{10}$)/.test(name) || devices.some((device) => device.name === name && device.selected);
}

/** Ours, by their names as the kernel cuts them. */
const ours =
  /^(sock_(connect|sendmsg|recvmsg|getpeername|post_bind)[46]?|sock_getpeernam|pod_from_pod|overlay_from_ov|host_from_host|netdev_from_net|netdev_to_netwo|xdp_from_networ|xdp_generic_fro)$/;

function readPrograms(links: readonly Link[], cgroupPath: string | undefined) {
  try {
    const found = findOtherPrograms({ devices: links, cgroupPath, isOurs: () => false });
    return { programs: found.filter(({ name }) => !ours.test(name)), programsUnknown: undefined };
  } catch (error) {
    return { programs: [], programsUnknown: error instanceof Error ? error.message : String(error) };
  }
}

function readFilters(netlink: Netlink, links: readonly Link[]): NetworkFacts['filters'] {
  const names = new Map(links.map(({ ifindex, name }) => [ifindex, name]));
  return netlink.filters
    .list(new Set(names.keys()))
    .map(({ ifindex, ...filter }) => ({ device: names.get(ifindex) ?? '', ...filter }));
}

interface TunnelPort {
  readonly proc: string;
  readonly links: readonly Link[];
  readonly port: number;
}

/** Devices that take the port's packets, and processes with a socket there. */
function readTunnelPortHolders({ proc, links, port }: TunnelPort): string[] {
  const vxlans = links.filter((link) => link.vxlan?.port === port);
  const others = vxlans.filter(({ name }) => name !== 'sluice_vxlan').map(({ name }) => `device ${name}`);
  const tables = ['udp', 'udp6'].map((name) => readFileIfPresent(join(proc, 'thread-self/net', name)) ?? '');
  const inodes = new Set(tables.flatMap((table) => socketInodes(table, port)));
  const holders = inodes.size === 0 ? [] : holdersOf(proc, inodes);
  // A tunnel's own socket stands in the same table, and no process has it.
  const isUnseen = holders.length === 0 && inodes.size > 0 && vxlans.length === 0;
  return [...others, ...holders, ...(isUnseen ? ['a process that cannot be seen from here'] : [])];
}

/** Inodes of sockets that listen at a TCP port, of either family. */
export function listenersAt(proc: string, port: number): string[] {
  const tables = ['tcp', 'tcp6'].map((name) => readFileIfPresent(join(proc, 'thread-self/net', name)) ?? '');
  return tables.flatMap((table) => socketInodes(table, port, listening));
}

function readAgentPortHolders(proc: string, ports: readonly number[]): NetworkFacts['agentPortHolders'] {
  return ports.flatMap((port) => {
    const inodes = new Set(listenersAt(proc, port));
    if (inodes.size === 0) return [];
    const holders = holdersOf(proc, inodes);
    return [{ port, holders: holders.length > 0 ? holders : ['a process that cannot be seen from here'] }];
  });
}

/** TCP_LISTEN of include/net/tcp_states.h. */
const listening = '0A';

/** Of /proc/net/udp: `sl local_address rem_address st queues tr:tm retrnsmt uid timeout inode`; ports in hex. */
export function socketInodes(table: string, port: number, state?: string): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    if (state !== undefined && fields[3] !== state) return [];
    return fields[1]?.endsWith(wanted) && fields[9] !== undefined ? [fields[9]] : [];
  });
}

function holdersOf(proc: string, inodes: ReadonlySet<string>): string[] {
  const wanted = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  const holders = processIds(proc).filter((pid) => descriptorsOf(proc, pid).some((target) => wanted.has(target)));
  return holders.map((pid) => `process ${pid} (${nameOfProcess(proc, pid)})`);
}

function processIds(proc: string): string[] {
  return readdirSync(proc).filter((name) => /^\d+$/.test(name));
}

function nameOfProcess(proc: string, pid: string): string {
  return attempt(() => readFileIfPresent(join(proc, pid, 'comm'))?.trim() ?? '', '');
}

/** Processes end, and descriptors are closed, while they are read; both is no answer to what is asked. */
function attempt<Value>(read: () => Value, otherwise: Value): Value {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

function descriptorsOf(proc: string, pid: string): string[] {
  const folder = join(proc, pid, 'fd');
  return attempt(() => readdirSync(folder), []).map((fd) => attempt(() => readlinkSync(join(folder, fd)), ''));
}

function listCniFiles(directory: string): string[] {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name)).sort();
}

const rivalNames = [
  'kube-proxy',
  'cilium-agent',
  'calico-node',
  'calico-felix',
  'flanneld',
  'kube-router',
  'antrea-agent',
  'ovnkube',
  'weaver',
  'kindnetd',
];

/** `kube-proxy` and the like, as far as /proc shows the node's processes. */
export function findRivals(proc: string): string[] {
  const running = new Set(processIds(proc).map((pid) => nameOfProcess(proc, pid)));
  return rivalNames.filter((name) => running.has(name));
}
