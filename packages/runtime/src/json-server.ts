import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Clock, systemClock, type Timer } from './clock.ts';

export interface JsonAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface JsonServerOptions {
  readonly port: number;
  /** Undefined: all addresses of both families. */
  readonly host?: string;
  /** Undefined: there is nothing at this path. */
  readonly answer: (path: string) => JsonAnswer | undefined;
  /** Told of each change of `problem`. */
  readonly onProblem?: (problem: string | undefined) => void;
  readonly clock?: Clock;
}

const retryMs = 10_000;
const connectionsMax = 32;
const silenceMs = 5_000;

/**
 * Short answers to whoever looks after us from outside, such as a load balancer. A port that cannot be had is no reason not
 * to start: `problem` says why, and it is tried again every 10 s.
 */
export class JsonServer {
  readonly #options: JsonServerOptions;
  readonly #clock: Clock;
  #problem: string | undefined = 'starting';
  #server: Server | undefined;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(options: JsonServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Undefined while the port answers. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves when the port answers, or cannot be had for now. */
  start(): Promise<void> {
    return this.#listen();
  }

  /** The port is free at once; resolves when its connections have ended, too. */
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
    const { port, host } = this.#options;
    const server = createServer(
      { headersTimeout: silenceMs, requestTimeout: silenceMs, connectionsCheckingInterval: silenceMs },
      (request, response) => this.#reply(request, response),
    );
    server.timeout = silenceMs;
    server.maxConnections = connectionsMax;
    server.maxRequestsPerSocket = 1;
    this.#server = server;
    return new Promise((resolve) => {
      server.on('error', (error) => {
        server.close();
        this.#failed(error);
        resolve();
      });
      server.listen({ port, ...(host !== undefined && { host }) }, () => {
        this.#tell(undefined);
        resolve();
      });
    });
  }

  #failed(error: NodeJS.ErrnoException): void {
    this.#server = undefined;
    this.#tell(`port ${this.#options.port}: ${whyNotListening(error)}; tried again every ${retryMs / 1000} s`);
    if (!this.#stopped) this.#retry = this.#clock.setTimeout(() => void this.#listen(), retryMs);
  }

  #tell(problem: string | undefined): void {
    if (this.#stopped || problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem?.(problem);
  }

  #reply({ url = '/' }: IncomingMessage, response: ServerResponse): void {
    const { status, body, headers } = this.#options.answer(url.split('?')[0] ?? '/') ?? notFound;
    response.writeHead(status, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff', ...headers });
    response.end(`${JSON.stringify(body)}\n`);
  }
}

const notFound: JsonAnswer = { status: 404, body: { error: 'there is nothing here' } };

/** Why a port cannot be had. */
export function whyNotListening({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'another process has it';
  if (code === 'EACCES') return 'ports below 1024 need the right CAP_NET_BIND_SERVICE';
  return message;
}
