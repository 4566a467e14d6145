import { EndpointFlag, IpcacheFlag } from '@sluice/datapath';
import type { ServiceCidrObject } from '@sluice/kube';
import { reservedIdentities } from '@sluice/model';
import { type Address, familyOf, formatPrefix, type Mac, type Prefix, prefixContains } from '@sluice/net';
import type { Device } from './device.ts';
import { firstOf } from './facts.ts';
import type { Node } from './node.ts';
import type { DeviceValue, EndpointValue, IpcacheValue } from './ports.ts';

/** A route of ours; all go to sluice_host, where the programs take over. */
export interface NodeRoute {
  readonly destination: Prefix;
  readonly ifindex: number;
  readonly source: Address;
  readonly mtu: number;
}

/** Where the routes lead. */
export interface RouteTarget {
  readonly hostIfindex: number;
  /** Of the local node; a family without one has no pods here and gets no routes. */
  readonly routerAddresses: readonly Address[];
  readonly podMtu: number;
}

/** By destination: every node's pods, our own ones too, and every service. */
export function desiredRoutes(
  nodes: Iterable<Node>,
  serviceCidrs: Iterable<ServiceCidrObject>,
  target: RouteTarget,
): Map<string, NodeRoute> {
  const routes = new Map<string, NodeRoute>();
  const destinations = [
    ...[...nodes].flatMap((node) => node.podCidrs),
    ...[...serviceCidrs].flatMap((row) => row.cidrs),
  ];
  for (const destination of destinations) {
    const source = target.routerAddresses.find((address) => familyOf(address) === familyOf(destination.address));
    if (source === undefined) continue;
    routes.set(formatPrefix(destination), { destination, ifindex: target.hostIfindex, source, mtu: target.podMtu });
  }
  return routes;
}

/**
 * By prefix: the pods of the other nodes, whose identity comes with each packet in the tunnel's header. Of our own pods and
 * of the services each has a row of its own elsewhere: what else lies in their prefixes is nowhere.
 */
export function desiredIpcachePrefixes(
  nodes: Iterable<Node>,
  serviceCidrs: Iterable<ServiceCidrObject>,
): Map<string, IpcacheValue> {
  const rows = new Map<string, IpcacheValue>();
  const identity = reservedIdentities.unmanaged;
  const nowhere = { tunnelEndpoint: undefined, identity, flags: IpcacheFlag.Unroutable, mtu: 0 };
  for (const { cidrs } of serviceCidrs) for (const prefix of cidrs) rows.set(formatPrefix(prefix), nowhere);
  for (const { local, tunnelEndpoint, podMtu, podCidrs } of nodes) {
    const row = local || tunnelEndpoint === undefined ? nowhere : { tunnelEndpoint, identity, flags: 0, mtu: podMtu };
    for (const prefix of podCidrs) rows.set(formatPrefix(prefix), row);
  }
  return rows;
}

/** What is behind the addresses of this node: the host's own stack, reached through sluice_host. */
export interface HostEndpoint {
  readonly hostIfindex: number;
  readonly hostMac: Mac;
  /** Where in the node's addresses NodePorts are; empty: everywhere. */
  readonly nodePortAddresses?: readonly Prefix[];
}

/** By address: those of the Node object, the router's, and whatever the selected devices have besides. */
export function desiredHostEndpoints(
  local: Node | undefined,
  devices: Iterable<Device>,
  host: HostEndpoint,
): Map<string, EndpointValue> {
  const row: EndpointValue = {
    id: 0,
    ifindex: host.hostIfindex,
    identity: reservedIdentities.host,
    flags: EndpointFlag.Host,
    mac: host.hostMac,
    nodeMac: host.hostMac,
  };
  const selected = [...devices].filter((device) => device.selected).flatMap((device) => device.addresses);
  const addresses = [...(local?.addresses ?? []), ...(local?.routerAddresses ?? []), ...selected];
  const without = { ...row, flags: EndpointFlag.Host | EndpointFlag.NoNodePorts };
  return new Map(addresses.map((address) => [address, hasNodePorts(address, host.nodePortAddresses) ? row : without]));
}

/** Of an address of the node, by the option nodePort.addresses. */
export function hasNodePorts(address: Address, nodePortAddresses: readonly Prefix[] = []): boolean {
  return nodePortAddresses.length === 0 || nodePortAddresses.some((prefix) => prefixContains(prefix, address));
}

/** By ifindex: the devices that face the network, and what pods' packets leave them with. */
export function desiredNetworkDevices(devices: Iterable<Device>): Map<string, DeviceValue> {
  const selected = [...devices].filter((device) => device.selected);
  return new Map(
    selected.map((device) => [
      String(device.ifindex),
      { ipv4: firstOf(device.sources, 4), ipv6: firstOf(device.sources, 6) },
    ]),
  );
}
