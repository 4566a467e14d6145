import type { Store } from '../apiserver/index.ts';

/**
 * The control loops of the lab's cluster: deployments, scheduling, endpoint slices, node health, namespaces and garbage.
 * They read and write the store only, each driven by what changed. Begin at `start.ts`.
 */
export interface ControllerOptions {
  /** Where the API server answers, for `default/kubernetes`. */
  apiServer: { address: string; port: number };
  log?: (message: string) => void;
}

export function startControllers(_store: Store, _options: ControllerOptions): Disposable {
  throw new Error('being built');
}
