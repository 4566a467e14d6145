import type { LabLayout } from '../layout.ts';
import type { LabNode, LabTopology } from '../topology.ts';
import { isMounted } from './mounts.ts';
import { callIp, callProgram, labRun, readIp } from './program.ts';

export const lanName = 'lan';
const switchName = 'switch';

// Nodes forward for their pods. Addresses need no second of duplicate detection, and nobody here sends router advertisements.
const nodeSysctls = [
  'net.ipv4.ip_forward=1',
  'net.ipv6.conf.all.forwarding=1',
  'net.ipv6.conf.all.accept_ra=0',
  'net.ipv6.conf.default.accept_ra=0',
  'net.ipv6.conf.all.accept_dad=0',
  'net.ipv6.conf.default.accept_dad=0',
];

interface SeenLink {
  readonly ifname: string;
  readonly operstate?: string;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly { readonly local: string }[];
}

/** Something that was made or repaired. */
export interface MadeNetwork {
  readonly text: string;
  /** `lan`, or the node. */
  readonly name: string;
  /** Its namespace was not there before. */
  readonly isNew: boolean;
}

/**
 * Makes the LAN (a switch with the router's and the API server's addresses) and each node's namespace with its device.
 * Looks first: what is there and right is left alone. Gives what it made or repaired.
 */
export async function ensureNetwork(layout: LabLayout, topology: LabTopology): Promise<MadeNetwork[]> {
  const lanMade = await ensureLan(layout, topology);
  const ports = new Set((await seenLinks(layout.netns(lanName))).map((link) => link.ifname));
  const made = await Promise.all(topology.nodes.map((node) => ensureNode(layout, topology, node, ports)));
  return [...lanMade, ...made.flat()];
}

async function ensureLan(layout: LabLayout, topology: LabTopology): Promise<MadeNetwork[]> {
  const netns = layout.netns(lanName);
  const isNew = !isMounted(netns);
  await callProgram(labRun, ['netns', netns, 'net.ipv6.conf.default.accept_dad=0']);
  const link = isNew ? undefined : (await seenLinks(netns)).find(({ ifname }) => ifname === switchName);
  const { router4, router6, apiServer4, apiServer6 } = topology;
  const isRight =
    link && isUp(link) && [router4, router6, apiServer4, apiServer6].every((address) => has(link, address));
  if (isRight) return [];
  await callIp(netns, [
    ...(link ? [] : [`link add ${switchName} type bridge stp_state 0 mcast_snooping 0`]),
    `link set ${switchName} up`,
    `address replace ${router4}/24 dev ${switchName}`,
    `address replace ${apiServer4}/24 dev ${switchName}`,
    `address replace ${router6}/64 dev ${switchName} nodad`,
    `address replace ${apiServer6}/64 dev ${switchName} nodad`,
  ]);
  return [{ name: lanName, text: isNew ? 'LAN' : 'LAN (repaired)', isNew }];
}

async function ensureNode(
  layout: LabLayout,
  topology: LabTopology,
  node: LabNode,
  ports: ReadonlySet<string>,
): Promise<MadeNetwork[]> {
  const netns = layout.netns(node.name);
  const isNew = !isMounted(netns);
  await callProgram(labRun, ['netns', netns, ...nodeSysctls]);
  const { device, router4, router6 } = topology;
  const link = isNew ? undefined : (await seenLinks(netns)).find(({ ifname }) => ifname === device);
  const isRight = link && isUp(link) && has(link, node.address4) && has(link, node.address6);
  if (isRight && ports.has(node.port)) return [];
  if (!link) {
    // A port whose other end is gone is gone itself, unless a namespace was left half made.
    await callIp(layout.netns(lanName), [
      ...(ports.has(node.port) ? [`link delete ${node.port}`] : []),
      `link add ${node.port} type veth peer name ${device} address ${node.mac} netns ${netns}`,
    ]);
  }
  await callIp(layout.netns(lanName), [`link set ${node.port} master ${switchName} up`]);
  await callIp(netns, [
    `link set ${device} up`,
    `address replace ${node.address4}/24 dev ${device}`,
    `address replace ${node.address6}/64 dev ${device} nodad`,
    `route replace default via ${router4} dev ${device}`,
    `route replace ::/0 via ${router6} dev ${device}`,
  ]);
  return [{ name: node.name, text: isNew ? node.name : `${node.name} (network repaired)`, isNew }];
}

async function seenLinks(netns: string): Promise<SeenLink[]> {
  const links = await readIp(netns, 'address', 'show');
  return Array.isArray(links) ? links : [];
}

function isUp(link: SeenLink): boolean {
  return link.flags?.includes('UP') ?? false;
}

function has(link: SeenLink, address: string): boolean {
  return link.addr_info?.some(({ local }) => local === address) ?? false;
}
