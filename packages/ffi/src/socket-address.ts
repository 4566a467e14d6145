import { AddressFamily } from './socket.ts';

// struct sockaddr_*: the family is in the machine's order (little endian on x64 and arm64), ports are in wire order.

/** Port id 0 lets the kernel choose. `groups` is the legacy bit mask; groups above 32 join by NETLINK_ADD_MEMBERSHIP. */
export function netlinkAddress(options: { portId?: number; groups?: number } = {}): Uint8Array {
  const { bytes, view } = allocate(12, AddressFamily.NETLINK);
  view.setUint32(4, options.portId ?? 0, true);
  view.setUint32(8, options.groups ?? 0, true);
  return bytes;
}

/** AF_PACKET: ethertype, device, and for SOCK_DGRAM the link address to send to. */
export function packetAddress(options: { ifindex: number; ethertype?: number; mac?: Uint8Array }): Uint8Array {
  const { bytes, view } = allocate(20, AddressFamily.PACKET);
  view.setUint16(2, options.ethertype ?? 0);
  view.setInt32(4, options.ifindex, true);
  if (options.mac !== undefined) {
    view.setUint8(11, options.mac.byteLength);
    bytes.set(options.mac, 12);
  }
  return bytes;
}

/** AF_INET for 4 address bytes, AF_INET6 for 16. `scope` is the device of a link-local address. */
export function internetAddress(address: Uint8Array, port: number, scope = 0): Uint8Array {
  if (address.byteLength === 4) {
    const { bytes, view } = allocate(16, AddressFamily.INET);
    view.setUint16(2, port);
    bytes.set(address, 4);
    return bytes;
  }
  const { bytes, view } = allocate(28, AddressFamily.INET6);
  view.setUint16(2, port);
  bytes.set(address, 8);
  view.setUint32(24, scope, true);
  return bytes;
}

/** Address bytes and port out of an AF_INET or AF_INET6 socket address. */
export function parseInternetAddress(sockaddr: Uint8Array): { address: Uint8Array; port: number } {
  const view = new DataView(sockaddr.buffer, sockaddr.byteOffset, sockaddr.byteLength);
  const family = view.getUint16(0, true);
  if (family === AddressFamily.INET) return { address: sockaddr.slice(4, 8), port: view.getUint16(2) };
  if (family === AddressFamily.INET6) return { address: sockaddr.slice(8, 24), port: view.getUint16(2) };
  throw new TypeError(`socket address of family ${family} is neither IPv4 nor IPv6`);
}

function allocate(size: number, family: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, family, true);
  return { bytes, view };
}
