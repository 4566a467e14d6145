import { Errno } from './errors.ts';
import { checked, libcFunction } from './libc.ts';

const nativeSocket = libcFunction('int socket(int domain, int type, int protocol)');
const nativeBind = libcFunction('int bind(int fd, const void *address, uint length)');
const nativeConnect = libcFunction('int connect(int fd, const void *address, uint length)');
const nativeListen = libcFunction('int listen(int fd, int backlog)');
const nativeAccept = libcFunction('int accept4(int fd, void *address, void *length, int flags)');
const nativeSendto = libcFunction(
  'long sendto(int fd, const void *data, size_t length, int flags, const void *address, uint addressLength)',
);
const nativeRecvfrom = libcFunction(
  'long recvfrom(int fd, void *buffer, size_t length, int flags, void *address, void *addressLength)',
);
const nativeSetsockopt = libcFunction('int setsockopt(int fd, int level, int name, const void *value, uint length)');
const nativeGetsockopt = libcFunction('int getsockopt(int fd, int level, int name, void *value, void *length)');
const nativeGetsockname = libcFunction('int getsockname(int fd, void *address, void *length)');
const nativeGetpeername = libcFunction('int getpeername(int fd, void *address, void *length)');

export const AddressFamily = { INET: 2, INET6: 10, NETLINK: 16, PACKET: 17 } as const;
export const SocketType = { STREAM: 1, DGRAM: 2, RAW: 3 } as const;
export const MessageFlag = { PEEK: 0x2, TRUNC: 0x20, DONTWAIT: 0x40, NOSIGNAL: 0x4000 } as const;
export const SocketLevel = { SOCKET: 1, IP: 0, IPV6: 41, PACKET: 263, NETLINK: 270 } as const;
export const SocketOption = {
  REUSEADDR: 2,
  ERROR: 4,
  SNDBUF: 7,
  RCVBUF: 8,
  PEERCRED: 17,
  RCVTIMEO: 20,
  SNDBUFFORCE: 32,
  ATTACH_BPF: 50,
  RCVBUFFORCE: 33,
  NETNS_COOKIE: 71,
} as const;

const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;

/** A socket made here and now, in the thread's present network namespace (Node makes its own lazily). */
export function socket(domain: number, type: number, protocol = 0, options: { nonBlocking?: boolean } = {}): number {
  const flags = SOCK_CLOEXEC | (options.nonBlocking === true ? SOCK_NONBLOCK : 0);
  return checked(nativeSocket(domain, type | flags, protocol), 'socket');
}

export function bind(fd: number, address: Uint8Array): void {
  checked(nativeBind(fd, address, address.byteLength), 'bind', describe(address));
}

export function connect(fd: number, address: Uint8Array): void {
  checked(nativeConnect(fd, address, address.byteLength), 'connect', describe(address));
}

export function listen(fd: number, backlog = 128): void {
  checked(nativeListen(fd, backlog), 'listen');
}

/** The next connection; blocks unless the socket is non-blocking, then `undefined` says that there is none. */
export function accept(fd: number): number | undefined {
  return unlessAgain(nativeAccept(fd, null, null, SOCK_CLOEXEC), 'accept');
}

/** Sends to an address, or to the connected peer. A broken connection is an error, never a signal. */
export function sendto(fd: number, data: Uint8Array, address?: Uint8Array, flags = 0): number {
  const length = address?.byteLength ?? 0;
  const sent = nativeSendto(fd, data, data.byteLength, flags | MessageFlag.NOSIGNAL, address ?? null, length);
  return checked(sent, 'sendto', address && describe(address));
}

/**
 * Receives into the buffer and returns the message's length: with `MessageFlag.DONTWAIT` (or a time-out set)
 * `undefined` means nothing was there; with `MessageFlag.TRUNC` the length may exceed the buffer.
 */
export function recv(fd: number, buffer: Uint8Array, flags = 0): number | undefined {
  return unlessAgain(nativeRecvfrom(fd, buffer, buffer.byteLength, flags, null, null), 'recv');
}

/** As `recv`, and tells the sender's address. */
export function recvfrom(
  fd: number,
  buffer: Uint8Array,
  flags = 0,
): { length: number; address: Uint8Array } | undefined {
  const address = new Uint8Array(128);
  const addressLength = new Uint8Array(Uint32Array.of(address.byteLength).buffer);
  const received = nativeRecvfrom(fd, buffer, buffer.byteLength, flags, address, addressLength);
  const length = unlessAgain(received, 'recvfrom');
  return length === undefined ? undefined : { length, address: address.subarray(0, lengthOf(addressLength)) };
}

export function setsockopt(fd: number, level: number, name: number, value: Uint8Array | number): void {
  const bytes = typeof value === 'number' ? new Uint8Array(Int32Array.of(value).buffer) : value;
  checked(nativeSetsockopt(fd, level, name, bytes, bytes.byteLength), 'setsockopt', `${level}/${name}`);
}

/** The option's bytes, at most `size` of them. Some options read what they are about from the buffer: `question`. */
export function getsockopt(fd: number, level: number, name: number, size: number, question?: Uint8Array): Uint8Array {
  const value = new Uint8Array(size);
  if (question) value.set(question);
  const length = new Uint8Array(Uint32Array.of(size).buffer);
  checked(nativeGetsockopt(fd, level, name, value, length), 'getsockopt', `${level}/${name}`);
  return value.subarray(0, lengthOf(length));
}

export function getsockname(fd: number): Uint8Array {
  return nameOf(fd, nativeGetsockname, 'getsockname');
}

export function getpeername(fd: number): Uint8Array {
  return nameOf(fd, nativeGetpeername, 'getpeername');
}

function nameOf(fd: number, call: typeof nativeGetsockname, syscall: string): Uint8Array {
  const address = new Uint8Array(128);
  const length = new Uint8Array(Uint32Array.of(address.byteLength).buffer);
  checked(call(fd, address, length), syscall);
  return address.subarray(0, lengthOf(length));
}

function unlessAgain(result: number, syscall: string): number | undefined {
  return result === -Errno.EAGAIN ? undefined : checked(result, syscall);
}

// A socklen_t the kernel wrote, in the machine's order.
function lengthOf(bytes: Uint8Array): number {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, 1)[0] ?? 0;
}

function describe(address: Uint8Array): string {
  return `family ${address[0]} ${Buffer.from(address.subarray(2)).toString('hex')}`;
}
