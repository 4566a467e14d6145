/** HTTP over the agent's unix socket: the only way in which the commands learn anything of a node. */
import { statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { dirname } from 'node:path';
import { lastFailure } from '@sluice/runtime';
import { CommandError } from './command-error.ts';
import { type Shape, ShapeError, shaped } from './shape.ts';

export const SOCKET_DEFAULT = '/run/sluice/sluice.sock';
const TIMEOUT_MS = 5_000;
/** Characters of a row, and of an answer that is one value: a frontend with 250,000 backends has some 30 million. */
const LINE_MAX = 128 << 20;
const ANSWER_MAX = 256 << 20;
/** An agent says something every two seconds while it streams, be it an empty line. */
const SILENCE_MS = 7_000;

export interface AgentClient {
  readonly socket: string;
  /** JSON of an endpoint such as `/status`; throws CommandError that says what to do. */
  get<Value>(path: string, shape: Shape<Value>, options?: GetOptions): Promise<Value>;
  /** One parsed value a line, to the end of the answer; throws when it is cut off. */
  rows<Value>(path: string, shape: Shape<Value>, options?: RowsOptions): Promise<Value[]>;
  /** The same one by one, for who does not want to hold them all. */
  each<Value>(path: string, shape: Shape<Value>): AsyncIterable<Value>;
  /** One parsed value a line, until the reader has enough, or the signal ends it; throws when the agent ends or stands still. */
  stream<Value>(path: string, shape: Shape<Value>, options?: StreamOptions): AsyncIterable<Value>;
}

export interface StreamOptions {
  /** The agent has taken the question; nothing may have come yet. */
  readonly onOpen?: () => void;
}

export interface RowsOptions {
  /** The first so many are enough; default: all. */
  readonly max?: number;
}

export interface GetOptions {
  /** How long the answer may take; default 5 s. */
  readonly timeoutMs?: number;
}

export interface AgentClientOptions {
  /** How long a stream may be without a byte; default 7 s. */
  readonly silenceMs?: number;
}

export function agentClient(
  socket: string,
  signal: AbortSignal,
  { silenceMs = SILENCE_MS }: AgentClientOptions = {},
): AgentClient {
  return {
    socket,
    get: async (path, shape, { timeoutMs = TIMEOUT_MS } = {}) => {
      const response = await send({ socket, path, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
      return parse(await text(socket, response), path, shape);
    },
    rows: async (path, shape, { max = Infinity } = {}) => {
      const rows = [];
      for await (const row of lines({ socket, path, signal, silenceMs }, shape)) {
        if (rows.push(row) >= max) break;
      }
      return rows;
    },
    each: (path, shape) => lines({ socket, path, signal, silenceMs }, shape),
    stream: (path, shape, options) => endless({ socket, path, signal, silenceMs, ...options }, shape),
  };
}

interface Question extends StreamOptions {
  readonly socket: string;
  readonly path: string;
  readonly signal: AbortSignal;
  /** The longest time without a byte. */
  readonly silenceMs?: number;
}

async function* lines<Value>(question: Question, shape: Shape<Value>): AsyncIterable<Value> {
  const { socket, path } = question;
  const response = await send(question);
  question.onOpen?.();
  let rest = '';
  for await (const chunk of chunksOf(socket, response)) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > LINE_MAX) throw tooLarge(socket, path);
    for (const part of parts) if (part !== '') yield parse(part, path, shape);
  }
  if (rest !== '') yield parse(rest, path, shape);
}

async function* endless<Value>(question: Question, shape: Shape<Value>): AsyncIterable<Value> {
  const { socket, signal } = question;
  yield* lines(question, shape);
  if (!signal.aborted) throw new CommandError(`agent at ${socket}: ended the answer; it may have been restarted`);
}

/** Throws CommandError when the agent goes away in the middle of its answer. */
async function* chunksOf(socket: string, response: IncomingMessage): AsyncIterable<string> {
  response.setEncoding('utf8');
  try {
    for await (const chunk of response) yield String(chunk);
  } catch (error) {
    throw unreachable(socket, error as NodeJS.ErrnoException);
  }
}

async function send({ socket, path, signal, silenceMs }: Question): Promise<IncomingMessage> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath: socket, path, signal, ...(silenceMs && { timeout: silenceMs }) }, (answer) => {
      sent.once('timeout', () => answer.destroy(silence(silenceMs)));
      resolve(answer);
    });
    sent.once('timeout', () => sent.destroy(silence(silenceMs)));
    sent.once('error', (error: NodeJS.ErrnoException) => reject(unreachable(socket, error)));
    sent.end();
  });
  if (response.statusCode === 200) return response;
  const body = await text(socket, response);
  // The question was wrong, and the answer says how.
  if (response.statusCode === 400) throw new CommandError(messageOf(body), { exitCode: 2 });
  throw new CommandError(`agent answers ${response.statusCode ?? '?'} to ${path}: ${messageOf(body)}`);
}

function silence(ms = 0): Error {
  return new Error(
    `silent for ${ms / 1000} s: the process is there and stands still (stopped, or without a processor)`,
  );
}

function unreachable(socket: string, error: NodeJS.ErrnoException): CommandError {
  const next: Record<string, string> = {
    ENOENT:
      'no agent runs here; on a lab: `sluice lab exec NODE -- sluice …`; elsewhere give --socket or SLUICE_SOCKET',
    ECONNREFUSED: isSocket(socket)
      ? 'the agent has ended or is being started; see its log'
      : 'it is no unix socket, and so not that of an agent',
    ECONNRESET: 'the agent ended while it answered; see its log',
    EACCES: 'only root may ask the agent',
    EINVAL: 'this can be no unix socket: its path is empty, or longer than 107 bytes',
  };
  const failed = error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? lastFailure(dirname(socket)) : undefined;
  if (failed) {
    const seconds = Math.max(0, Math.round((Date.now() - failed.at) / 1000));
    return new CommandError(`agent at ${socket}: it does not start: ${failed.message} (${seconds} s ago; see its log)`);
  }
  const hint =
    next[error.code ?? ''] ?? (error.name === 'AbortError' ? `no answer within ${TIMEOUT_MS / 1000} s` : error.message);
  return new CommandError(`agent at ${socket}: ${hint}`, { cause: error });
}

async function text(socket: string, response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of chunksOf(socket, response)) {
    body += chunk;
    if (body.length > ANSWER_MAX) throw tooLarge(socket, 'a question');
  }
  return body;
}

/** Connecting to a file of another kind is refused as well. */
function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? true;
}

function tooLarge(socket: string, path: string): CommandError {
  return new CommandError(`agent at ${socket}: its answer to ${path} is larger than an agent's ever is`);
}

function parse<Value>(body: string, path: string, shape: Shape<Value>): Value {
  try {
    return shaped(JSON.parse(body), shape);
  } catch (error) {
    if (!(error instanceof ShapeError)) {
      throw new CommandError(`agent's answer to ${path} is no JSON: ${body.slice(0, 80)}`, { cause: error });
    }
    const other = 'is the agent of another version than this command? `sluice version` tells';
    throw new CommandError(`agent's answer to ${path} is not understood: ${error.message}; ${other}`, { cause: error });
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
