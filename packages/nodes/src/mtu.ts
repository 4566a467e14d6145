import { type Address, familyOf } from '@sluice/net';
import type { Device } from './device.ts';

/** Outer Ethernet, IP, UDP and VXLAN headers: 14 + 20 + 8 + 8, and 20 more for IPv6. */
const vxlanOverheadBytes = { 4: 50, 6: 70 } as const;

/** What the smallest IPv6 link must carry (RFC 8200 section 5). */
const mtuMin = 1280;
const ethernetMtu = 1500;

export interface MtuSources {
  readonly devices: readonly Device[];
  /** Where our end of the tunnel is; undefined while the node's addresses are unknown. */
  readonly tunnelSource: Address | undefined;
  /** From the configuration; 0: as the devices have it. */
  readonly configured: number;
}

/** Largest packet of the network under the tunnel, and of the pods inside it. */
export interface Mtu {
  readonly underlay: number;
  readonly pod: number;
}

/** From the device that holds the tunnel's address; without one, the smallest of the selected devices decides. */
export function deriveMtu({ devices, tunnelSource, configured }: MtuSources): Mtu {
  const underlay = configured || underlayMtu(devices, tunnelSource);
  const overhead = vxlanOverheadBytes[tunnelSource === undefined ? 4 : familyOf(tunnelSource)];
  return { underlay, pod: Math.max(underlay - overhead, mtuMin) };
}

function underlayMtu(devices: readonly Device[], tunnelSource: Address | undefined): number {
  const holder = devices.find((device) => tunnelSource !== undefined && device.addresses.includes(tunnelSource));
  // An address on the loopback device is reached through the others.
  if (holder?.selected) return holder.mtu;
  const selected = devices.filter((device) => device.selected).map((device) => device.mtu);
  return selected.length === 0 ? ethernetMtu : Math.min(...selected);
}

/** What fits into the tunnel to a node, when the route there takes packets of this size. */
export function tunneledMtu(pathMtu: number, tunnelEndpoint: Address): number {
  return Math.max(pathMtu - vxlanOverheadBytes[familyOf(tunnelEndpoint)], mtuMin);
}
