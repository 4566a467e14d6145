/**
 * System calls on byte buffers: what Node lacks to speak to the kernel (bpf, netlink and packet sockets, network
 * namespaces, shared memory, polling any descriptor on the main loop).
 *
 * It knows no protocol: messages and structs are encoded by the packages above. Every call is synchronous; errors are
 * `SystemError` with errno as data. Begin with `socket.ts` or `bpf.ts`.
 */
export { bpf } from './bpf.ts';
export { type ClockState, clockState } from './clock-state.ts';
export { type PeerCredentials, peerCredentials } from './credentials.ts';
export { close, duplicate, ioctl, lock, openFd, read, write } from './descriptor.ts';
export { Errno, errnoName, isSystemError, SystemError } from './errors.ts';
export { waitForGracePeriod } from './grace-period.ts';
export { addressOf } from './libc.ts';
export { type MappedMemory, mapMemory, pageBytes, returnFreeMemory } from './memory.ts';
export { bindMount, mount, unmount } from './mount.ts';
export { createNetworkNamespace, inNetworkNamespace, removeNetworkNamespace } from './network-namespace.ts';
export {
  AddressFamily,
  accept,
  bind,
  connect,
  getpeername,
  getsockname,
  getsockopt,
  listen,
  MessageFlag,
  recv,
  recvfrom,
  SocketLevel,
  SocketOption,
  SocketType,
  sendto,
  setsockopt,
  socket,
} from './socket.ts';
export { internetAddress, netlinkAddress, packetAddress, parseInternetAddress } from './socket-address.ts';
export { type WatchOptions, watchReadable } from './watch.ts';
