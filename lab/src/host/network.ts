import type { Faults } from '../faults.ts';
import type { LabLayout } from '../layout.ts';
import { type Cable, cablesOf, type LabHost, type LabTopology, lanName } from '../topology.ts';
import { isMounted } from './mounts.ts';
import { callIp, callProgram, labRun } from './program.ts';
import {
  isRightEnd,
  isRightSwitch,
  lackingNetworks,
  linkOf,
  networkOf,
  type SeenHost,
  seenHost,
} from './seen-network.ts';

// Addresses need no second of duplicate detection, and nobody here sends router advertisements.
const hostSysctls = [
  'net.ipv6.conf.all.accept_ra=0',
  'net.ipv6.conf.default.accept_ra=0',
  'net.ipv6.conf.all.accept_dad=0',
  'net.ipv6.conf.default.accept_dad=0',
];
const forwardSysctls = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];

/** Something that was made or repaired. */
export interface MadeNetwork {
  readonly text: string;
  /** The namespace. */
  readonly name: string;
  /** It was not there before. */
  readonly isNew: boolean;
}

interface Work {
  readonly layout: LabLayout;
  readonly topology: LabTopology;
  readonly faults: Faults;
}

/**
 * Makes the namespaces of the LAN, the router, what is outside and the nodes, and the cables between them. Looks first: what is
 * there and right is left alone, and what is meant to be broken, too. Gives what it made or repaired.
 */
export async function ensureNetwork(layout: LabLayout, topology: LabTopology, faults: Faults): Promise<MadeNetwork[]> {
  const nodes = topology.nodes.filter(({ name }) => !faults.off[name]);
  return ensureHosts({ layout, topology, faults }, [...topology.surroundings, ...nodes]);
}

/** The same for one node; the rest is there. */
export async function ensureNode(work: Work, name: string): Promise<MadeNetwork[]> {
  const hosts = [...work.topology.surroundings, ...work.topology.nodes.filter((node) => node.name === name)];
  return ensureHosts(work, hosts);
}

/** Carrier goes, or comes, on both sides. */
export async function setCarrier(layout: LabLayout, { far }: Cable, state: 'up' | 'down'): Promise<void> {
  await callIp(layout.netns(far.host), [`link set ${far.device} ${state}`]);
}

/** Takes a node's cables away, as seen from the LAN: nothing that the node still says is heard. */
export async function removeCables(layout: LabLayout, topology: LabTopology, node: string): Promise<void> {
  const { links } = await seenHost(layout.netns(lanName));
  const names = new Set(links.map(({ ifname }) => ifname));
  const there = cablesOf(topology, node).filter(({ far }) => names.has(far.device));
  await callIp(
    layout.netns(lanName),
    there.map(({ far }) => `link delete ${far.device}`),
  );
}

async function ensureHosts(work: Work, hosts: readonly LabHost[]): Promise<MadeNetwork[]> {
  const { layout, topology } = work;
  const isNew = new Map(hosts.map(({ name }) => [name, !isMounted(layout.netns(name))]));
  await Promise.all(hosts.map((host) => ensureNamespace(layout, host)));
  const seen = new Map(
    await Promise.all(hosts.map(async ({ name }) => [name, await seenHost(layout.netns(name))] as const)),
  );
  const repaired = new Set<string>();
  if (await ensureSwitches(work, seen.get(lanName))) repaired.add(lanName);
  await Promise.all(
    topology.cables.map(async (cable) => {
      if (seen.has(cable.near.host) && (await ensureCable(work, cable, seen))) repaired.add(cable.near.host);
    }),
  );
  await Promise.all(
    hosts.map(async (host) => {
      if (await ensureGateways(layout, host, seen.get(host.name))) repaired.add(host.name);
    }),
  );
  const made = hosts.filter(({ name }) => isNew.get(name) || repaired.has(name));
  return made.map(({ name }) => {
    const isWhole = isNew.get(name) ?? false;
    return { name, text: isWhole ? textOf(name) : `${textOf(name)} (network repaired)`, isNew: isWhole };
  });
}

function textOf(name: string): string {
  return name === lanName ? 'LAN' : name;
}

async function ensureNamespace(layout: LabLayout, { name, forwards }: LabHost): Promise<void> {
  await callProgram(labRun, ['netns', layout.netns(name), ...hostSysctls, ...(forwards ? forwardSysctls : [])]);
}

async function ensureSwitches({ layout, topology }: Work, seen: SeenHost | undefined): Promise<boolean> {
  const wrong = topology.switches.filter((lanSwitch) => !isRightSwitch(seen, lanSwitch));
  await callIp(
    layout.netns(lanName),
    wrong.flatMap(({ name, mac, addresses }) => [
      ...(linkOf(seen, name) ? [] : [`link add ${name} type bridge stp_state 0 mcast_snooping 0`]),
      `link set ${name} address ${mac} up`,
      ...(linkOf(seen, name)?.addresses ?? [])
        .filter((address) => !addresses.includes(address))
        .map((address) => `address delete ${address} dev ${name}`),
      ...addresses.map((address) => addAddress(address, name)),
    ]),
  );
  return wrong.length > 0;
}

/** Whether there was anything to do. */
async function ensureCable(
  { layout, faults }: Work,
  cable: Cable,
  seen: ReadonlyMap<string, SeenHost>,
): Promise<boolean> {
  const { near, far } = cable;
  const isCut = faults.cut[near.host]?.includes(near.device) ?? false;
  const [nearSeen, farSeen] = [seen.get(near.host), seen.get(far.host)];
  if (isRightEnd(nearSeen, near) && isRightEnd(farSeen, far, !isCut)) return false;
  if (!linkOf(nearSeen, near.device)) {
    // An end whose other end is gone is gone itself, unless a namespace was left half made.
    await callIp(layout.netns(far.host), [
      ...(linkOf(farSeen, far.device) ? [`link delete ${far.device}`] : []),
      `link add name ${far.device} type veth peer name ${near.device} ${near.mac ? `address ${near.mac} ` : ''}netns ${layout.netns(near.host)}`,
    ]);
  }
  await callIp(layout.netns(far.host), [
    ...(far.bridge ? [`link set ${far.device} master ${far.bridge}`] : []),
    `link set ${far.device} ${isCut ? 'down' : 'up'}`,
    ...far.addresses.map((address) => addAddress(address, far.device)),
  ]);
  await callIp(layout.netns(near.host), [
    `link set ${near.device} up`,
    ...near.addresses.map((address) => addAddress(address, near.device)),
    ...(linkOf(nearSeen, near.device)
      ? lackingNetworks(nearSeen, near).map((address) => addNetwork(address, near.device))
      : []),
  ]);
  return true;
}

async function ensureGateways(
  layout: LabLayout,
  { name, gateways }: LabHost,
  seen: SeenHost | undefined,
): Promise<boolean> {
  const defaults = seen?.routes.filter(({ destination }) => destination === 'default') ?? [];
  const lacking = Object.values(gateways).filter((wanted) => !defaults.some(({ gateway }) => gateway === wanted));
  await callIp(
    layout.netns(name),
    lacking.map((gateway) => `route replace ${gateway.includes(':') ? '::/0' : 'default'} via ${gateway}`),
  );
  return lacking.length > 0;
}

function addAddress(address: string, device: string): string {
  return `address replace ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`;
}

/** As the kernel has it. */
function addNetwork(address: string, device: string): string {
  const [own = ''] = address.split('/');
  const how = own.includes(':') ? 'metric 256' : `scope link src ${own}`;
  return `route replace ${networkOf(address)} dev ${device} proto kernel ${how}`;
}
