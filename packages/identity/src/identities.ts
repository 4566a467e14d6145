import type { CiliumIdentityObject, RowStore } from '@sluice/kube';
import type { IdentityId } from '@sluice/model';
import { type LabelSet, LabelSets } from './label-sets.ts';

/** An identity as the store takes it: what else its object says is not kept. */
export interface Identity {
  readonly id: IdentityId;
  readonly labels: LabelSet;
  /** See `CiliumIdentityObject`. */
  readonly unusedSince: number | undefined;
  readonly problems: readonly string[];
}

/** Undefined before: it came. Undefined after: it went. Both the same: it was marked, or the mark went. */
export interface IdentityChange {
  readonly id: IdentityId;
  readonly before: LabelSet | undefined;
  readonly after: LabelSet | undefined;
}

/** One for all: an array of its own for each of 100,000 rows of a list adds up. */
const none: readonly string[] = [];

/**
 * All identities of the cluster, by number and by labels: what a reflector fills instead of a table, because there may be
 * 100,000. `read` makes its rows. Of two numbers for the same labels the lower one counts.
 */
export class Identities implements RowStore<Identity> {
  readonly labelSets: LabelSets;
  readonly #labels = new Map<IdentityId, LabelSet>();
  readonly #ids = new Map<LabelSet, IdentityId>();
  /** Further numbers of the same labels, as two leaders at once may leave them: hardly ever any. */
  readonly #doubles = new Map<LabelSet, IdentityId[]>();
  readonly #unusedSince = new Map<IdentityId, number>();
  readonly #subscribers = new Set<(changes: readonly IdentityChange[]) => void>();
  #initialized = false;

  constructor(labelSets: LabelSets = new LabelSets()) {
    this.labelSets = labelSets;
  }

  get size(): number {
    return this.#labels.size;
  }

  /** Whether all that there are have been listed once. */
  get initialized(): boolean {
    return this.#initialized;
  }

  read({ id, labels, unusedSince, problems }: CiliumIdentityObject): Identity {
    return { id, labels: this.labelSets.of(labels), unusedSince, problems: problems.length === 0 ? none : problems };
  }

  labelsOf(id: IdentityId): string[] | undefined {
    const set = this.#labels.get(id);
    return set === undefined ? undefined : this.labelSets.labelsOf(set);
  }

  setOf(id: IdentityId): LabelSet | undefined {
    return this.#labels.get(id);
  }

  /** The number of a set of labels, also one that the garbage collector has marked. */
  idOf(labels: LabelSet): IdentityId | undefined {
    return this.#ids.get(labels);
  }

  /**
   * The number that an endpoint with these labels takes. None while there is none, and none that is marked as unused:
   * it may be gone in a moment, and mean something else after that.
   */
  usableIdOf(labels: readonly string[]): IdentityId | undefined {
    const set = this.labelSets.find(labels);
    const id = set === undefined ? undefined : this.#ids.get(set);
    return id === undefined || this.#unusedSince.has(id) ? undefined : id;
  }

  unusedSince(id: IdentityId): number | undefined {
    return this.#unusedSince.get(id);
  }

  ids(): IterableIterator<IdentityId> {
    return this.#labels.keys();
  }

  /** For `LabelSets.sweep`. */
  sets(): IterableIterator<LabelSet> {
    return this.#labels.values();
  }

  /** Calls back with what changed; with nothing when all have been listed for the first time. */
  subscribe(subscriber: (changes: readonly IdentityChange[]) => void): Disposable {
    this.#subscribers.add(subscriber);
    return { [Symbol.dispose]: () => void this.#subscribers.delete(subscriber) };
  }

  key({ id }: Identity): string {
    return String(id);
  }

  get(key: string): Identity | undefined {
    const id = Number(key);
    const labels = this.#labels.get(id);
    return labels && { id, labels, unusedSince: this.#unusedSince.get(id), problems: [] };
  }

  upsert(row: Identity): boolean {
    const change = this.#put(row);
    if (change) this.#tell([change]);
    return change !== undefined;
  }

  delete(key: string): boolean {
    const change = this.#remove(Number(key));
    if (change) this.#tell([change]);
    return change !== undefined;
  }

  replaceAll(rows: Iterable<Identity>): void {
    const changes: IdentityChange[] = [];
    const present = new Set<IdentityId>();
    for (const row of rows) {
      present.add(row.id);
      const change = this.#put(row);
      if (change) changes.push(change);
    }
    for (const id of this.#labels.keys()) {
      const change = present.has(id) ? undefined : this.#remove(id);
      if (change) changes.push(change);
    }
    if (changes.length > 0) this.#tell(changes);
  }

  markInitialized(): void {
    if (this.#initialized) return;
    this.#initialized = true;
    this.#tell([]);
  }

  #put({ id, labels, unusedSince }: Identity): IdentityChange | undefined {
    const before = this.#labels.get(id);
    if (before === labels && this.#unusedSince.get(id) === unusedSince) return undefined;
    this.#remove(id);
    this.#labels.set(id, labels);
    this.#claim(labels, id);
    if (unusedSince !== undefined) this.#unusedSince.set(id, unusedSince);
    return { id, before, after: labels };
  }

  #remove(id: IdentityId): IdentityChange | undefined {
    const before = this.#labels.get(id);
    if (before === undefined) return undefined;
    this.#labels.delete(id);
    this.#unusedSince.delete(id);
    this.#release(before, id);
    return { id, before, after: undefined };
  }

  #claim(labels: LabelSet, id: IdentityId): void {
    const holder = this.#ids.get(labels);
    this.#ids.set(labels, holder === undefined ? id : Math.min(holder, id));
    if (holder === undefined) return;
    this.#doubles.set(labels, [...(this.#doubles.get(labels) ?? []), Math.max(holder, id)]);
  }

  #release(labels: LabelSet, id: IdentityId): void {
    const doubles = (this.#doubles.get(labels) ?? []).toSorted((left, right) => left - right);
    const left = this.#ids.get(labels) === id ? doubles : doubles.filter((other) => other !== id);
    if (this.#ids.get(labels) === id) {
      const next = left.shift();
      if (next === undefined) this.#ids.delete(labels);
      else this.#ids.set(labels, next);
    }
    if (left.length > 0) this.#doubles.set(labels, left);
    else this.#doubles.delete(labels);
  }

  #tell(changes: readonly IdentityChange[]): void {
    for (const subscriber of this.#subscribers) subscriber(changes);
  }
}
