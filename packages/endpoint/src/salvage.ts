import { parseMac } from '@sluice/net';
import type { Link } from '@sluice/netlink';
import type { Endpoint } from './endpoint.ts';
import type { EndpointMaps } from './ports.ts';

const prefix = 'salvaged-';

/**
 * An endpoint whose file is damaged while its pod runs on: put together from what the pinned maps and the device tell,
 * so that its traffic goes on and nobody else gets its addresses. DEL finds it by the device's name.
 */
export function salvageEndpoint(link: Link, maps: EndpointMaps): Endpoint | undefined {
  const rows = [...maps.endpoints.entries()].filter(([, row]) => row.ifindex === link.ifindex);
  const [, row] = rows[0] ?? [];
  if (!row) return undefined;
  const addresses = rows.flatMap(([address]) => (address === undefined ? [] : [address]));
  const namespace = [...maps.netnsEndpoints.entries()].find(([, value]) => value.endpointId === row.id);
  return {
    id: row.id,
    containerId: `${prefix}${link.name}`,
    ifname: 'eth0',
    netns: 'unknown',
    netnsCookie: namespace?.[0] ?? 1n,
    netnsInode: 1n,
    hostName: link.name,
    hostIfindex: link.ifindex,
    hostMac: link.mac ?? parseMac('02:00:00:00:00:00'),
    podIfindex: link.peerIfindex ?? 1,
    podMac: row.mac,
    mtu: link.mtu,
    routeMtu: link.mtu,
    ipv4: addresses.find((address) => !address.includes(':')),
    ipv6: addresses.find((address) => address.includes(':')),
    gatewayIpv4: undefined,
    gatewayIpv6: undefined,
    pod: undefined,
    hostPorts: [],
    labels: undefined,
    identity: row.identity,
    identityPendingSince: undefined,
    createdAt: Date.now(),
  };
}

export function isSalvaged(endpoint: Pick<Endpoint, 'containerId'>): boolean {
  return endpoint.containerId.startsWith(prefix);
}
