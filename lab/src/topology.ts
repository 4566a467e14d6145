import type { AddressFamily } from '@sluice/net';
import { LabError } from './error.ts';
import { type LabWorld, labWorld } from './world.ts';

/** By family; one that the lab has not is absent. */
export type LabAddresses = Readonly<Partial<Record<AddressFamily, string>>>;

/** A network namespace that stands for a machine or a switch. */
export interface LabHost {
  readonly name: string;
  readonly forwards: boolean;
  /** Where it sends what is not for its own networks. */
  readonly gateways: LabAddresses;
}

export interface LabNode extends LabHost {
  /** Its InternalIPs. */
  readonly addresses: LabAddresses;
  readonly zone: string;
  /** Its devices, the one with the default routes first. */
  readonly devices: readonly string[];
}

/** One end of a cable: a device of a namespace. */
export interface CableEnd {
  readonly host: string;
  readonly device: string;
  readonly mac?: string;
  /** With the length of their prefix. */
  readonly addresses: readonly string[];
  /** The bridge whose port it is. */
  readonly bridge?: string;
}

/** A veth pair. `far` is the end that a switch or the router holds. */
export interface Cable {
  readonly near: CableEnd;
  readonly far: CableEnd;
}

/** A bridge in the namespace `lan`. */
export interface LabSwitch {
  readonly name: string;
  /** Its own, or else it would take that of a port, and another one when that port goes. */
  readonly mac: string;
  readonly addresses: readonly string[];
}

/** The homelab's shape: a LAN with the API server and the nodes, a router, and behind it what is outside. */
export interface LabTopology {
  readonly families: readonly AddressFamily[];
  readonly apiServer: LabAddresses;
  readonly apiServerPort: number;
  /** All but the nodes, in the order in which they are made. */
  readonly surroundings: readonly LabHost[];
  readonly nodes: readonly LabNode[];
  readonly switches: readonly LabSwitch[];
  /** In the order in which they are made. */
  readonly cables: readonly Cable[];
  readonly world: LabWorld;
}

export interface TopologyOptions {
  readonly nodeCount: number;
  /** Names of each node's devices: one, or two. */
  readonly devices: readonly string[];
  readonly families: readonly AddressFamily[];
  /** The API server's IPv4 address; its /24 is the first LAN. */
  readonly apiServerHost: string;
  readonly apiServerPort: number;
}

export const nodesMax = 20;
export const lanName = 'lan';
export const routerName = 'router';
const firstNode = 101;
const zones = ['a', 'b', 'c'];

/** Networks of the homelab, by what their addresses begin with. */
interface Network {
  readonly prefixes: Readonly<Record<AddressFamily, string>>;
  readonly bridge: string;
}

export function labTopology(options: TopologyOptions): LabTopology {
  const { nodeCount, families, apiServerHost, apiServerPort } = options;
  if (!Number.isInteger(nodeCount) || nodeCount < 1 || nodeCount > nodesMax) {
    throw new LabError(`a lab has 1 to ${nodesMax} nodes, not ${nodeCount}`);
  }
  const problem = standingProblem(apiServerHost);
  if (problem) throw new LabError(`the lab's API server cannot stand at ${apiServerHost}: ${problem}`);
  const world = labWorld(families);
  const networks = networksOf(options);
  const nodes = Array.from({ length: nodeCount }, (_, index) => labNode(options, networks, index));
  const apiServer = addressesIn(networks[0], Number(apiServerHost.split('.')[3]), families);
  const gateways = addressesIn(networks[0], 1, families);
  return {
    families,
    apiServer,
    apiServerPort,
    surroundings: [
      { name: lanName, forwards: false, gateways },
      { name: routerName, forwards: true, gateways: {} },
      ...world.hosts.map(({ name, router }) => ({ name, forwards: false, gateways: router })),
    ],
    nodes,
    switches: networks.map(({ bridge }, index) => ({
      name: bridge,
      mac: macOf(index, Number(apiServerHost.split('.')[3])),
      addresses: index === 0 ? withLengths(apiServer) : [],
    })),
    cables: [
      ...networks.map((network, index) => routerCable(network, { index, families })),
      ...world.hosts.map(({ name, addresses, router }) => ({
        near: { host: name, device: 'eth0', addresses: addresses.flatMap(withLengths) },
        far: { host: routerName, device: name, addresses: withLengths(router) },
      })),
      ...nodes.flatMap((node, index) => nodeCables(node, index, { networks, families })),
    ],
    world,
  };
}

