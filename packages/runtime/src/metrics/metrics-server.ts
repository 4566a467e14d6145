import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Clock, systemClock, type Timer } from '../clock.ts';
import { whyNotListening } from '../json-server.ts';
import type { LifecyclePart } from '../lifecycle.ts';
import type { Logger } from '../logger.ts';
import { expositionFor } from './exposition.ts';
import type { Gathered } from './gather.ts';

export interface MetricsServerOptions {
  /** TCP, on all addresses of both families. */
  readonly port: number;
  readonly gather: () => Promise<Gathered>;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Who takes longer to ask, or reads nothing of the answer for so long, is cut off. Default 5 s. */
  readonly silenceMs?: number;
}

const retryMs = 10_000;
const connectionsMax = 32;
const silenceMsDefault = 5_000;

/**
 * `GET /metrics` for Prometheus. A port that cannot be had is no reason not to start: `problem` says why, and it is tried
 * again every 10 s. Scrapes at the same time share one answer.
 */
export class MetricsServer implements LifecyclePart {
  readonly name = 'metrics';
  readonly #options: MetricsServerOptions;
  readonly #clock: Clock;
  /** Undefined while the port answers. */
  problem: string | undefined = 'starting';
  #server: Server | undefined;
  #retry: Timer | undefined;
  #stopped = false;
  #gathering: Promise<Gathered> | undefined;
  /** Of the last scrape, to be told once. */
  #failures = '';

  constructor(options: MetricsServerOptions) {
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
    const { port, log, silenceMs = silenceMsDefault } = this.#options;
    const server = createServer(
      // Node looks at the two only so often: by default each half a minute.
      { headersTimeout: silenceMs, requestTimeout: silenceMs, connectionsCheckingInterval: silenceMs },
      (...exchange) => void this.#handle(...exchange),
    );
    server.timeout = silenceMs;
    server.keepAliveTimeout = silenceMs;
    server.maxConnections = connectionsMax;
    // Each answer lies in our memory until it is read: who sends a thousand requests and reads nothing gets one.
    server.maxRequestsPerSocket = 1;
    return new Promise((resolve) => {
      server.on('error', (error) => {
        server.close();
        this.#failed(error);
        resolve();
      });
      server.listen(port, () => {
        resolve();
        // Stopped while it began.
        if (this.#stopped) return void server.close();
        this.#server = server;
        this.problem = undefined;
        log.info({ port }, 'metrics are served');
      });
    });
  }

  #failed(error: NodeJS.ErrnoException): void {
    const { port, log } = this.#options;
    const problem = `port ${port}: ${whyNotListening(error)}; tried again every ${retryMs / 1000} s`;
    if (problem !== this.problem) log.warn({ port, error: error.message }, 'metrics cannot be served');
    this.problem = problem;
    this.#server = undefined;
    if (!this.#stopped) this.#retry = this.#clock.setTimeout(() => void this.#listen(), retryMs);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?')[0];
    if (path !== '/metrics') return refuse(response, 404, 'there is only /metrics');
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'only GET is answered');
    const { contentType, write } = expositionFor(request.headers.accept);
    try {
      const { values } = await this.#gather();
      response.writeHead(200, { 'content-type': contentType });
      response.end(request.method === 'HEAD' ? undefined : write(values));
    } catch (error) {
      this.#options.log.error({ error }, 'metrics could not be gathered');
      refuse(response, 500, error instanceof Error ? error.message : String(error));
    }
  }

  async #gather(): Promise<Gathered> {
    this.#gathering ??= this.#options.gather().finally(() => {
      this.#gathering = undefined;
    });
    const gathered = await this.#gathering;
    const failures = gathered.failures.map(({ name, error }) => `${name}: ${error}`).join('; ');
    if (failures !== '' && failures !== this.#failures) {
      this.#options.log.warn({ failures: gathered.failures }, 'metrics are left out');
    }
    this.#failures = failures;
    return gathered;
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}
