import { type Mac, macToBytes } from '@sluice/net';
import { type Attributes, AttributeWriter, decodeAttributes, headerView } from './attributes.ts';
import { ethernetAddress } from './inet.ts';

/** A network device as the kernel reports it. */
export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly mtu: number;
  /** Absent for devices without an Ethernet address. */
  readonly mac?: Mac;
  /** Administratively up (IFF_UP); `carrier` says whether anything is at the other end. */
  readonly up: boolean;
  readonly carrier: boolean;
  readonly loopback: boolean;
  /** False where the device resolves no neighbours (IFF_NOARP). */
  readonly arp: boolean;
  /** `veth`, `vxlan`, `bridge`, ...; absent for hardware. */
  readonly kind?: string;
  /** The bridge, bond or VRF that owns it. */
  readonly masterIfindex?: number;
  /** A veth's other end, a VLAN's lower device. */
  readonly peerIfindex?: number;
  /** Set when the peer lives in another network namespace. */
  readonly peerNamespaceId?: number;
  readonly vxlan?: { readonly port: number; readonly external: boolean; readonly id: number };
  /** Of the XDP program that sees its packets before everything else. */
  readonly xdpProgramId?: number;
  readonly bridge?: { readonly stp: boolean; readonly vlanFiltering: boolean };
}

/** The other end of a new veth. It begins down: the kernel cannot open it before its peer is there (ENOTCONN). */
type NewPeer = Omit<NewLink, 'up'> & { readonly namespaceFd?: number };

interface NewLink {
  readonly name: string;
  /** Default: the kernel chooses. */
  readonly ifindex?: number;
  readonly mac?: Mac;
  readonly mtu?: number;
  /** Bring it up at once; default false. */
  readonly up?: boolean;
  /** Default true; false sets IFF_NOARP. */
  readonly arp?: boolean;
}

/** A device to create. */
export type LinkSpec =
  | (NewLink & { readonly kind: 'veth'; readonly peer: NewPeer })
  /** External: the tunnel's end comes from each packet's metadata. IPv6 outer checksums may be zero in both directions. */
  | (NewLink & { readonly kind: 'vxlan'; readonly port: number; readonly external: true })
  | (NewLink & { readonly kind: 'bridge' });

/** What to change on a device; absent fields stay. */
export interface LinkChange {
  readonly ifindex: number;
  readonly up?: boolean;
  readonly arp?: boolean;
  readonly mtu?: number;
  readonly mac?: Mac;
  readonly name?: string;
  /** 0 takes it out of its bridge. */
  readonly masterIfindex?: number;
  /** Moves it into the network namespace behind the descriptor. */
  readonly namespaceFd?: number;
}

const attribute = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkInfo: 18,
  namespaceFd: 28,
  extendedMask: 29,
  peerNamespaceId: 37,
  xdp: 43,
} as const;
const info = { kind: 1, data: 2 } as const;
const xdpProgramId = 4;
const vethPeer = 1;
const vxlan = { id: 1, learning: 7, port: 15, udpZeroChecksum6Tx: 19, udpZeroChecksum6Rx: 20, external: 25 } as const;
const bridge = { stp: 5, vlanFiltering: 7 } as const;
/** RTEXT_FILTER_SKIP_STATS: about half of each message is counters that we do not read. */
const skipStatistics = 1 << 3;

const flag = { up: 0x1, loopback: 0x8, noArp: 0x80, lowerUp: 0x10000 } as const;
const headerBytes = 16;

export function decodeLink(body: Uint8Array): Link {
  const header = headerView(body, headerBytes);
  const flags = header.getUint32(8, true);
  const attributes = decodeAttributes(body, headerBytes);
  const mac = ethernetAddress(attributes.bytes(attribute.address));
  const masterIfindex = attributes.u32(attribute.master);
  const peerIfindex = attributes.u32(attribute.link);
  const peerNamespaceId = attributes.i32(attribute.peerNamespaceId);
  return {
    ifindex: header.getInt32(4, true),
    name: attributes.string(attribute.name) ?? '',
    mtu: attributes.u32(attribute.mtu) ?? 0,
    up: (flags & flag.up) !== 0,
    carrier: (flags & flag.lowerUp) !== 0,
    loopback: (flags & flag.loopback) !== 0,
    arp: (flags & flag.noArp) === 0,
    ...(mac && { mac }),
    ...(masterIfindex && { masterIfindex }),
    ...(peerIfindex && { peerIfindex }),
    ...(peerNamespaceId !== undefined && { peerNamespaceId }),
    ...decodeXdp(attributes.nested(attribute.xdp)),
    ...decodeLinkInfo(attributes.nested(attribute.linkInfo)),
  };
}