/** The cables of one node, the one of its first device first. */
export function cablesOf({ cables }: LabTopology, nodeName: string): Cable[] {
  return cables.filter(({ near }) => near.host === nodeName);
}

/** IPv4 first. */
export function inOrder(addresses: LabAddresses): string[] {
  return [addresses[4], addresses[6]].filter((address) => address !== undefined);
}

/** Why the lab's API server cannot have this address; undefined when it can. */
export function standingProblem(host: string): string | undefined {
  const [, , , last] = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host)?.slice(1).map(Number) ?? [];
  if (last === undefined) return 'it has an IPv4 address in the LAN of the nodes';
  if (['198.51.100.', '203.0.113.'].some((outside) => host.startsWith(outside))) return 'that is outside the LAN';
  if (last >= firstNode && last < firstNode + nodesMax) return 'that is a node';
  return last < 2 || last > 254 ? 'that is the router, or nobody' : undefined;
}

function networksOf({ apiServerHost, devices }: TopologyOptions): [Network, ...Network[]] {
  const lan4 = apiServerHost.slice(0, apiServerHost.lastIndexOf('.') + 1);
  const first: Network = { prefixes: { 4: lan4, 6: 'fd00:10:10:30::' }, bridge: 'switch' };
  const second4 = lan4 === '10.10.31.' ? '10.10.32.' : '10.10.31.';
  const second: Network = { prefixes: { 4: second4, 6: 'fd00:10:10:31::' }, bridge: 'switch2' };
  return devices.length > 1 ? [first, second] : [first];
}

/** The same last part in both families, where `fd00:10:10:30::101` is written like its IPv4 sister and not counted like it. */
function addressesIn({ prefixes }: Network, last: number, families: readonly AddressFamily[]): LabAddresses {
  return Object.fromEntries(families.map((family) => [family, `${prefixes[family]}${last}`]));
}

function labNode({ devices, families }: TopologyOptions, [lan]: [Network, ...Network[]], index: number): LabNode {
  return {
    name: `k8s-cp${index + 1}`,
    forwards: true,
    addresses: addressesIn(lan, firstNode + index, families),
    gateways: addressesIn(lan, 1, families),
    zone: `zone-${zones[index % zones.length]}`,
    devices,
  };
}

function nodeCables(
  node: LabNode,
  index: number,
  { networks, families }: { networks: readonly Network[]; families: readonly AddressFamily[] },
): Cable[] {
  return networks.map((network, number) => ({
    near: {
      host: node.name,
      device: node.devices[number] ?? '',
      mac: macOf(number, firstNode + index),
      addresses: withLengths(addressesIn(network, firstNode + index, families)),
    },
    far: {
      host: lanName,
      device: number === 0 ? `port${index + 1}` : `port${index + 1}b`,
      addresses: [],
      bridge: network.bridge,
    },
  }));
}

function routerCable(
  network: Network,
  { index, families }: { index: number; families: readonly AddressFamily[] },
): Cable {
  const device = index === 0 ? 'lan' : `lan${index + 1}`;
  return {
    near: {
      host: routerName,
      device,
      mac: macOf(index, 1),
      addresses: withLengths(addressesIn(network, 1, families)),
    },
    far: {
      host: lanName,
      device: index === 0 ? 'router' : `router${index + 1}`,
      addresses: [],
      bridge: network.bridge,
    },
  };
}

function macOf(network: number, last: number): string {
  return `02:00:0a:0a:${(0x1e + network).toString(16)}:${last.toString(16).padStart(2, '0')}`;
}

function withLengths(addresses: LabAddresses): string[] {
  return inOrder(addresses).map((address) => `${address}/${address.includes(':') ? 64 : 24}`);
}
