import {
  AddressFamily,
  bind,
  close,
  inNetworkNamespace,
  MessageFlag,
  netlinkAddress,
  recv,
  SocketLevel,
  SocketOption,
  SocketType,
  sendto,
  setsockopt,
  socket,
} from '@sluice/ffi';
import type { Transport } from './conversation.ts';
import { malformed } from './error.ts';

const routeProtocolFamily = 0;
const option = { addMembership: 1, cappedAck: 10, extendedAck: 11, strictCheck: 12 } as const;

/** The kernel fills at most 32 KiB per datagram of a dump (NLMSG_GOODSIZE); a single message stays far below this, too. */
const datagramBytesMax = 64 * 1024;
/** Room for bursts such as a thousand links that vanish at once; what does not fit costs a full re-read. */
const subscriptionBufferBytes = 1024 * 1024;

/** A netlink socket, of rtnetlink unless it says otherwise. It belongs to the namespace that it was opened in for ever, wherever the thread goes. */
export class NetlinkSocket implements Transport, Disposable {
  readonly fd: number;
  readonly #buffer = new Uint8Array(datagramBytesMax);

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** For questions and answers. */
  static open(namespace?: string, protocol: number = routeProtocolFamily): NetlinkSocket {
    const open = (): NetlinkSocket => NetlinkSocket.#bound([], protocol);
    return namespace === undefined ? open() : inNetworkNamespace(namespace, open);
  }

  /** For notifications of the multicast groups. */
  static subscribe(groups: readonly number[], namespace?: string): NetlinkSocket {
    const open = (): NetlinkSocket => NetlinkSocket.#bound(groups, routeProtocolFamily);
    return namespace === undefined ? open() : inNetworkNamespace(namespace, open);
  }

  static #bound(groups: readonly number[], protocol: number): NetlinkSocket {
    const fd = socket(AddressFamily.NETLINK, SocketType.RAW, protocol);
    try {
      bind(fd, netlinkAddress());
      setsockopt(fd, SocketLevel.NETLINK, option.extendedAck, 1);
      setsockopt(fd, SocketLevel.NETLINK, option.cappedAck, 1);
      setsockopt(fd, SocketLevel.NETLINK, option.strictCheck, 1);
      if (groups.length > 0) setsockopt(fd, SocketLevel.SOCKET, SocketOption.RCVBUFFORCE, subscriptionBufferBytes);
      for (const group of groups) setsockopt(fd, SocketLevel.NETLINK, option.addMembership, group);
      return new NetlinkSocket(fd);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  send(datagram: Uint8Array): void {
    sendto(this.fd, datagram, netlinkAddress());
  }

  receive(): Uint8Array | undefined {
    const length = recv(this.fd, this.#buffer, MessageFlag.DONTWAIT | MessageFlag.TRUNC);
    if (length === undefined) return undefined;
    if (length > datagramBytesMax) throw malformed(`datagram of ${length} bytes, at most ${datagramBytesMax} are read`);
    return this.#buffer.slice(0, length);
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}
