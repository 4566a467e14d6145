import { formatPrefix, parsePrefix } from '@sluice/net';
import type { CableEnd, LabSwitch } from '../topology.ts';
import { callProgram, labRun } from './program.ts';

/** What a namespace has. */
export interface SeenHost {
  readonly links: readonly SeenLink[];
  readonly routes: readonly SeenRoute[];
}

export interface SeenRoute {
  /** `default`, or a prefix. */
  readonly destination: string;
  readonly device: string | undefined;
  readonly gateway: string | undefined;
}

export interface SeenLink {
  readonly ifname: string;
  readonly isUp: boolean;
  readonly master: string | undefined;
  readonly mac: string | undefined;
  /** With the length of their prefix; none of link scope. */
  readonly addresses: readonly string[];
}

/** A list in JSON a line; in one go, because there are many namespaces. */
const question = 'ip -json address show && ip -json route show && ip -json -6 route show';

export async function seenHost(netns: string): Promise<SeenHost> {
  const output = await callProgram(labRun, ['exec', '--net', netns, '--', 'sh', '-c', question]);
  const rows: IpRow[] = output.split('\n').flatMap((line) => (line.trim() === '' ? [] : JSON.parse(line)));
  return {
    links: rows.flatMap((row) => (row.ifname === undefined ? [] : [seenLink(row, row.ifname)])),
    routes: rows.flatMap(({ dst, dev, gateway }) =>
      dst === undefined ? [] : [{ destination: dst, device: dev, gateway }],
    ),
  };
}

/** A link with its addresses, or a route: the fields that we read. */
interface IpRow {
  readonly ifname?: string;
  readonly flags?: readonly string[];
  readonly master?: string;
  readonly address?: string;
  readonly addr_info?: readonly { readonly local: string; readonly prefixlen: number; readonly scope: string }[];
  readonly dst?: string;
  readonly dev?: string;
  readonly gateway?: string;
}

function seenLink({ flags, master, address, addr_info }: IpRow, ifname: string): SeenLink {
  const own = (addr_info ?? []).filter(({ scope }) => scope !== 'link');
  return {
    ifname,
    isUp: flags?.includes('UP') ?? false,
    master,
    mac: address,
    addresses: own.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  };
}

export function linkOf(host: SeenHost | undefined, name: string): SeenLink | undefined {
  return host?.links.find(({ ifname }) => ifname === name);
}

export function isRightEnd(
  host: SeenHost | undefined,
  { device, addresses, bridge }: CableEnd,
  isMeantUp = true,
): boolean {
  const link = linkOf(host, device);
  if (!link || link.isUp !== isMeantUp || lackingNetworks(host, { device, addresses }).length > 0) return false;
  return link.master === bridge && addresses.every((address) => link.addresses.includes(address));
}

/** Addresses whose network is not routed to the device: the kernel does that when it gets them, and never again. */
export function lackingNetworks(
  host: SeenHost | undefined,
  { device, addresses }: Pick<CableEnd, 'device' | 'addresses'>,
): string[] {
  const isRouted = (network: string) =>
    host?.routes.some((route) => route.destination === network && route.device === device);
  return addresses.filter((address) => !isRouted(networkOf(address)));
}

/** `10.10.30.101/24` is in 10.10.30.0/24. */
export function networkOf(address: string): string {
  return formatPrefix(parsePrefix(address, { lenient: true }));
}

/** One of an earlier build has the router's addresses, too. */
export function isRightSwitch(host: SeenHost | undefined, { name, mac, addresses }: LabSwitch): boolean {
  const link = linkOf(host, name);
  return link?.isUp === true && link.mac === mac && addresses.toSorted().join() === link.addresses.toSorted().join();
}
