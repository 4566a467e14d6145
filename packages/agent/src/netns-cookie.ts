import { AddressFamily, close, getsockopt, SocketLevel, SocketOption, SocketType, socket } from '@sluice/ffi';

/** Of the network namespace that the calling thread is in, as the programs see it at a socket. */
export function ownNetnsCookie(): bigint {
  const any = socket(AddressFamily.INET, SocketType.DGRAM);
  try {
    const bytes = getsockopt(any, SocketLevel.SOCKET, SocketOption.NETNS_COOKIE, 8);
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  } finally {
    close(any);
  }
}
