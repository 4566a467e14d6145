import { AttributeWriter, decodeAttributes } from './attributes.ts';
import type { Conversation } from './conversation.ts';
import { hasCode } from './error.ts';

/** What a device's driver can do with frames of XDP programs, as it says itself now (Linux 6.3). */
export interface FrameFeatures {
  /** It runs programs before it makes socket buffers (native XDP). */
  readonly native: boolean;
  /** It sends frames that programs of other devices hand to it. A veth does where its other end merges packets (GRO). */
  readonly takes: boolean;
  /** Also such frames that lie in several buffers. */
  readonly takesFragments: boolean;
}

/** NETLINK_GENERIC */
export const genericProtocol = 16;

const controlFamily = 16;
const control = { getFamily: 3, familyId: 1, familyName: 2 } as const;
const netdev = { deviceGet: 1, ifindex: 1, xdpFeatures: 3 } as const;
// enum netdev_xdp_act
const xdpFeature = { basic: 1, transmit: 4, transmitFragments: 64 } as const;
// struct genlmsghdr: command, version and two reserved bytes.
const headerBytes = 4;

/** Undefined: the device is gone. */
export function readFrameFeatures(conversation: Conversation, ifindex: number): FrameFeatures | undefined {
  const action = `read XDP features of link ${ifindex}`;
  const body = new AttributeWriter(header(netdev.deviceGet)).u32(netdev.ifindex, ifindex).finish();
  try {
    const [reply] = conversation.request({ action, type: netdevFamily(conversation), body });
    const word = reply && decodeAttributes(reply.body, headerBytes).bytes(netdev.xdpFeatures)?.[0];
    if (word === undefined) return undefined;
    return {
      native: (word & xdpFeature.basic) !== 0,
      takes: (word & xdpFeature.transmit) !== 0,
      takesFragments: (word & xdpFeature.transmitFragments) !== 0,
    };
  } catch (error) {
    if (hasCode(error, 'ENODEV')) return undefined;
    throw error;
  }
}

/** The kernel gives families their numbers when they register. */
function netdevFamily(conversation: Conversation): number {
  const body = new AttributeWriter(header(control.getFamily)).string(control.familyName, 'netdev').finish();
  const [reply] = conversation.request({ action: 'find netlink family netdev', type: controlFamily, body });
  const id = reply && decodeAttributes(reply.body, headerBytes).bytes(control.familyId);
  if (id === undefined) throw new TypeError('the kernel names no number of netlink family netdev');
  return (id[0] ?? 0) | ((id[1] ?? 0) << 8);
}

function header(command: number): Uint8Array {
  return Uint8Array.of(command, 1, 0, 0);
}