function decodeXdp(xdp: Attributes | undefined): Pick<Link, 'xdpProgramId'> {
  const id = xdp?.u32(xdpProgramId);
  return id ? { xdpProgramId: id } : {};
}

function decodeLinkInfo(linkInfo: Attributes | undefined): Pick<Link, 'kind' | 'vxlan' | 'bridge'> {
  const kind = linkInfo?.string(info.kind);
  if (linkInfo === undefined || kind === undefined) return {};
  const data = linkInfo.nested(info.data);
  if (kind === 'vxlan' && data !== undefined) return { kind, vxlan: decodeVxlan(data) };
  if (kind === 'bridge' && data !== undefined) {
    return { kind, bridge: { stp: data.u32(bridge.stp) !== 0, vlanFiltering: data.u8(bridge.vlanFiltering) === 1 } };
  }
  return { kind };
}

function decodeVxlan(data: Attributes): NonNullable<Link['vxlan']> {
  return {
    id: data.u32(vxlan.id) ?? 0,
    port: data.u16Be(vxlan.port) ?? 0,
    external: data.u8(vxlan.external) === 1,
  };
}

/** Body of RTM_GETLINK for one device, or for all of them. */
export function encodeLinkQuery(which: { ifindex: number } | { name: string } | 'all'): Uint8Array {
  const writer = new AttributeWriter(
    linkHeader(which !== 'all' && 'ifindex' in which ? { ifindex: which.ifindex } : {}),
  );
  writer.u32(attribute.extendedMask, skipStatistics);
  if (which !== 'all' && 'name' in which) writer.string(attribute.name, which.name);
  return writer.finish();
}

/** Body of RTM_NEWLINK that creates the device. */
export function encodeLinkSpec(spec: LinkSpec): Uint8Array {
  const writer = newLink(spec);
  return writer
    .nested(attribute.linkInfo, (linkInfo) => {
      linkInfo.string(info.kind, spec.kind);
      if (spec.kind === 'veth') linkInfo.nested(info.data, (data) => encodeVethPeer(data, spec.peer));
      if (spec.kind === 'vxlan') linkInfo.nested(info.data, (data) => encodeVxlan(data, spec.port));
    })
    .finish();
}

function encodeVethPeer(data: AttributeWriter, peer: NewPeer): void {
  const writer = newLink(peer);
  if (peer.namespaceFd !== undefined) writer.u32(attribute.namespaceFd, peer.namespaceFd);
  data.bytes(vethPeer, writer.finish());
}

function encodeVxlan(data: AttributeWriter, port: number): void {
  data.u16Be(vxlan.port, port);
  data.u8(vxlan.external, 1);
  data.u8(vxlan.learning, 0);
  data.u8(vxlan.udpZeroChecksum6Tx, 1);
  data.u8(vxlan.udpZeroChecksum6Rx, 1);
}

function newLink(link: NewLink): AttributeWriter {
  const writer = new AttributeWriter(linkHeader({ ...flags(link.up, link.arp), ifindex: link.ifindex ?? 0 }));
  writer.string(attribute.name, link.name);
  if (link.mac !== undefined) writer.bytes(attribute.address, macToBytes(link.mac));
  if (link.mtu !== undefined) writer.u32(attribute.mtu, link.mtu);
  return writer;
}

/** Body of RTM_NEWLINK (without create) that changes the device. */
export function encodeLinkChange(change: LinkChange): Uint8Array {
  const writer = new AttributeWriter(linkHeader({ ifindex: change.ifindex, ...flags(change.up, change.arp) }));
  if (change.name !== undefined) writer.string(attribute.name, change.name);
  if (change.mac !== undefined) writer.bytes(attribute.address, macToBytes(change.mac));
  if (change.mtu !== undefined) writer.u32(attribute.mtu, change.mtu);
  if (change.masterIfindex !== undefined) writer.u32(attribute.master, change.masterIfindex);
  if (change.namespaceFd !== undefined) writer.u32(attribute.namespaceFd, change.namespaceFd);
  return writer.finish();
}

/** Body of RTM_DELLINK. */
export function encodeLinkDeletion(ifindex: number): Uint8Array {
  return linkHeader({ ifindex });
}

function flags(up: boolean | undefined, arp: boolean | undefined): { flags: number; mask: number } {
  const upMask = up === undefined ? 0 : flag.up;
  const arpMask = arp === undefined ? 0 : flag.noArp;
  return { flags: (up ? flag.up : 0) | (arp === false ? flag.noArp : 0), mask: upMask | arpMask };
}

/** struct ifinfomsg */
function linkHeader(header: { ifindex?: number; flags?: number; mask?: number }): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, header.ifindex ?? 0, true);
  view.setUint32(8, header.flags ?? 0, true);
  view.setUint32(12, header.mask ?? 0, true);
  return bytes;
}
