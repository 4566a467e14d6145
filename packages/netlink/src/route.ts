import { type Address, addressToWire, familyOf, type Prefix } from '@sluice/net';
import { type Scope, scopeName, scopeNumber } from './address.ts';
import { type Attributes, AttributeWriter, decodeAttributes, headerView } from './attributes.ts';
import { malformed } from './error.ts';
import { familyFromKernel, inetAddress, inetPrefix, kernelFamily } from './inet.ts';

/** Who put a route there. Ours is in the range that rt_protos leaves to routing daemons, so that we prune only our own. */
export const routeProtocol = { kernel: 2, boot: 3, static: 4, ra: 9, dhcp: 16, sluice: 0x53 } as const;

export const routeTable = { default: 253, main: 254, local: 255 } as const;

/** What happens to a packet that matches. */
export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'other';

/** A route of one of the kernel's tables. */
export interface Route {
  readonly family: 4 | 6;
  readonly table: number;
  readonly type: RouteType;
  /** Length 0 for a default route. */
  readonly destination: Prefix;
  /** Absent for multipath, blackhole and the like. */
  readonly ifindex?: number;
  /** Of either family: IPv4 may go through an IPv6 neighbour. */
  readonly gateway?: Address;
  /** Source address of what the node itself sends this way. */
  readonly source?: Address;
  /** Lower wins; IPv6 routes get 1024 unless told. */
  readonly metric: number;
  readonly mtu?: number;
  readonly scope: Scope;
  readonly protocol: number;
  /** The gateway is a neighbour even where no address says so. */
  readonly onlink: boolean;
  /** The paths of a multipath route. */
  readonly hops: readonly { readonly ifindex: number; readonly gateway?: Address }[];
}

/** A route to set: the one with this table, destination and metric is replaced. */
export interface RouteSpec {
  readonly destination: Prefix;
  /** Default `main`. */
  readonly table?: number;
  /** Not for `blackhole`, `unreachable` and `prohibit`. */
  readonly ifindex?: number;
  readonly gateway?: Address;
  readonly source?: Address;
  /** Default 0 for IPv4 and 1024 for IPv6, as the kernel has it. */
  readonly metric?: number;
  readonly mtu?: number;
  /** Default `link` without a gateway, else `global`; IPv6 knows only `global`. */
  readonly scope?: Scope;
  /** Default routeProtocol.sluice. */
  readonly protocol?: number;
  /** Default `unicast`. */
  readonly type?: Exclude<RouteType, 'other'>;
  readonly onlink?: boolean;
}

const attribute = {
  destination: 1,
  outIfindex: 4,
  gateway: 5,
  metric: 6,
  source: 7,
  metrics: 8,
  multipath: 9,
  table: 15,
  via: 18,
} as const;
const metricMtu = 2;
const flag = { onlink: 4, cloned: 0x200 } as const;
const headerBytes = 12;
const hopBytes = 8;

const types: readonly [number, Exclude<RouteType, 'other'>][] = [
  [1, 'unicast'],
  [2, 'local'],
  [3, 'broadcast'],
  [4, 'anycast'],
  [5, 'multicast'],
  [6, 'blackhole'],
  [7, 'unreachable'],
  [8, 'prohibit'],
];

/** Undefined for other families, for cached clones and for destinations that have no text of their own (v4-mapped IPv6). */
export function decodeRoute(body: Uint8Array): Route | undefined {
  const header = headerView(body, headerBytes);
  const family = familyFromKernel(header.getUint8(0));
  const flags = header.getUint32(8, true);
  if (family === undefined || (flags & flag.cloned) !== 0) return undefined;
  const attributes = decodeAttributes(body, headerBytes);
  const destination = inetPrefix(family, attributes.bytes(attribute.destination), header.getUint8(1));
  if (destination === undefined) return undefined;
  const ifindex = attributes.u32(attribute.outIfindex);
  const gateway = decodeGateway(family, attributes);
  const source = optionalAddress(family, attributes.bytes(attribute.source));
  const mtu = attributes.nested(attribute.metrics)?.u32(metricMtu);
  return {
    family,
    table: attributes.u32(attribute.table) ?? header.getUint8(4),
    type: types.find(([number]) => number === header.getUint8(7))?.[1] ?? 'other',
    destination,
    ...(ifindex !== undefined && { ifindex }),
    ...(gateway && { gateway }),
    ...(source && { source }),
    metric: attributes.u32(attribute.metric) ?? 0,
    ...(mtu !== undefined && { mtu }),
    scope: scopeName(header.getUint8(6)),
    protocol: header.getUint8(5),
    onlink: (flags & flag.onlink) !== 0,
    hops: decodeHops(family, attributes.bytes(attribute.multipath)),
  };
}

