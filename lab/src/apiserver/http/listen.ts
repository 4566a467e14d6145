import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { ApiError, noSuchPath, notFound, unauthorized } from '../api-error.ts';
import type { Cluster } from '../cluster.ts';
import type { Listener, PodHooks } from '../server.ts';
import { serveExec } from './exec.ts';
import { type requestHandler, userOf } from './handler.ts';
import { parsePath } from './path.ts';

export interface Front {
  address: AddressInfo;
  close(): Promise<void>;
}

interface FrontOptions {
  certificate: string;
  key: string;
  ca: string;
  handle: ReturnType<typeof requestHandler>;
  hooks: PodHooks;
  cluster: Cluster;
}

/** One TLS socket that serves the cluster. Client certificates are asked for; who has none gets a 401, not a broken handshake. */
export async function listen(listener: Listener, options: FrontOptions): Promise<Front> {
  const { certificate, key, ca, handle } = options;
  const server = createServer(
    {
      cert: certificate,
      key,
      ca,
      requestCert: true,
      rejectUnauthorized: false,
      keepAliveTimeout: 120_000,
      requestTimeout: 0,
    },
    handle,
  );
  server.on('upgrade', (request, socket, head) => upgrade(options, { request, socket, head }));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen('fd' in listener ? { fd: listener.fd } : { host: listener.host, port: listener.port }, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the API server listens on a TCP socket only');
  return { address, close: () => close(server) };
}

function upgrade(
  { cluster, hooks }: FrontOptions,
  connection: { request: IncomingMessage; socket: Duplex; head: Buffer },
): void {
  const { request, socket } = connection;
  socket.on('error', () => socket.destroy());
  try {
    if (!userOf(request)) throw unauthorized();
    const url = new URL(request.url ?? '/', 'https://server');
    const route = parsePath(url.pathname);
    if (route.type !== 'resource' || route.plural !== 'pods' || route.subresource !== 'exec' || !route.name)
      throw noSuchPath();
    const pod = cluster.get('pods', route.name, route.namespace);
    if (!pod) throw notFound({ group: '', plural: 'pods', kind: 'Pod' }, route.name);
    serveExec(hooks, { pod, query: url.searchParams }, connection);
  } catch (error) {
    const refusal = error instanceof ApiError ? error : new ApiError(500, 'InternalError', String(error));
    const body = JSON.stringify(refusal.toStatus());
    socket.end(
      `HTTP/1.1 ${refusal.code} ${refusal.reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
