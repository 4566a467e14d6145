import { type Identities, identityCandidates, type LabelSet } from '@sluice/identity';
import type { IdentityId } from '@sluice/model';
import type { Logger } from '@sluice/runtime';
import type { IdentityObjects } from './identity-objects.ts';
import type { WantedIdentities } from './wanted-identities.ts';

export interface AllocationOptions {
  readonly wanted: WantedIdentities;
  readonly identities: Identities;
  readonly objects: Pick<IdentityObjects, 'create' | 'mark'>;
  readonly log: Logger;
}

/** Requests under way at once: the API server answers one in some milliseconds, and 100,000 are to be done in minutes. */
const concurrency = 16;
const errorsNamedMax = 3;

/** Sees to it that each wanted set of labels has a number, and no mark of the garbage collector. */
export class IdentityAllocation {
  readonly #options: AllocationOptions;
  readonly #queue = new Set<LabelSet>();
  /** A number that is being created: another set with the same candidate must not take the answer for its own. */
  readonly #creating = new Set<IdentityId>();

  constructor(options: AllocationOptions) {
    this.#options = options;
    this.addAll();
  }

  add(sets: Iterable<LabelSet>): void {
    for (const set of sets) if (!this.#isDone(set)) this.#queue.add(set);
  }

  /** Looks at everything anew: what somebody deleted by hand while nobody watched is made again. */
  addAll(): void {
    this.add(this.#options.wanted.sets());
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Works until nothing waits but what failed; throws with the first errors, and the next run tries those again. */
  async run(signal: AbortSignal): Promise<void> {
    const errors: string[] = [];
    const failed = new Set<LabelSet>();
    // One for all workers: each set is taken once, and to begin anew for each would pass by all that are gone.
    const waiting = this.#queue.values();
    const worker = async (): Promise<void> => {
      for (const set of waiting) {
        if (signal.aborted) return;
        this.#queue.delete(set);
        try {
          await this.#settle(set, signal);
        } catch (error) {
          failed.add(set);
          errors.push(error instanceof Error ? error.message : String(error));
        }
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    for (const set of failed) this.#queue.add(set);
    if (errors.length > 0 && !signal.aborted) {
      const named = [...new Set(errors)].slice(0, errorsNamedMax).join('; ');
      throw new Error(`${failed.size} identities could not be created: ${named}`);
    }
  }

  #isDone(set: LabelSet): boolean {
    const id = this.#options.identities.idOf(set);
    return id !== undefined && this.#options.identities.unusedSince(id) === undefined;
  }

  async #settle(set: LabelSet, signal: AbortSignal): Promise<void> {
    const { wanted, identities, objects } = this.#options;
    if (!wanted.has(set) || this.#isDone(set)) return;
    const id = identities.idOf(set);
    if (id === undefined) return this.#create(set, signal);
    if (await objects.mark(id, undefined, signal)) {
      identities.upsert({ id, labels: set, unusedSince: undefined, problems: [] });
      return;
    }
    identities.delete(String(id));
    await this.#create(set, signal);
  }

  async #create(set: LabelSet, signal: AbortSignal): Promise<void> {
    const { identities, objects, log } = this.#options;
    const labels = identities.labelSets.labelsOf(set);
    for (const id of identityCandidates(labels)) {
      if (identities.setOf(id) !== undefined || this.#creating.has(id)) continue;
      this.#creating.add(id);
      try {
        const holder = await objects.create(id, labels, signal);
        // The watch says the same in a moment; until then nobody must take the number for free.
        identities.upsert({ id, labels: identities.labelSets.of(holder), unusedSince: undefined, problems: [] });
      } finally {
        this.#creating.delete(id);
      }
      if (identities.setOf(id) === set) {
        log.debug({ identity: id, labels }, 'created an identity');
        return;
      }
    }
    throw new Error('all 16 million identities are taken');
  }
}
