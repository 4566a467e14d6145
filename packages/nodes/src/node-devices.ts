import { createHash } from 'node:crypto';
import { type Address, familyOf, type Mac, macFromBytes } from '@sluice/net';
import { hasCode, type Link, type LinkChange, type LinkSpec, type Netlink } from '@sluice/netlink';
import type { Logger } from '@sluice/runtime';
import { deviceNames } from './device.ts';
import type { Mtu } from './mtu.ts';
import type { PortRange } from './port-range.ts';
import { ensureDeviceSysctls, ensureForwarding, reserveNodePorts, Sysctls } from './sysctl.ts';

export interface NodeDevicesOptions {
  readonly netlink: Netlink;
  /** Usually /proc; the calling thread must be in the network namespace that `netlink` speaks to. */
  readonly proc: string;
  /** From which the MAC is derived, so that pods never hold a stale one. */
  readonly nodeName: string;
  readonly mtu: Mtu;
  readonly tunnelPort: number;
  /** One of each family at most; they are the only addresses of sluice_host. */
  readonly routerAddresses: readonly Address[];
  /** Which the kernel must give to nobody who asks for any. */
  readonly reservedPorts?: PortRange;
  readonly log: Logger;
}

/** Our devices as they are in the kernel. */
export interface NodeDevices {
  readonly hostIfindex: number;
  readonly netIfindex: number;
  readonly overlayIfindex: number;
  readonly hostMac: Mac;
}

/** Something on the node is in our way; the message says what, and what to do. */
export class NodeDeviceError extends Error {
  override readonly name = 'NodeDeviceError';
}

/** Makes our devices, their addresses and the node's forwarding as they must be; writes only what differs. */
export function ensureNodeDevices(options: NodeDevicesOptions): NodeDevices {
  const { netlink, mtu, log } = options;
  const sysctls = new Sysctls(options.proc, log);
  ensureForwarding(sysctls);
  if (options.reservedPorts) reserveNodePorts(sysctls, options.reservedPorts, log);
  const { host, net } = ensureHostPair(options);
  const overlay = ensureOverlay(options);
  for (const device of Object.values(deviceNames)) ensureDeviceSysctls(sysctls, device);
  // No neighbours behind the pair: what is sent there belongs to the programs, so the kernel need not resolve and remember
  // an address for each pod. Packets larger than the pods' MTU may come in (after a change of it), none is sent.
  ensureLink(netlink, net, { mtu: mtu.underlay, up: true, arp: false });
  ensureLink(netlink, host, { mtu: mtu.underlay, up: true, arp: false, mac: hostMac(options.nodeName) });
  // The programs compare a packet with this MTU to know whether it fits into the tunnel.
  ensureLink(netlink, overlay, { mtu: mtu.pod, up: true });
  ensureAddresses(netlink, host.ifindex, options.routerAddresses);
  return {
    hostIfindex: host.ifindex,
    netIfindex: net.ifindex,
    overlayIfindex: overlay.ifindex,
    hostMac: hostMac(options.nodeName),
  };
}

/** The same for a node's name on every start, with the bit for "locally administered". */
export function hostMac(nodeName: string): Mac {
  const digest = createHash('sha256').update(`${deviceNames.host} ${nodeName}`).digest();
  return macFromBytes(Uint8Array.of(0x02, ...digest.subarray(0, 5)));
}

function ensureHostPair({ netlink, nodeName, log }: NodeDevicesOptions): { host: Link; net: Link } {
  const present = hostPair(netlink);
  if (present !== undefined) return present;
  for (const name of [deviceNames.host, deviceNames.net]) removeStale(netlink, name, 'veth', log);
  const spec: LinkSpec = {
    kind: 'veth',
    name: deviceNames.host,
    mac: hostMac(nodeName),
    arp: false,
    peer: { name: deviceNames.net, arp: false },
  };
  netlink.links.create(spec);
  const made = hostPair(netlink);
  if (made === undefined) throw new NodeDeviceError(`${deviceNames.host} vanished as soon as it was made`);
  log.info({ device: deviceNames.host, ifindex: made.host.ifindex }, 'made');
  return made;
}

function hostPair(netlink: Netlink): { host: Link; net: Link } | undefined {
  const host = netlink.links.get(deviceNames.host);
  const net = netlink.links.get(deviceNames.net);
  const paired = host?.kind === 'veth' && host.peerNamespaceId === undefined && host.peerIfindex === net?.ifindex;
  return paired && net !== undefined ? { host, net } : undefined;
}

function ensureOverlay({ netlink, tunnelPort, log }: NodeDevicesOptions): Link {
  const present = netlink.links.get(deviceNames.overlay);
  if (present?.vxlan?.external && present.vxlan.port === tunnelPort) return present;
  const rival = netlink.links
    .list()
    .find((link) => link.name !== deviceNames.overlay && link.vxlan?.port === tunnelPort);
  if (rival?.vxlan?.external) throw tunnelInUse(`device ${rival.name}`, tunnelPort);
  removeStale(netlink, deviceNames.overlay, 'vxlan', log);
  const link = netlink.links.create({ kind: 'vxlan', name: deviceNames.overlay, port: tunnelPort, external: true });
  log.info({ device: link.name, ifindex: link.ifindex, port: tunnelPort }, 'made');
  return link;
}

function tunnelInUse(rival: string, port: number): NodeDeviceError {
  return new NodeDeviceError(
    `${rival} has UDP port ${port}, where our tunnel must be: remove what made it, or set tunnelPort to another port on every node`,
  );
}

/** Ours by name, but not as we need it: only of the kind that we make, anything else is not ours to delete. */
function removeStale(netlink: Netlink, name: string, kind: string, log: Logger): void {
  const link = netlink.links.get(name);
  if (link === undefined) return;
  if (link.kind !== kind) {
    throw new NodeDeviceError(
      `device ${name} is not ours (${link.kind ?? 'hardware'} instead of ${kind}): rename or remove it`,
    );
  }
  log.warn({ device: name }, 'made anew: it was not as it must be');
  netlink.links.delete(link.ifindex);
}

function ensureLink(netlink: Netlink, link: Link, wanted: Omit<LinkChange, 'ifindex'>): void {
  const change = {
    ...(wanted.mtu !== link.mtu && wanted.mtu !== undefined && { mtu: wanted.mtu }),
    ...(wanted.up !== undefined && wanted.up !== link.up && { up: wanted.up }),
    ...(wanted.arp !== undefined && wanted.arp !== link.arp && { arp: wanted.arp }),
    ...(wanted.mac !== undefined && wanted.mac !== link.mac && { mac: wanted.mac }),
  };
  if (Object.keys(change).length === 0) return;
  try {
    netlink.links.set({ ifindex: link.ifindex, ...change });
  } catch (error) {
    if (link.vxlan && hasCode(error, 'EADDRINUSE', 'EEXIST')) throw tunnelInUse('something else', link.vxlan.port);
    throw error;
  }
}

/** Adds first, so that the node is never without its router address. */
function ensureAddresses(netlink: Netlink, ifindex: number, wanted: readonly Address[]): void {
  const present = netlink.addresses.list(ifindex);
  for (const address of wanted) {
    const length = familyOf(address) === 4 ? 32 : 128;
    if (present.some((row) => row.address === address && row.length === length)) continue;
    netlink.addresses.add({ ifindex, address, length, noDad: true });
  }
  for (const { address, length, scope } of present) {
    if (scope !== 'link' && !wanted.includes(address)) netlink.addresses.delete({ ifindex, address, length });
  }
}
