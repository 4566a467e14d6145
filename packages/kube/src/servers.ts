import type { Clock, Logger, Timer } from '@sluice/runtime';

export interface ServerStatus {
  readonly url: string;
  readonly usable: boolean;
  /** Whether requests go there now. */
  readonly current: boolean;
  readonly lastError: string | undefined;
}

interface Server {
  readonly url: string;
  lastError: string | undefined;
  failed: boolean;
}

export interface ServersOptions {
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly probeMs: number;
  /** Resolves when the server answers. */
  readonly probe: (url: string) => Promise<void>;
}

/**
 * API servers in order of preference. Who fails is passed over; in the background it is asked until it answers, and then
 * preferred again: no request ever waits to find that out.
 */
export class Servers {
  readonly #options: ServersOptions;
  readonly #servers: readonly Server[];
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: ServersOptions) {
    if (options.urls.length === 0) throw new Error('no API server address: set k8sServiceHost, or give a kubeconfig');
    this.#options = options;
    this.#servers = options.urls.map((url) => ({ url: checkedUrl(url), lastError: undefined, failed: false }));
  }

  /** The best one that is not among `tried`; a failed one rather than none. */
  pick(tried: ReadonlySet<string>): string | undefined {
    const left = this.#servers.filter((server) => !tried.has(server.url));
    return (left.find((server) => !server.failed) ?? left[0])?.url;
  }

  succeeded(url: string): void {
    const server = this.#find(url);
    if (!server?.failed) return;
    server.failed = false;
    if (this.#servers.length > 1) this.#options.log.info({ server: url }, 'API server is back');
  }

  failed(url: string, error: unknown): void {
    const server = this.#find(url);
    if (!server) return;
    server.lastError = error instanceof Error ? error.message : String(error);
    if (server.failed) return;
    server.failed = true;
    if (this.#servers.length > 1)
      this.#options.log.warn({ server: url, error }, 'API server fails, using the next one');
    this.#scheduleProbe();
  }

  status(): readonly ServerStatus[] {
    const current = this.pick(new Set());
    return this.#servers.map(({ url, failed, lastError }) => ({
      url,
      usable: !failed,
      current: url === current,
      lastError,
    }));
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  // Alone, a server needs no probe: the next request is one.
  #scheduleProbe(): void {
    if (this.#closed || this.#timer || this.#servers.length === 1) return;
    this.#timer = this.#options.clock.setTimeout(() => void this.#probeFailed(), this.#options.probeMs);
  }

  async #probeFailed(): Promise<void> {
    const failed = this.#servers.filter((server) => server.failed);
    await Promise.all(
      failed.map(({ url }) =>
        this.#options.probe(url).then(
          () => this.succeeded(url),
          (error: unknown) => this.failed(url, error),
        ),
      ),
    );
    this.#timer = undefined;
    if (this.#servers.some((server) => server.failed)) this.#scheduleProbe();
  }

  #find(url: string): Server | undefined {
    return this.#servers.find((server) => server.url === url);
  }
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new Error(`${JSON.stringify(text)} is not the address of an API server, such as https://10.10.30.10:6443`);
  }
  return url.href.replace(/\/$/, '');
}
