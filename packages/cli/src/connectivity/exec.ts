/**
 * `pods/exec` over a WebSocket, subprotocol v5.channel.k8s.io (KEP-4006): the first byte of each message names the
 * channel: 1 standard output, 2 standard error, 3 a Status object with the exit code.
 */
import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import type { ConnectionProof } from '@sluice/kube';
import { WebSocket } from 'ws';
import type { ClusterAccess } from '../cluster-access.ts';
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
  /** Gets the standard output as it comes, in the place of the outcome. */
  readonly stdout?: Writable;
}

/** Runs a command in a pod to its end; throws CommandError where the API server refuses or the connection breaks. */
export async function execInPod(
  access: ClusterAccess,
  target: ExecTarget,
  signal: AbortSignal,
  limits: ExecLimits = {},
): Promise<Outcome> {
  const proof = await access.client.proof(signal);
  try {
    return await execOnce({ access, target, proof }, signal, limits);
  } catch (error) {
    if (!(error instanceof Refused) || !(await access.client.renewProof(proof, signal))) throw error;
    return execOnce({ access, target, proof: await access.client.proof(signal) }, signal, limits);
  }
}

/** The API server does not know who we are (401): nothing has run. */
class Refused extends CommandError {}

interface Execution {
  readonly access: ClusterAccess;
  readonly target: ExecTarget;
  readonly proof: ConnectionProof;
}

function execOnce(
  { access, target, proof }: Execution,
  signal: AbortSignal,
  { timeoutMs = TIMEOUT_MS, bytesMax = OUTPUT_BYTES_MAX, stdout }: ExecLimits,
): Promise<Outcome> {
  const socket = new WebSocket(execUrl(access.configuration.servers[0] ?? '', target), [PROTOCOL], {
    agent: proof.agent,
    headers: proof.headers,
    ...(proof.serverName !== undefined && { servername: proof.serverName }),
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
    const fail = (why: string, Kind = CommandError): void => {
      end();
      socket.terminate();
      reject(new Kind(`exec in pod ${target.namespace}/${target.pod}: ${why}`));
    };
    const abort = (): void => fail('interrupted');
    signal.addEventListener('abort', abort);
    const timer = setTimeout(() => fail(`no end within ${timeoutMs / 1000} s: ${target.command.join(' ')}`), timeoutMs);
    const take = (channel: typeof STDOUT | typeof STDERR, chunk: Buffer): void => {
      if (channel === STDERR || stdout === undefined) output[channel].push(chunk);
      else if (!stdout.write(chunk)) {
        socket.pause();
        stdout.once('drain', () => socket.resume());
      }
    };
    socket.on('message', (data: Buffer) => {
      const channel = data[0];
      if (channel === STATUS) exitCode = exitCodeOf(data.subarray(1).toString('utf8'));
      if (channel !== STDOUT && channel !== STDERR) return;
      size += data.length - 1;
      if (size > bytesMax) fail(`more than ${bytesMax} bytes of output: ${target.command.join(' ')}`);
      else take(channel, data.subarray(1));
    });
    stdout?.once('close', () => fail('its output cannot be read any further'));
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      const Kind = response.statusCode === 401 ? Refused : CommandError;
      const code = response.statusCode ?? '?';
      response.setEncoding('utf8').once('data', (body: string) => fail(`${code} ${messageOf(body)}`, Kind));
      response.once('end', () => fail(`the API server answers ${code}`, Kind));
    });
    socket.once('error', (error) => fail(error.message));
    socket.once('close', () => {
      end();
      if (exitCode === undefined) fail("the connection ended without the command's exit status");
      else resolve({ exitCode, stdout: textOf(output[STDOUT]), stderr: textOf(output[STDERR]) });
    });
  });
}

/** What a Status says, or the beginning of whatever it is. */
function messageOf(body: string): string {
  try {
    const { message } = JSON.parse(body) as { readonly message?: unknown };
    if (typeof message === 'string') return message.slice(0, 300);
  } catch {
    // No Status: told as it is.
  }
  return body.slice(0, 300).trim();
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}

/** The server's URL may have a path of its own before ours. */
function execUrl(server: string, { namespace, pod, container, command }: ExecTarget): string {
  const url = new URL(
    `${server}/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`,
  );
  url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:';
  url.searchParams.set('stdout', 'true');
  url.searchParams.set('stderr', 'true');
  if (container !== undefined) url.searchParams.set('container', container);
  for (const word of command) url.searchParams.append('command', word);
  return url.href;
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
