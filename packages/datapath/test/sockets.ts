// Sockets of pods and nodes, opened inside their network namespace and cgroup, used from anywhere.
import {
  AddressFamily,
  accept,
  bind,
  close,
  connect,
  getpeername,
  internetAddress,
  listen,
  MessageFlag,
  parseInternetAddress,
  recv,
  recvfrom,
  SocketLevel,
  SocketOption,
  SocketType,
  sendto,
  setsockopt,
  socket,
} from '@sluice/ffi';
import {
  type Address,
  addressFromBytes,
  addressFromWire,
  addressToBytes,
  addressToWire,
  familyOf,
  formatAddressPort,
} from '@sluice/net';

/** Where a process lives: what decides which programs see its sockets. */
export interface Place {
  run<Result>(section: () => Result): Result;
}

/** Where no socket hook sees the socket: in the namespace, outside of the cgroup. */
export function past({ namespace }: { readonly namespace: Place }): Place {
  return { run: (section) => namespace.run(section) };
}

export interface SocketOptions {
  /** An IPv6 socket that speaks IPv4 through v4-mapped addresses. */
  readonly mapped?: boolean;
  /** IPPROTO_MPTCP, for one. */
  readonly protocol?: number;
}

export class TestSocket implements Disposable {
  readonly fd: number;
  readonly #mapped: boolean;
  #open = true;

  constructor(fd: number, mapped = false) {
    this.fd = fd;
    this.#mapped = mapped;
  }

  connect(address: Address, port: number): void {
    connect(this.fd, this.#sockaddr(address, port));
  }

  /** connect() to AF_UNSPEC: no hook sees it. */
  disconnect(): void {
    connect(this.fd, new Uint8Array(16));
  }

  send(text: string): void {
    sendto(this.fd, Buffer.from(text));
  }

  sendTo(text: string, address: Address, port: number): void {
    this.sendBytes(Buffer.from(text), address, port);
  }

  sendBytes(bytes: Uint8Array, address: Address, port: number): void {
    sendto(this.fd, bytes, this.#sockaddr(address, port));
  }

  /** Waits up to a second; `undefined`: nothing came. */
  receive(): string | undefined {
    return this.#receive(0);
  }

  /** What is there already. */
  receiveNow(): string | undefined {
    return this.#receive(MessageFlag.DONTWAIT);
  }

  #receive(flags: number): string | undefined {
    const buffer = new Uint8Array(65_536);
    const length = recv(this.fd, buffer, flags);
    return length === undefined ? undefined : Buffer.from(buffer.subarray(0, length)).toString();
  }

  receiveFrom(): { text: string; from: string; reply(text: string): void } | undefined {
    const buffer = new Uint8Array(65_536);
    const received = recvfrom(this.fd, buffer);
    if (received === undefined) return undefined;
    return {
      text: Buffer.from(buffer.subarray(0, received.length)).toString(),
      from: addressText(received.address),
      reply: (text) => sendto(this.fd, Buffer.from(text), received.address),
    };
  }

  accept(): TestSocket | undefined {
    const fd = accept(this.fd);
    return fd === undefined ? undefined : withTimeout(new TestSocket(fd));
  }

  peer(): string {
    return addressText(getpeername(this.fd));
  }

  /** Ends with a reset instead of FINs. */
  abort(): void {
    setsockopt(this.fd, SocketLevel.SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
    this[Symbol.dispose]();
  }

  #sockaddr(address: Address, port: number): Uint8Array {
    return internetAddress(this.#mapped ? addressToBytes(address) : addressToWire(address), port);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.fd);
  }
}

const SO_LINGER = 13;

export function tcpSocket(place: Place, family: 4 | 6, options: SocketOptions = {}): TestSocket {
  return open(place, family, SocketType.STREAM, options);
}

export function udpSocket(place: Place, family: 4 | 6, options: SocketOptions = {}): TestSocket {
  return open(place, family, SocketType.DGRAM, options);
}

export function tcpServer(place: Place, address: Address, port: number): TestSocket {
  const server = tcpSocket(place, familyOf(address));
  setsockopt(server.fd, SocketLevel.SOCKET, SocketOption.REUSEADDR, 1);
  bind(server.fd, internetAddress(addressToWire(address), port));
  listen(server.fd);
  return server;
}

export function udpServer(place: Place, address: Address, port: number): TestSocket {
  const server = udpSocket(place, familyOf(address));
  bind(server.fd, internetAddress(addressToWire(address), port));
  return server;
}

function open(place: Place, family: 4 | 6, type: number, options: SocketOptions): TestSocket {
  const domain = family === 4 && options.mapped !== true ? AddressFamily.INET : AddressFamily.INET6;
  return withTimeout(
    new TestSocket(
      place.run(() => socket(domain, type, options.protocol)),
      options.mapped,
    ),
  );
}

const SO_SNDTIMEO = 21;

// Everything happens in microseconds; a second means never. It bounds connect, too.
function withTimeout(opened: TestSocket): TestSocket {
  const second = new Uint8Array(BigInt64Array.of(1n, 0n).buffer);
  setsockopt(opened.fd, SocketLevel.SOCKET, SocketOption.RCVTIMEO, second);
  setsockopt(opened.fd, SocketLevel.SOCKET, SO_SNDTIMEO, second);
  return opened;
}

// A socket of IPv6 names IPv4 peers by mapped addresses, which are the same 16 bytes as ours.
function addressText(sockaddr: Uint8Array): string {
  const { address, port } = parseInternetAddress(sockaddr);
  const parsed = address.byteLength === 16 ? addressFromBytes(address) : addressFromWire(address);
  return parsed === undefined ? '' : formatAddressPort(parsed, port);
}
