import type { Clock, Timer } from '@sluice/runtime';
import { KubeError } from './error.ts';

export interface PulseOptions {
  readonly clock: Clock;
  /** Silence after which a server is asked whether it is still there. */
  readonly quietMs: number;
  /** Resolves with any answer at all. */
  readonly ask: (url: string) => Promise<void>;
  /** The server did not answer; everything that waited for it was broken off. */
  readonly onSilent: (url: string, error: KubeError) => void;
}

interface Server {
  readonly waiting: Set<(error: KubeError) => void>;
  heardAtMs: number;
  /** Until the next look; none while nobody waits, nor while the server is being asked. */
  timer: Timer | undefined;
  asking: boolean;
}

/**
 * Finds servers that hold our connections but no longer answer. Kubernetes sends a bookmark a minute, so the silence of a
 * watch says nothing for a long time; a question settles it. Only a server that somebody waits for and that has told us
 * nothing for a while is asked: in a busy cluster that is never. client-go does the same with HTTP/2 pings.
 */
export class Pulse {
  readonly #options: PulseOptions;
  readonly #servers = new Map<string, Server>();

  constructor(options: PulseOptions) {
    this.#options = options;
  }

  /** The server sent something, whatever it was. */
  heard(url: string): void {
    const server = this.#servers.get(url);
    if (server) server.heardAtMs = this.#nowMs();
  }

  /** Until disposed of, somebody waits for this server to speak; `breakOff` is called when it is found to be silent. */
  wait(url: string, breakOff: (error: KubeError) => void): Disposable {
    const server = this.#server(url);
    if (server.waiting.size === 0) server.heardAtMs = this.#nowMs();
    server.waiting.add(breakOff);
    if (!server.timer && !server.asking) this.#arm(url, server);
    return { [Symbol.dispose]: () => this.#waitNoMore(server, breakOff) };
  }

  close(): void {
    for (const { timer } of this.#servers.values()) timer?.cancel();
    this.#servers.clear();
  }

  #waitNoMore(server: Server, breakOff: (error: KubeError) => void): void {
    server.waiting.delete(breakOff);
    if (server.waiting.size > 0) return;
    server.timer?.cancel();
    server.timer = undefined;
  }

  #server(url: string): Server {
    const server = this.#servers.get(url) ?? { waiting: new Set(), heardAtMs: 0, timer: undefined, asking: false };
    this.#servers.set(url, server);
    return server;
  }

  #arm(url: string, server: Server): void {
    const leftMs = server.heardAtMs + this.#options.quietMs - this.#nowMs();
    server.timer = this.#options.clock.setTimeout(() => void this.#look(url, server), Math.max(0, leftMs));
  }

  async #look(url: string, server: Server): Promise<void> {
    server.timer = undefined;
    if (this.#nowMs() - server.heardAtMs >= this.#options.quietMs) await this.#question(url, server);
    const closed = this.#servers.get(url) !== server;
    if (!closed && server.waiting.size > 0) this.#arm(url, server);
  }

  async #question(url: string, server: Server): Promise<void> {
    const { heardAtMs } = server;
    server.asking = true;
    try {
      await this.#options.ask(url);
      server.heardAtMs = this.#nowMs();
    } catch (cause) {
      // It spoke while we asked: slow, but there.
      if (server.heardAtMs !== heardAtMs || this.#servers.get(url) !== server) return;
      const silentMs = this.#nowMs() - heardAtMs;
      server.heardAtMs = this.#nowMs();
      const text = cause instanceof Error ? cause.message : String(cause);
      const silence = `${new URL(url).host}: silent for ${Math.round(silentMs / 1000)} s, and no answer to a question`;
      const error = new KubeError('timeout', `${silence} (${text})`, { cause });
      for (const breakOff of [...server.waiting]) breakOff(error);
      this.#options.onSilent(url, error);
    } finally {
      server.asking = false;
    }
  }

  #nowMs(): number {
    return Number(this.#options.clock.monotonicNs() / 1_000_000n);
  }
}
