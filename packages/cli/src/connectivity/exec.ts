/**
 * `pods/exec` over a WebSocket, subprotocol v5.channel.k8s.io (KEP-4006): the first byte of each message names the
 * channel: 1 standard output, 2 standard error, 3 a Status object with the exit code.
 */
import { bearerToken, type KubeConfiguration, tlsOptions } from '@sluice/kube';
import { WebSocket } from 'ws';
import { CommandError } from '../command-error.ts';
import type { ExecTarget } from './cluster.ts';
import type { Outcome } from './verdict.ts';

const PROTOCOL = 'v5.channel.k8s.io';
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const TIMEOUT_MS = 15_000;
const OUTPUT_BYTES_MAX = 1 << 20;

export interface ExecLimits {
  /** Default 15 s. */
  readonly timeoutMs?: number;
  /** Of its output; default 1 MiB. */
  readonly bytesMax?: number;
}

/** Runs a command in a pod to its end; throws CommandError where the API server refuses or the connection breaks. */
export function execInPod(
  configuration: KubeConfiguration,
  target: ExecTarget,
  signal: AbortSignal,
  { timeoutMs = TIMEOUT_MS, bytesMax = OUTPUT_BYTES_MAX }: ExecLimits = {},
): Promise<Outcome> {
  const socket = new WebSocket(execUrl(configuration, target), [PROTOCOL], {
    ...tlsOptions(configuration),
    ...(configuration.serverName !== undefined && { servername: configuration.serverName }),
    headers: authorization(configuration),
    handshakeTimeout: TIMEOUT_MS,
    maxPayload: OUTPUT_BYTES_MAX,
  });
  return new Promise((resolve, reject) => {
    // Decoded at the end: a character may be cut in two.
    const output: Record<typeof STDOUT | typeof STDERR, Buffer[]> = { [STDOUT]: [], [STDERR]: [] };
    let size = 0;
    let exitCode: number | undefined;
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const fail = (why: string): void => {
      end();
      socket.terminate();
      reject(new CommandError(`exec in pod ${target.namespace}/${target.pod}: ${why}`));
    };
    const abort = (): void => fail('interrupted');
    signal.addEventListener('abort', abort);
    const timer = setTimeout(() => fail(`no end within ${timeoutMs / 1000} s: ${target.command.join(' ')}`), timeoutMs);
    socket.on('message', (data: Buffer) => {
      const channel = data[0];
      if (channel === STATUS) exitCode = exitCodeOf(data.subarray(1).toString('utf8'));
      if (channel !== STDOUT && channel !== STDERR) return;
      output[channel].push(data.subarray(1));
      size += data.length - 1;
      if (size > bytesMax) fail(`more than ${bytesMax} bytes of output: ${target.command.join(' ')}`);
    });
    socket.once('unexpected-response', (_request, response) => {
      response
        .setEncoding('utf8')
        .once('data', (body: string) => fail(`${response.statusCode ?? '?'} ${body.slice(0, 300)}`));
      response.once('end', () => fail(`the API server answers ${response.statusCode ?? '?'}`));
    });
    socket.once('error', (error) => fail(error.message));
    socket.once('close', () => {
      end();
      if (exitCode === undefined) fail("the connection ended without the command's exit status");
      else resolve({ exitCode, stdout: textOf(output[STDOUT]), stderr: textOf(output[STDERR]) });
    });
  });
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}

function execUrl({ servers }: KubeConfiguration, { namespace, pod, command }: ExecTarget): string {
  const url = new URL(
    `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`,
    servers[0],
  );
  url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:';
  url.searchParams.set('stdout', 'true');
  url.searchParams.set('stderr', 'true');
  for (const word of command) url.searchParams.append('command', word);
  return url.href;
}

function authorization(configuration: KubeConfiguration): Record<string, string> {
  const token = bearerToken(configuration);
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

interface ExecStatus {
  readonly status?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

/** Undefined for text that is no Status; 255 for one that does not tell how the command ended. */
function exitCodeOf(text: string): number | undefined {
  let status: ExecStatus;
  try {
    status = JSON.parse(text) as ExecStatus;
  } catch {
    return undefined;
  }
  if (status.status === 'Success') return 0;
  const code = status.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
  return code === undefined ? 255 : Number(code);
}
