/** HTTP over the agent's unix socket: the only way in which the commands learn anything of a node. */
import { type IncomingMessage, request } from 'node:http';
import { CommandError } from './command-error.ts';

export const SOCKET_DEFAULT = '/run/sluice/sluice.sock';
const TIMEOUT_MS = 5_000;

export interface AgentClient {
  readonly socket: string;
  /** JSON of an endpoint such as `/status`; throws CommandError that says what to do. */
  get(path: string): Promise<unknown>;
  /** One parsed value a line, until the agent or the signal ends it. */
  stream(path: string, signal: AbortSignal): AsyncIterable<unknown>;
}

export function agentClient(socket: string): AgentClient {
  return {
    socket,
    get: async (path) => {
      const response = await send(socket, path, AbortSignal.timeout(TIMEOUT_MS));
      return parse(await text(response), path);
    },
    stream: (path, signal) => lines(socket, path, signal),
  };
}

async function* lines(socket: string, path: string, signal: AbortSignal): AsyncIterable<unknown> {
  const response = await send(socket, path, signal);
  let rest = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) if (part !== '') yield parse(part, path);
  }
}

async function send(socket: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath: socket, path, signal }, resolve);
    sent.once('error', (error: NodeJS.ErrnoException) => reject(unreachable(socket, error)));
    sent.end();
  });
  if (response.statusCode === 200) return response;
  const body = await text(response);
  throw new CommandError(`agent answers ${response.statusCode ?? '?'} to ${path}: ${messageOf(body)}`);
}

function unreachable(socket: string, error: NodeJS.ErrnoException): CommandError {
  const next: Record<string, string> = {
    ENOENT:
      'no agent runs here; on a lab: `sluice lab exec NODE -- sluice …`; elsewhere give --socket or SLUICE_SOCKET',
    ECONNREFUSED: 'the agent has ended or is being started; see its log',
    EACCES: 'only root may ask the agent',
  };
  const hint =
    next[error.code ?? ''] ?? (error.name === 'AbortError' ? `no answer within ${TIMEOUT_MS / 1000} s` : error.message);
  return new CommandError(`agent at ${socket}: ${hint}`, { cause: error });
}

async function text(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function parse(body: string, path: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new CommandError(`agent's answer to ${path} is no JSON: ${body.slice(0, 80)}`, { cause: error });
  }
}

function messageOf(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null && 'error' in parsed) return String(parsed.error);
  } catch {
    // Not JSON: the text itself is the message.
  }
  return body.trim().slice(0, 200);
}
