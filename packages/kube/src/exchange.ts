import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { createGunzip } from 'node:zlib';
import type { Clock, Timer } from '@sluice/runtime';
import { KubeError } from './error.ts';

export interface ExchangeRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: string | undefined;
  readonly agent: Agent;
  readonly serverName?: string | undefined;
  readonly connectMs: number;
  readonly headerMs: number;
  /** Silence that ends the body. */
  readonly idleMs: number;
  /** From the head of the answer to the end of its body. */
  readonly bodyMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly listener?: ExchangeListener | undefined;
}

/** Who looks after the server that we speak with. */
export interface ExchangeListener {
  /** The exchange goes on until this is disposed of; `breakOff` ends it with that error. */
  begin(breakOff: (error: KubeError) => void): Disposable;
  /** Bytes came. */
  heard(): void;
}

export interface ExchangeResponse {
  readonly status: number;
  header(name: string): string | undefined;
  /** Decompressed; throws KubeError when the connection breaks or falls silent. Ends the connection when left early. */
  chunks(): AsyncGenerator<Buffer>;
  discard(): void;
}

/** Whether the server cannot have seen the request: it may be sent elsewhere whatever its method. */
export class NotConnectedError extends KubeError {}

/** One request to one server; resolves with the head of its answer. */
export function exchange(options: ExchangeRequest): Promise<ExchangeResponse> {
  const { url, method, headers, agent, body, serverName, signal, listener } = options;
  if (signal?.aborted) return Promise.reject(abortedError(options));
  const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
  const servername = serverName === undefined ? {} : { servername: serverName };
  const request = send(url, { method, headers: { ...headers }, agent, ...servername });
  return new Promise((resolve, reject) => {
    const progress = watchProgress(request, options);
    const onAbort = () => request.destroy(abortedError(options));
    signal?.addEventListener('abort', onAbort, { once: true });
    let answer: IncomingMessage | undefined;
    // Once there is an answer its reader gets the error, not the request.
    const attended = listener?.begin((error) => (answer ?? request).destroy(error));
    const onEnd = () => {
      signal?.removeEventListener('abort', onAbort);
      attended?.[Symbol.dispose]();
    };
    request.on('response', (response) => {
      progress.cancel();
      answer = response;
      listener?.heard();
      resolve(openResponse(response, options, onEnd));
    });
    request.on('error', (cause) => {
      progress.cancel();
      onEnd();
      reject(connectionError(cause, options, progress.connected));
    });
    request.end(body);
  });
}

// Two deadlines, one after the other: to be connected, then to be answered.
function watchProgress(request: ClientRequest, { clock, connectMs, headerMs, url }: ExchangeRequest) {
  let timer: Timer | undefined;
  let connected = false;
  const expect = (ms: number, failure: () => KubeError) => {
    timer?.cancel();
    timer = clock.setTimeout(() => request.destroy(failure()), ms);
  };
  const onConnected = () => {
    connected = true;
    expect(headerMs, () => silenceError(url, `no answer within ${headerMs} ms`));
  };
  request.on('socket', (socket) => {
    const pending = socket.connecting || (socket instanceof TLSSocket && !request.reusedSocket);
    if (!pending) onConnected();
    else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', onConnected);
  });
  expect(connectMs, () => timeoutError(url, `no connection within ${connectMs} ms`));
  return {
    cancel: () => timer?.cancel(),
    get connected() {
      return connected;
    },
  };
}

function openResponse(response: IncomingMessage, options: ExchangeRequest, onEnd: () => void): ExchangeResponse {
  const { clock, idleMs, bodyMs, url, listener } = options;
  response.once('close', onEnd);
  // An error may come while nobody reads; who reads gets it from the stream.
  response.on('error', () => undefined);
  return {
    status: response.statusCode ?? 0,
    header: (name) => {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    discard: () => void response.destroy(),
    async *chunks() {
      const body = decompressed(response);
      let timer = clock.setTimeout(() => undefined, idleMs);
      const rearm = () => {
        timer.cancel();
        timer = clock.setTimeout(() => response.destroy(silenceError(url, `silent for ${idleMs} ms`)), idleMs);
      };
      const deadline = clock.setTimeout(
        () => response.destroy(timeoutError(url, `the answer did not end within ${bodyMs} ms`)),
        bodyMs,
      );
      try {
        rearm();
        for await (const chunk of body) {
          rearm();
          listener?.heard();
          yield chunk;
        }
      } catch (cause) {
        throw connectionError(cause, options, true);
      } finally {
        timer.cancel();
        deadline.cancel();
        response.destroy();
      }
    },
  };
}

function decompressed(response: IncomingMessage): Readable {
  if (response.headers['content-encoding'] !== 'gzip') return response;
  return pipeline(response, createGunzip(), () => undefined);
}

function connectionError(cause: unknown, { url, method, signal }: ExchangeRequest, connected: boolean): KubeError {
  if (signal?.aborted) return new KubeError('aborted', `${method} ${url.pathname}: given up`, { cause });
  if (cause instanceof KubeError && connected) return cause;
  const text = cause instanceof Error ? cause.message || cause.name : String(cause);
  if (!connected) return new NotConnectedError('unreachable', `connect to ${url.host}: ${text}`, { cause });
  return new KubeError('unreachable', `connection to ${url.host} broke: ${text}`, { cause });
}

function timeoutError(url: URL, what: string): KubeError {
  return new KubeError('timeout', `${url.host}: ${what}`);
}

function silenceError(url: URL, what: string): KubeError {
  return new KubeError('silent', `${url.host}: ${what}`);
}

function abortedError({ method, url }: ExchangeRequest): KubeError {
  return new KubeError('aborted', `${method} ${url.pathname}: given up`);
}
