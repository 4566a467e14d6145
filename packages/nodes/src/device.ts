import { type Address, familyOf, type Prefix, parsePrefix, prefixContains, prefixOf } from '@sluice/net';
import type { InterfaceAddress, Link, Route } from '@sluice/netlink';

/** A network device of the node, and whether Sluice treats it as facing the network. */
export interface Device {
  readonly name: string;
  readonly ifindex: number;
  readonly mtu: number;
  /** `veth`, `vlan`, ...; undefined for hardware. */
  readonly kind: string | undefined;
  readonly up: boolean;
  readonly addresses: readonly Address[];
  /** What masqueraded packets may leave with, the best of each family first. */
  readonly sources: readonly Address[];
  readonly selected: boolean;
  /** Why it was chosen or not, for people. */
  readonly why: string;
}

export const deviceNames = { host: 'sluice_host', net: 'sluice_net', overlay: 'sluice_vxlan' } as const;

/** Host-side devices of pods: `slc` and ten hexadecimal digits. */
const podDevice = /^slc[0-9a-f]{10}$/;

export interface Selection {
  /** `eno1`, or `eth+` for every name that begins with `eth`; empty: those with a default route or a node address. */
  readonly patterns: readonly string[];
  /** The node's InternalIPs. */
  readonly nodeAddresses: readonly Address[];
}

/** What the kernel has. */
export interface Observation {
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
}

export function isPodDevice(name: string): boolean {
  return podDevice.test(name);
}

/** Every device with the decision about it, in the kernel's order; those of pods are the endpoints' and not listed. */
export function describeDevices(observed: Observation, selection: Selection): Device[] {
  const withDefault = defaultRouteIfindexes(observed.routes);
  const links = observed.links.filter((link) => !podDevice.test(link.name));
  return links.map((link) => {
    const addresses = addressesOf(link, observed.addresses);
    const decision = ethernetOnly(link, decide(link, addresses, withDefault.has(link.ifindex), selection));
    const { name, ifindex, mtu, kind, up } = link;
    const sources = sourcesOf(link, observed.addresses, selection.nodeAddresses);
    return { name, ifindex, mtu, kind, up, addresses, sources, ...decision };
  });
}

/** Patterns that no device matches: most often a typing mistake, or a name that the next kernel changed. */
export function unmatchedPatterns(devices: readonly Device[], patterns: readonly string[]): string[] {
  return patterns.filter((pattern) => !devices.some((device) => matches(device.name, pattern)));
}

type Decision = Pick<Device, 'selected' | 'why'>;

function decide(link: Link, addresses: readonly Address[], hasDefault: boolean, selection: Selection): Decision {
  if (link.loopback) return no('loopback');
  if (isOurs(link.name)) return no('made by Sluice');
  if (selection.patterns.length > 0) {
    const pattern = selection.patterns.find((candidate) => matches(link.name, candidate));
    return pattern === undefined ? no('not named by devices') : yes(`named by devices: ${pattern}`);
  }
  const nodeAddress = addresses.find((address) => selection.nodeAddresses.includes(address));
  if (nodeAddress !== undefined) return yes(`holds the node's address ${nodeAddress}`);
  if (hasDefault) return yes('has a default route');
  return no("neither a default route nor the node's address");
}

/** Our programs read frames; without them packets go through the stack, and leave as pods send them. */
function ethernetOnly(link: Link, decision: Decision): Decision {
  if (!decision.selected || link.mac !== undefined) return decision;
  return no(`${decision.why}, but it is no Ethernet device: nothing is masqueraded there`);
}

function no(why: string): Decision {
  return { selected: false, why };
}

function yes(why: string): Decision {
  return { selected: true, why };
}

function isOurs(name: string): boolean {
  return Object.values(deviceNames).some((ours) => ours === name);
}

function matches(name: string, pattern: string): boolean {
  return pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

const mainTable = 254;

function defaultRouteIfindexes(routes: readonly Route[]): Set<number> {
  const defaults = routes.filter(
    (route) => route.destination.length === 0 && route.table === mainTable && route.type === 'unicast',
  );
  return new Set(
    defaults.flatMap((route) =>
      [route.ifindex, ...route.hops.map((hop) => hop.ifindex)].filter((n) => n !== undefined),
    ),
  );
}

function addressesOf(link: Link, addresses: readonly InterfaceAddress[]): Address[] {
  return addresses.filter((row) => row.ifindex === link.ifindex && isUsable(row)).map((row) => row.address);
}

/** Not those that nobody off the link can reach, and not those that are not ours yet or any more. */
function isUsable(row: InterfaceAddress): boolean {
  return row.scope !== 'link' && row.scope !== 'nowhere' && !row.duplicate;
}

/** Best first: addresses that the world routes before unique local ones, then the node's own before others. */
function sourcesOf(link: Link, all: readonly InterfaceAddress[], nodeAddresses: readonly Address[]): Address[] {
  const rank = (row: InterfaceAddress): number =>
    (isUniqueLocal(row.address) ? 2 : 0) + (nodeAddresses.includes(row.address) ? 0 : 1);
  return all
    .filter((row) => row.ifindex === link.ifindex && isUsable(row) && !row.deprecated && !row.tentative)
    .sort((a, b) => rank(a) - rank(b))
    .map((row) => row.address);
}

const uniqueLocal = parsePrefix('fc00::/7');

function isUniqueLocal(address: Address): boolean {
  return prefixContains(uniqueLocal, address);
}

/** The networks behind the devices that are not ours, by their addresses: a whole address is none, nor is a link-local one. */
export function localNetworks({ links, addresses }: Observation): { prefix: Prefix; device: string }[] {
  const others = new Map(
    links
      .filter((link) => !link.loopback && !isOurs(link.name) && !podDevice.test(link.name))
      .map((link) => [link.ifindex, link.name]),
  );
  return addresses.flatMap((row) => {
    const device = others.get(row.ifindex);
    const isWhole = row.length === (familyOf(row.address) === 4 ? 32 : 128);
    return device === undefined || isWhole || row.scope === 'link'
      ? []
      : [{ prefix: prefixOf(row.address, row.length), device }];
  });
}
