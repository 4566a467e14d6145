import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { peerCredentials } from '@sluice/ffi';
import { type Clock, type Logger, listenPrivately, type PrivateSocket, systemClock } from '@sluice/runtime';
import { QueryError } from './query.ts';

/**
 * Answers a path with something that JSON can hold, or with an async iterable of such, a line each; throwing means 500,
 * or 400 if it is a QueryError, undefined 404.
 */
export type Answer = (url: URL) => unknown;

/** Sends lines until the client leaves; returns what ends it. */
export type Stream = (url: URL, send: (line: unknown) => void) => Disposable;

export interface LocalApiOptions {
  readonly path: string;
  /** By the first part of the path: `status`, `tables`. */
  readonly answers: Readonly<Record<string, Answer>>;
  readonly streams: Readonly<Record<string, Stream>>;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Told of each answer; of streams not. */
  readonly onAnswer?: (answer: ApiAnswer) => void;
}

export interface ApiAnswer {
  /** The first part: `/tables` of `/tables/nodes`. */
  readonly path: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
}

export interface LocalApi {
  readonly socket: PrivateSocket;
  close(): Promise<void>;
}

const connectionsMax = 64;
/** Who comes when all places are taken is told so; of those, too, there is an end. */
const refusalsMax = 64;
/** What a client that does not read may cost us before its lines are dropped. */
const streamBytesMax = 1 << 20;
/** Rows are sent in pieces of this size: a system call for each row would cost more than the row. */
const rowsTextMax = 1 << 15;
/** A stream says an empty line as often: who hears none for long knows that we stand still, not that nothing happens. */
const streamPulseMs = 2_000;

/** HTTP on a unix socket that only root can open: what the command line asks. Read-only. */
export async function startLocalApi(options: LocalApiOptions): Promise<LocalApi> {
  const places = new Set<Socket>();
  const server = createServer({ keepAlive: false }, (request, response) => {
    if (places.has(request.socket)) handle(request, response, options);
    else refuseForNow(response);
  });
  server.maxConnections = connectionsMax + refusalsMax;
  server.on('connection', (socket) => {
    if (peerCredentials(socket).uid !== 0) socket.destroy();
    else if (places.size < connectionsMax) places.add(socket);
    socket.once('close', () => places.delete(socket));
  });
  const socket = await listenPrivately(server, options.path);
  return {
    socket,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Whether somebody answers on a unix socket: two agents on one node would undo each other's work. */
export function someoneListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function handle(request: IncomingMessage, response: ServerResponse, options: LocalApiOptions): void {
  const { answers, streams, log, clock = systemClock } = options;
  const url = URL.parse(request.url ?? '/', 'http://agent');
  if (!url) {
    reply(response, 400, { error: `${request.url} is no path; there are ${paths(answers, streams)}` });
    return;
  }
  const name = url.pathname.split('/')[1] ?? '';
  const stream = Object.hasOwn(streams, name) ? streams[name] : undefined;
  const answer = Object.hasOwn(answers, name) ? answers[name] : undefined;
  if (request.method !== 'GET') reply(response, 405, { error: 'the local API only answers GET' });
  else if (stream) startStream(response, (send) => stream(url, send), { clock, log });
  else if (answer) {
    measure(`/${name}`, { request, response, options });
    void answerWith(response, () => answer(url), log);
  } else reply(response, 404, { error: `there is no ${url.pathname}; there are ${paths(answers, streams)}` });
}

/** Until the last byte is handed over, or the client is gone. */
function measure(
  path: string,
  exchange: { readonly request: IncomingMessage; readonly response: ServerResponse; readonly options: LocalApiOptions },
): void {
  const { request, response, options } = exchange;
  const { onAnswer, clock = systemClock } = options;
  const [method, beganNs] = [request.method ?? '', clock.monotonicNs()];
  response.once('close', () => {
    const seconds = Number(clock.monotonicNs() - beganNs) / 1e9;
    onAnswer?.({ path, method, status: response.statusCode, seconds });
  });
}

async function answerWith(response: ServerResponse, answer: () => unknown, log: Logger): Promise<void> {
  try {
    const body = await answer();
    if (body === undefined) reply(response, 404, { error: 'there is no such thing' });
    else if (isRows(body)) await sendRows(response, body);
    else reply(response, 200, body);
  } catch (error) {
    refuse(response, error, log);
  }
}

function refuse(response: ServerResponse, error: unknown, log: Logger): void {
  const isTheirs = error instanceof QueryError;
  if (!isTheirs) log.error({ error }, 'the local API could not answer');
  // In the middle of an answer only a broken connection tells that it is not whole.
  if (response.headersSent) response.destroy();
  else reply(response, isTheirs ? 400 : 500, { error: error instanceof Error ? error.message : String(error) });
}

function refuseForNow(response: ServerResponse): void {
  response.shouldKeepAlive = false;
  reply(response, 503, {
    error: `${connectionsMax} clients ask already, who do not leave or do not read; "ss -xp" shows them`,
  });
}

function isRows(body: unknown): body is AsyncIterable<unknown> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

/** As fast as the client reads: a long table must not lie in our memory as text. */
async function sendRows(response: ServerResponse, rows: AsyncIterable<unknown>): Promise<void> {
  let text = '';
  const send = async (): Promise<void> => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    if (text !== '' && !response.write(text)) await drained(response);
    text = '';
  };
  for await (const row of rows) {
    text += `${JSON.stringify(row, plainBigint)}\n`;
    if (text.length > rowsTextMax) await send();
    if (response.destroyed) return;
  }
  await send();
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body, plainBigint)}\n`);
}

function startStream(
  response: ServerResponse,
  open: (send: (line: unknown) => void) => Disposable,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): void {
  let lost = 0;
  const send = (line: unknown): void => {
    if (response.writableLength > streamBytesMax) {
      lost += 1;
      return;
    }
    if (lost > 0) response.write(`${JSON.stringify({ type: 'lost', count: lost })}\n`);
    lost = 0;
    response.write(`${JSON.stringify(line, plainBigint)}\n`);
  };
  response.setHeader('content-type', 'application/x-ndjson');
  let stream: Disposable;
  try {
    stream = open(send);
  } catch (error) {
    refuse(response, error, log);
    return;
  }
  response.flushHeaders();
  const pulse = () => {
    if (response.writableLength === 0) response.write('\n');
    timer = clock.setTimeout(pulse, streamPulseMs);
  };
  let timer = clock.setTimeout(pulse, streamPulseMs);
  response.once('close', () => {
    timer.cancel();
    stream[Symbol.dispose]();
  });
}

function paths(answers: object, streams: object): string {
  return [...Object.keys(answers), ...Object.keys(streams)].map((name) => `/${name}`).join(', ');
}

/** As a number where that is exact, otherwise as text. */
function plainBigint(_: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= 0n ? Number(value) : String(value);
}
