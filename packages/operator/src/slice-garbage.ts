import { type CiliumEndpointSliceObject, isConflict, isNotFound, type KubeClient, resources } from '@sluice/kube';
import type { Logger } from '@sluice/runtime';
import type { ReadableTable } from '@sluice/state';

export interface SliceGarbageOptions {
  readonly client: KubeClient;
  readonly slices: ReadableTable<CiliumEndpointSliceObject>;
  readonly nodes: { readonly initialized: boolean; has(name: string): boolean };
  readonly log: Logger;
}

/**
 * Removes what a node has published when its Node object is gone; the agent that wrote it cannot any more. What two looks
 * in a row found: a kubelet that registers anew deletes its Node first. Slices of nobody are left to whoever made them.
 */
export class SliceGarbage {
  readonly #options: SliceGarbageOptions;
  #orphans: ReadonlySet<string> = new Set();

  constructor(options: SliceGarbageOptions) {
    this.#options = options;
  }

  async round(signal: AbortSignal): Promise<void> {
    const { slices, nodes, log } = this.#options;
    if (!nodes.initialized || !slices.initialized) return;
    const orphans = slices.list().filter(({ node }) => node !== undefined && !nodes.has(node));
    const before = this.#orphans;
    this.#orphans = new Set(orphans.map(({ uid }) => uid));
    for (const slice of orphans.filter(({ uid }) => before.has(uid))) {
      await this.#delete(slice, signal);
      log.info({ slice: slice.name, node: slice.node }, 'deleted a slice of a node that is gone');
    }
  }

  async #delete({ name, uid }: CiliumEndpointSliceObject, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.client.delete(resources.ciliumEndpointSlices, { name, uid, signal });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }
}
