// Datagrams that a worker sends all the time, and what arrives of them.
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { SocketLevel, setsockopt } from '@sluice/ffi';
import { type Address, familyOf } from '@sluice/net';
import { type Place, udpServer, udpSocket } from './sockets.ts';

export interface Datagrams extends AsyncDisposable {
  /** So far. */
  readonly sent: number;
  /** Gives how many were sent in all. */
  end(): Promise<number>;
}

/** Until they are ended, from a connected socket. */
export function sendDatagrams(from: Place, address: Address, port: number): Datagrams {
  const socket = udpSocket(from, familyOf(address));
  socket.connect(address, port);
  const stop = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('sender.ts', import.meta.url), { workerData: { fd: socket.fd, stop } });
  const done = once(worker, 'message') as Promise<[number]>;
  async function finish(): Promise<number> {
    Atomics.store(stop, 0, 1);
    const [count] = await done;
    await worker.terminate();
    socket[Symbol.dispose]();
    return count;
  }
  let ended: Promise<number> | undefined;
  const end = () => (ended ??= finish());
  return {
    get sent() {
      return Atomics.load(stop, 1);
    },
    end,
    [Symbol.asyncDispose]: async () => void (await end()),
  };
}

export interface DatagramStream extends AsyncDisposable {
  /** Takes what has come; gives how many came so far. */
  received(): number;
  readonly sent: number;
  /** None is under way any more when it gives the numbers. */
  end(): Promise<{ readonly sent: number; readonly received: number }>;
}

/** To a server at that address, which has room for all of them; the first ones are there when it returns. */
export async function streamDatagrams(
  from: Place,
  to: Place,
  { address, port }: { readonly address: Address; readonly port: number },
): Promise<DatagramStream> {
  const SO_RCVBUFFORCE = 33;
  const server = udpServer(to, address, port);
  setsockopt(server.fd, SocketLevel.SOCKET, SO_RCVBUFFORCE, 256 * 1024 * 1024);
  const datagrams = sendDatagrams(from, address, port);
  let count = 0;
  const received = (): number => {
    while (server.receiveNow() !== undefined) count += 1;
    return count;
  };
  async function finish() {
    const sent = await datagrams.end();
    received();
    server[Symbol.dispose]();
    return { sent, received: count };
  }
  let ended: ReturnType<typeof finish> | undefined;
  const end = () => (ended ??= finish());
  while (received() === 0) await turn();
  return {
    received,
    get sent() {
      return datagrams.sent;
    },
    end,
    [Symbol.asyncDispose]: async () => void (await end()),
  };
}
