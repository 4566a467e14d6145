import { isRecord, type KubeClient } from '@sluice/kube';
import type { LifecyclePart } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import { countStoredKinds, type StoredKind } from './custom-resources.ts';

const intervalMs = 60_000;
const backoffMaxMs = 10_000;
/** How long somebody who asks for the status waits for a fresh count. */
const patienceMs = 300;

/** What the API server tells besides the objects that we watch: its version, and what is stored for features to come. */
export class ApiFacts implements LifecyclePart {
  readonly name = 'api-facts';
  version: string | undefined;
  storedKinds: readonly StoredKind[] = [];
  readonly #client: KubeClient;
  readonly #controllers: Controllers;
  readonly #running = new AsyncDisposableStack();

  constructor(client: KubeClient, controllers: Controllers) {
    this.#client = client;
    this.#controllers = controllers;
  }

  start(): void {
    const ask = (name: string, run: (signal: AbortSignal) => Promise<void>) =>
      this.#running.use(this.#controllers.start({ name, intervalMs, backoffMaxMs, run }));
    ask('kubernetes-version', async (signal) => {
      const answer = await this.#client.request({ method: 'GET', path: '/version', signal });
      this.version = isRecord(answer) && typeof answer.gitVersion === 'string' ? answer.gitVersion : undefined;
    });
    ask('custom-resources', async (signal) => {
      this.storedKinds = await countStoredKinds(this.#client, signal);
    });
  }

  stop(): Promise<void> {
    return this.#running.disposeAsync();
  }

  /** For who asks now; where the API server does not answer at once, the last count stands. */
  async recount(): Promise<void> {
    const signal = AbortSignal.timeout(patienceMs);
    this.storedKinds = await countStoredKinds(this.#client, signal).catch(() => this.storedKinds);
  }
}
