import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Clock, systemClock, type Timer } from './clock.ts';
import type { LifecyclePart } from './lifecycle.ts';
import type { Logger } from './logger.ts';

export interface HealthServerOptions {
  readonly port: number;
  /** Why the process cannot do its work yet; undefined: it can. */
  readonly unready: () => string | undefined;
  readonly log: Logger;
  readonly clock?: Clock;
}

const host = '127.0.0.1';
const retryMs = 10_000;
const connectionsMax = 16;
const silenceMs = 5_000;

/**
 * What the kubelet asks on the node itself: `/healthz` answers while we run, `/readyz` says why we are not ready. A port that
 * cannot be had is tried again every 10 s; until then the kubelet finds us unhealthy, as the log explains.
 */
export class HealthServer implements LifecyclePart {
  readonly name = 'health';
  readonly #options: HealthServerOptions;
  readonly #clock: Clock;
  #server: Server | undefined;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(options: HealthServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  start(): Promise<void> {
    return this.#listen();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    const server = this.#server;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  #listen(): Promise<void> {
    const { port, log } = this.#options;
    const limits = { headersTimeout: silenceMs, requestTimeout: silenceMs };
    const server = createServer(limits, (request, response) => this.#answer(request, response));
    server.maxConnections = connectionsMax;
    return new Promise((resolve) => {
      server.once('error', (error) => {
        log.error({ port, error }, 'the health port cannot be had: the kubelet finds us unhealthy until it is free');
        if (!this.#stopped) this.#retry = this.#clock.setTimeout(() => void this.#listen(), retryMs);
        resolve();
      });
      server.listen({ port, host }, () => {
        this.#server = server;
        resolve();
      });
    });
  }

  #answer({ url }: IncomingMessage, response: ServerResponse): void {
    const unready = url === '/readyz' ? this.#options.unready() : undefined;
    if (url !== '/readyz' && url !== '/healthz') reply(response, 404, 'there are /healthz and /readyz');
    else if (unready !== undefined) reply(response, 503, unready);
    else reply(response, 200, 'ok');
  }
}

function reply(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' });
  response.end(`${text}\n`);
}
