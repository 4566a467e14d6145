import { type Address, addressToWire, familyOf } from '@sluice/net';
import { AttributeWriter, decodeAttributes, headerView } from './attributes.ts';
import { malformed } from './error.ts';
import { familyFromKernel, inetAddress, kernelFamily } from './inet.ts';

/** How far an address or route reaches, in the kernel's words. */
export type Scope = 'global' | 'site' | 'link' | 'host' | 'nowhere';

/** An address on a device. */
export interface InterfaceAddress {
  readonly ifindex: number;
  readonly address: Address;
  /** Bits of the on-link prefix. */
  readonly length: number;
  readonly scope: Scope;
  /** The other end of a point-to-point address. */
  readonly peer?: Address;
  /** Duplicate address detection is still running: the address cannot be bound yet. */
  readonly tentative: boolean;
  /** Somebody else has it. */
  readonly duplicate: boolean;
  /** Never a source of new connections: its preferred lifetime is over. */
  readonly deprecated: boolean;
  /** A privacy address (RFC 8981), which comes and goes. */
  readonly temporary: boolean;
  /** Not the first of its subnet on the device (IPv4). */
  readonly secondary: boolean;
}

/** An address to add. */
export interface AddressSpec {
  readonly ifindex: number;
  readonly address: Address;
  readonly length: number;
  /** Default `global`. */
  readonly scope?: Scope;
  /** Skip duplicate address detection (IPv6); default false. */
  readonly noDad?: boolean;
  /** False: never chosen as a source by itself (preferred lifetime 0); default true. */
  readonly preferred?: boolean;
  /** Do not add the prefix's on-link route; default false. */
  readonly noPrefixRoute?: boolean;
}

const attribute = { address: 1, local: 2, cacheInfo: 6, flags: 8 } as const;
// 0x01 means "temporary" (IFA_F_TEMPORARY) for IPv6 and "secondary" for IPv4.
const flag = {
  secondary: 0x01,
  noDad: 0x02,
  dadFailed: 0x08,
  deprecated: 0x20,
  tentative: 0x40,
  noPrefixRoute: 0x200,
} as const;
const forever = 0xffffffff;
const headerBytes = 8;

/** Undefined for a family that is not IP. */
export function decodeInterfaceAddress(body: Uint8Array): InterfaceAddress | undefined {
  const header = headerView(body, headerBytes);
  const family = familyFromKernel(header.getUint8(0));
  if (family === undefined) return undefined;
  const attributes = decodeAttributes(body, headerBytes);
  // IFA_LOCAL is ours and IFA_ADDRESS the peer; without IFA_LOCAL, IFA_ADDRESS is ours.
  const local = attributes.bytes(attribute.local);
  const first = local ?? attributes.bytes(attribute.address);
  if (first === undefined) throw malformed('address message without an address');
  const address = inetAddress(family, first);
  if (address === undefined) return undefined;
  const other = local && attributes.bytes(attribute.address);
  const peer = other && inetAddress(family, other);
  const flags = attributes.u32(attribute.flags) ?? header.getUint8(2);
  return {
    ifindex: header.getUint32(4, true),
    address,
    length: header.getUint8(1),
    scope: scopeName(header.getUint8(3)),
    ...(peer && peer !== address && { peer }),
    tentative: (flags & flag.tentative) !== 0,
    duplicate: (flags & flag.dadFailed) !== 0,
    deprecated: (flags & flag.deprecated) !== 0,
    temporary: family === 6 && (flags & flag.secondary) !== 0,
    secondary: family === 4 && (flags & flag.secondary) !== 0,
  };
}

/** Body of RTM_GETADDR for all devices or one. */
export function encodeAddressQuery(ifindex = 0): Uint8Array {
  return addressHeader({ family: 0, length: 0, scope: 0, ifindex });
}

/** Body of RTM_NEWADDR. */
export function encodeAddressSpec(spec: AddressSpec): Uint8Array {
  const writer = address(spec);
  writer.u32(attribute.flags, (spec.noDad ? flag.noDad : 0) | (spec.noPrefixRoute ? flag.noPrefixRoute : 0));
  if (spec.preferred === false) writer.bytes(attribute.cacheInfo, cacheInfo({ preferred: 0, valid: forever }));
  return writer.finish();
}

/** Body of RTM_DELADDR. */
export function encodeAddressDeletion(which: Pick<AddressSpec, 'ifindex' | 'address' | 'length'>): Uint8Array {
  return address(which).finish();
}

function address(spec: Pick<AddressSpec, 'ifindex' | 'address' | 'length' | 'scope'>): AttributeWriter {
  const family = kernelFamily[familyOf(spec.address)];
  const header = addressHeader({
    family,
    length: spec.length,
    scope: scopeNumber(spec.scope ?? 'global'),
    ifindex: spec.ifindex,
  });
  const bytes = addressToWire(spec.address);
  return new AttributeWriter(header).bytes(attribute.local, bytes).bytes(attribute.address, bytes);
}

/** struct ifa_cacheinfo: lifetimes in seconds; the two time stamps are the kernel's. */
function cacheInfo(lifetimes: { preferred: number; valid: number }): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, lifetimes.preferred, true);
  view.setUint32(4, lifetimes.valid, true);
  return bytes;
}

/** struct ifaddrmsg; its 8 bits of flags are superseded by IFA_FLAGS. */
function addressHeader(header: { family: number; length: number; scope: number; ifindex: number }): Uint8Array {
  const bytes = Uint8Array.of(header.family, header.length, 0, header.scope, 0, 0, 0, 0);
  new DataView(bytes.buffer).setUint32(4, header.ifindex, true);
  return bytes;
}

const scopes: readonly [number, Scope][] = [
  [0, 'global'],
  [200, 'site'],
  [253, 'link'],
  [254, 'host'],
  [255, 'nowhere'],
];

/** Nearest scope not wider than the number; user-defined numbers between the named ones are legal. */
export function scopeName(number: number): Scope {
  return scopes.find(([limit]) => number <= limit)?.[1] ?? 'nowhere';
}

export function scopeNumber(scope: Scope): number {
  return scopes.find(([, name]) => name === scope)?.[0] ?? 0;
}
