import type { Socket } from 'node:net';
import { getsockopt, SocketLevel, SocketOption } from './socket.ts';

/** Who was at the other end of a unix socket when it connected. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Asks the kernel, not the peer. Call it inside the `connection` event, while the descriptor is surely open. */
export function peerCredentials(socket: Socket): PeerCredentials {
  const bytes = getsockopt(descriptorOf(socket), SocketLevel.SOCKET, SocketOption.PEERCRED, 12);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { pid: view.getInt32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}

// Node has no public way to a socket's descriptor.
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd !== 'number' || fd < 0) throw new TypeError('the socket is closed: it has no descriptor to ask');
  return fd;
}