function decodeGateway(family: 4 | 6, attributes: Attributes): Address | undefined {
  const gateway = attributes.bytes(attribute.gateway);
  if (gateway !== undefined) return inetAddress(family, gateway);
  const via = attributes.bytes(attribute.via);
  if (via === undefined) return undefined;
  const viaFamily = familyFromKernel(headerView(via, 2).getUint16(0, true));
  return viaFamily && inetAddress(viaFamily, via.subarray(2));
}

function optionalAddress(family: 4 | 6, bytes: Uint8Array | undefined): Address | undefined {
  return bytes && inetAddress(family, bytes);
}

/** struct rtnexthop, each with attributes of its own. */
function decodeHops(family: 4 | 6, bytes: Uint8Array | undefined): Route['hops'] {
  const hops: { ifindex: number; gateway?: Address }[] = [];
  let rest = bytes ?? new Uint8Array(0);
  while (rest.length > 0) {
    const header = headerView(rest, hopBytes);
    const length = header.getUint16(0, true);
    if (length < hopBytes || length > rest.length) throw malformed(`next hop of ${length} bytes in ${rest.length}`);
    const gateway = decodeGateway(family, decodeAttributes(rest.subarray(0, length), hopBytes));
    hops.push({ ifindex: header.getInt32(4, true), ...(gateway && { gateway }) });
    rest = rest.subarray((length + 3) & ~3);
  }
  return hops;
}

/** Body of RTM_GETROUTE for one family (all tables). */
export function encodeRouteQuery(family: 4 | 6): Uint8Array {
  return routeHeader({ family });
}

/** Body of RTM_NEWROUTE. */
export function encodeRouteSpec(spec: RouteSpec): Uint8Array {
  const writer = route(spec);
  if (spec.gateway !== undefined) encodeGateway(writer, familyOf(spec.destination.address), spec.gateway);
  if (spec.source !== undefined) writer.bytes(attribute.source, addressToWire(spec.source));
  const mtu = spec.mtu;
  if (mtu !== undefined) writer.nested(attribute.metrics, (metrics) => metrics.u32(metricMtu, mtu));
  return writer.finish();
}

/** Body of RTM_DELROUTE; protocol and device are part of the match, so that nobody else's route goes. */
export function encodeRouteDeletion(
  which: Pick<RouteSpec, 'destination' | 'table' | 'metric' | 'ifindex' | 'protocol' | 'type' | 'scope'>,
): Uint8Array {
  return route({ scope: 'nowhere', ...which }).finish();
}

function route(spec: RouteSpec): AttributeWriter {
  const family = familyOf(spec.destination.address);
  const table = spec.table ?? routeTable.main;
  const type = types.find(([, name]) => name === (spec.type ?? 'unicast'))?.[0] ?? 1;
  const scope = family === 6 ? 'global' : (spec.scope ?? defaultScope(spec));
  const flags = spec.onlink ? flag.onlink : 0;
  const header = {
    family,
    length: spec.destination.length,
    protocol: spec.protocol ?? routeProtocol.sluice,
    scope,
    type,
    flags,
  };
  const writer = new AttributeWriter(routeHeader(header));
  writer.u32(attribute.table, table);
  if (spec.destination.length > 0) writer.bytes(attribute.destination, addressToWire(spec.destination.address));
  if (spec.ifindex !== undefined) writer.u32(attribute.outIfindex, spec.ifindex);
  if (spec.metric !== undefined) writer.u32(attribute.metric, spec.metric);
  return writer;
}

function defaultScope(spec: RouteSpec): Scope {
  if (spec.ifindex === undefined || spec.gateway !== undefined) return 'global';
  return spec.type === 'local' ? 'host' : 'link';
}

function encodeGateway(writer: AttributeWriter, family: 4 | 6, gateway: Address): void {
  const gatewayFamily = familyOf(gateway);
  const bytes = addressToWire(gateway);
  if (gatewayFamily === family) writer.bytes(attribute.gateway, bytes);
  else writer.bytes(attribute.via, Uint8Array.of(kernelFamily[gatewayFamily], 0, ...bytes));
}

/** struct rtmsg; its 8 bits of table are superseded by RTA_TABLE. */
function routeHeader(header: {
  family: 4 | 6;
  length?: number;
  protocol?: number;
  scope?: Scope;
  type?: number;
  flags?: number;
}): Uint8Array {
  const bytes = Uint8Array.of(
    kernelFamily[header.family],
    header.length ?? 0,
    0,
    0,
    0,
    header.protocol ?? 0,
    scopeNumber(header.scope ?? 'global'),
    header.type ?? 0,
    0,
    0,
    0,
    0,
  );
  new DataView(bytes.buffer).setUint32(8, header.flags ?? 0, true);
  return bytes;
}
