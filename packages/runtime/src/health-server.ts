import type { Clock } from './clock.ts';
import { type JsonAnswer, JsonServer } from './json-server.ts';
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

/**
 * What the kubelet asks on the node itself: `/healthz` answers while we run, `/readyz` says why we are not ready. Until the
 * port can be had the kubelet finds us unhealthy, as the log explains.
 */
export class HealthServer implements LifecyclePart {
  readonly name = 'health';
  readonly #server: JsonServer;

  constructor({ unready, log, ...options }: HealthServerOptions) {
    const answers: Readonly<Record<string, () => JsonAnswer>> = {
      '/healthz': () => ok,
      '/readyz': () => {
        const why = unready();
        return why === undefined ? ok : { status: 503, body: { unready: why } };
      },
    };
    this.#server = new JsonServer({
      ...options,
      host,
      answer: (path) => (Object.hasOwn(answers, path) ? answers[path]?.() : undefined),
      onProblem: (problem) => {
        if (problem !== undefined) log.error({ problem }, 'the kubelet finds us unhealthy until the port is free');
      },
    });
  }

  start(): Promise<void> {
    return this.#server.start();
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}

const ok: JsonAnswer = { status: 200, body: { status: 'ok' } };
