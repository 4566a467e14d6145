import { type Address, addressToWire, familyOf, type Mac, macToBytes } from '@sluice/net';
import { AttributeWriter, decodeAttributes, headerView } from './attributes.ts';
import { ethernetAddress, familyFromKernel, inetAddress, kernelFamily } from './inet.ts';

/** How sure the kernel is of a neighbour, in its own words. */
export type NeighbourState =
  | 'none'
  | 'incomplete'
  | 'reachable'
  | 'stale'
  | 'delay'
  | 'probe'
  | 'failed'
  | 'noarp'
  | 'permanent';

/** An entry of the ARP or NDP cache. */
export interface Neighbour {
  readonly ifindex: number;
  readonly address: Address;
  /** Absent until it is resolved. */
  readonly mac?: Mac;
  readonly state: NeighbourState;
}

/** An entry to set. */
export interface NeighbourSpec {
  readonly ifindex: number;
  readonly address: Address;
  readonly mac: Mac;
  /** Default `permanent`. */
  readonly state?: NeighbourState;
}

const attribute = { destination: 1, linkAddress: 2 } as const;
const headerBytes = 12;

const states: readonly [number, NeighbourState][] = [
  [0x00, 'none'],
  [0x01, 'incomplete'],
  [0x02, 'reachable'],
  [0x04, 'stale'],
  [0x08, 'delay'],
  [0x10, 'probe'],
  [0x20, 'failed'],
  [0x40, 'noarp'],
  [0x80, 'permanent'],
];

/** Undefined for families that are not IP, such as a bridge's forwarding table. */
export function decodeNeighbour(body: Uint8Array): Neighbour | undefined {
  const header = headerView(body, headerBytes);
  const family = familyFromKernel(header.getUint8(0));
  const attributes = decodeAttributes(body, headerBytes);
  const destination = attributes.bytes(attribute.destination);
  const address = family && destination && inetAddress(family, destination);
  if (!address) return undefined;
  const mac = ethernetAddress(attributes.bytes(attribute.linkAddress));
  return {
    ifindex: header.getInt32(4, true),
    address,
    ...(mac && { mac }),
    state: states.find(([number]) => number === header.getUint16(8, true))?.[1] ?? 'none',
  };
}

/** Body of RTM_GETNEIGH for one family. */
export function encodeNeighbourQuery(family: 4 | 6): Uint8Array {
  return neighbourHeader({ family, ifindex: 0, state: 0 });
}

/** Body of RTM_NEWNEIGH. */
export function encodeNeighbourSpec(spec: NeighbourSpec): Uint8Array {
  const state = states.find(([, name]) => name === (spec.state ?? 'permanent'))?.[0] ?? 0;
  return neighbour(spec, state).bytes(attribute.linkAddress, macToBytes(spec.mac)).finish();
}

/** Body of RTM_DELNEIGH. */
export function encodeNeighbourDeletion(which: Pick<NeighbourSpec, 'ifindex' | 'address'>): Uint8Array {
  return neighbour(which, 0).finish();
}

function neighbour(which: Pick<NeighbourSpec, 'ifindex' | 'address'>, state: number): AttributeWriter {
  const header = neighbourHeader({ family: familyOf(which.address), ifindex: which.ifindex, state });
  return new AttributeWriter(header).bytes(attribute.destination, addressToWire(which.address));
}

/** struct ndmsg */
function neighbourHeader(header: { family: 4 | 6; ifindex: number; state: number }): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kernelFamily[header.family]);
  view.setInt32(4, header.ifindex, true);
  view.setUint16(8, header.state, true);
  return bytes;
}
