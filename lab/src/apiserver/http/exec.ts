import type { IncomingMessage } from 'node:http';
import { type Duplex, PassThrough, Writable } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { ApiError, type Status } from '../api-error.ts';
import type { Pod } from '../kinds/types.ts';
import type { PodHooks } from '../server.ts';
import { chosenContainer } from './logs.ts';
import { booleanParameter } from './selection.ts';

/** Channels of the remote command protocol: the first byte of each message. Close is new in v5. */
const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** Runs a command in a pod over a web socket, as `kubectl exec` speaks it. */
export function serveExec(
  hooks: PodHooks,
  { pod, query }: { pod: Pod; query: URLSearchParams },
  connection: { request: IncomingMessage; socket: Duplex; head: Buffer },
): void {
  const container = chosenContainer(pod, query.get('container'));
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
  server.handleUpgrade(connection.request, connection.socket, connection.head, (socket) => {
    void run(hooks, { pod, container, query }, socket);
  });
}

async function run(
  hooks: PodHooks,
  { pod, container, query }: { pod: Pod; container: string; query: URLSearchParams },
  socket: WebSocket,
): Promise<void> {
  const abort = new AbortController();
  const stdin = booleanParameter(query, 'stdin') ? new PassThrough() : undefined;
  let onResize: ((size: { width: number; height: number }) => void) | undefined;
  socket.on('close', () => abort.abort());
  socket.on('message', (data: Buffer) => {
    if (data[0] === channel.stdin) stdin?.write(data.subarray(1));
    else if (data[0] === channel.close && data[1] === channel.stdin) stdin?.end();
    else if (data[0] === channel.resize) onResize?.(readSize(data.subarray(1)));
  });
  socket.on('close', () => stdin?.end());
  let status: object;
  try {
    if (booleanParameter(query, 'tty'))
      throw new ApiError(400, 'BadRequest', "the lab's pods have no terminal: use -i without -t");
    if (!hooks.podExec) throw new Error('no kubelet answers for this pod');
    const { exitCode } = await hooks.podExec(pod, {
      container,
      command: query.getAll('command'),
      tty: false,
      stdin,
      stdout: output(socket, channel.stdout),
      stderr: output(socket, channel.stderr),
      onResize: (listener) => {
        onResize = listener;
      },
      signal: abort.signal,
    });
    status = exitStatus(exitCode);
  } catch (error) {
    const refusal =
      error instanceof ApiError
        ? error
        : new ApiError(500, 'InternalError', error instanceof Error ? error.message : String(error));
    status = refusal.toStatus();
  }
  if (socket.readyState !== socket.OPEN) return;
  socket.send(Buffer.concat([Buffer.from([channel.error]), Buffer.from(JSON.stringify(status))]));
  socket.close(1000);
}

function output(socket: WebSocket, number: number): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (socket.readyState !== socket.OPEN) return done();
      socket.send(Buffer.concat([Buffer.from([number]), chunk]), () => done());
    },
  });
}

function readSize(data: Buffer): { width: number; height: number } {
  const { Width = 80, Height = 24 }: { Width?: number; Height?: number } = JSON.parse(data.toString());
  return { width: Width, height: Height };
}

function exitStatus(exitCode: number): Partial<Status> {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: error executing command, exit code ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode), field: '' }] },
  };
}
