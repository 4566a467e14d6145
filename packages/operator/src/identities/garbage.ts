import type { Identities } from '@sluice/identity';
import type { CiliumEndpointSliceObject } from '@sluice/kube';
import type { IdentityId } from '@sluice/model';
import type { Clock, Logger } from '@sluice/runtime';
import type { ReadableTable } from '@sluice/state';
import type { IdentityObjects } from './identity-objects.ts';
import type { WantedIdentities } from './wanted-identities.ts';

export interface IdentityGarbageOptions {
  readonly wanted: WantedIdentities;
  readonly identities: Identities;
  readonly slices: ReadableTable<CiliumEndpointSliceObject>;
  readonly objects: IdentityObjects;
  /** `operator.identityHeartbeatTimeout` */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface GarbageCounts {
  /** Identities that are left. */
  readonly alive: number;
  readonly deleted: number;
}

/** Requests of one round: a cluster that let go of half of its identities is clean after a few. */
const actionsMax = 10_000;

/**
 * Removes identities that no pod and no published endpoint has. First a mark on the object: from then on nobody begins
 * to use it, and a new leader knows since when. After the grace, if also this process has found it unused before (clocks of
 * two machines may differ), it is deleted, on the condition that nobody has touched the object meanwhile.
 */
export class IdentityGarbage {
  readonly #options: IdentityGarbageOptions;
  #unusedBefore: ReadonlySet<IdentityId> = new Set();
  #published: { readonly revision: number; readonly ids: ReadonlySet<IdentityId> } = { revision: -1, ids: new Set() };

  constructor(options: IdentityGarbageOptions) {
    this.#options = options;
  }

  async round(signal: AbortSignal): Promise<GarbageCounts> {
    const { identities } = this.#options;
    const unused = new Set([...identities.ids()].filter((id) => !this.#isUsed(id)));
    const before = this.#unusedBefore;
    this.#unusedBefore = unused;
    let [actions, deleted] = [0, 0];
    for (const id of [...identities.ids()]) {
      if (signal.aborted || actions >= actionsMax) break;
      const step = this.#stepOf(id, unused.has(id), before.has(id));
      if (step === 'none') continue;
      actions += 1;
      if (step === 'delete') deleted += (await this.#delete(id, signal)) ? 1 : 0;
      else await this.#mark(id, step === 'mark', signal);
    }
    if (deleted > 0) this.#options.log.info({ deleted, left: identities.size }, 'deleted identities that nobody uses');
    return { alive: identities.size, deleted };
  }

  #stepOf(id: IdentityId, isUnused: boolean, wasUnused: boolean): 'none' | 'mark' | 'unmark' | 'delete' {
    const { identities, graceMs, clock } = this.#options;
    const since = identities.unusedSince(id);
    if (!isUnused) return since === undefined ? 'none' : 'unmark';
    if (since === undefined) return 'mark';
    return wasUnused && clock.now() - since >= graceMs ? 'delete' : 'none';
  }

  async #mark(id: IdentityId, isUnused: boolean, signal: AbortSignal): Promise<void> {
    const { identities, objects, clock } = this.#options;
    const labels = identities.setOf(id);
    if (labels === undefined) return;
    const unusedSince = isUnused ? clock.now() : undefined;
    if (!(await objects.mark(id, unusedSince, signal))) identities.delete(String(id));
    else if (isUnused && this.#isUsed(id)) await this.#mark(id, false, signal);
    else identities.upsert({ id, labels, unusedSince, problems: [] });
  }

  async #delete(id: IdentityId, signal: AbortSignal): Promise<boolean> {
    const isStillUnused = (): boolean => !this.#isUsed(id);
    const isGone = await this.#options.objects.deleteMarked(id, isStillUnused, signal);
    if (isGone) this.#options.identities.delete(String(id));
    return isGone;
  }

  #isUsed(id: IdentityId): boolean {
    const { identities, wanted } = this.#options;
    const labels = identities.setOf(id);
    // Of two numbers for the same labels only one is given to pods.
    const isWanted = labels !== undefined && wanted.has(labels) && identities.idOf(labels) === id;
    return isWanted || this.#publishedIds().has(id);
  }

  #publishedIds(): ReadonlySet<IdentityId> {
    const { slices } = this.#options;
    if (this.#published.revision === slices.revision) return this.#published.ids;
    const ids = new Set(slices.list().flatMap(({ endpoints }) => endpoints.map(({ identity }) => identity)));
    this.#published = { revision: slices.revision, ids };
    return ids;
  }
}
