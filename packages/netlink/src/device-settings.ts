import { decodeAttributes, headerView } from './attributes.ts';

/** Whose settings under net/ipv4/conf or net/ipv6/conf are meant: forwarding, rp_filter and a few more. */
export interface DeviceSettings {
  readonly family: 4 | 6;
  /** -1: those of `all`; -2: of `default`. */
  readonly ifindex: number;
}

const AF_INET6 = 10;
const attributeIfindex = 1;
// struct netconfmsg is one byte, padded.
const headerBytes = 4;

export function decodeDeviceSettings(body: Uint8Array): DeviceSettings {
  const family = headerView(body, 1).getUint8(0) === AF_INET6 ? 6 : 4;
  return { family, ifindex: decodeAttributes(body, headerBytes).i32(attributeIfindex) ?? 0 };
}
