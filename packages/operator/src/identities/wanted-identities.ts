import { type LabelRules, type LabelSet, type LabelSets, namespaceLabels } from '@sluice/identity';
import type { NamespaceObject } from '@sluice/kube';
import type { ReadableTable } from '@sluice/state';
import type { LabelledPod } from './labelled-pod.ts';

export interface WantedIdentitiesOptions {
  readonly pods: ReadableTable<LabelledPod>;
  readonly namespaces: ReadableTable<NamespaceObject>;
  readonly labelSets: LabelSets;
  readonly rules: LabelRules;
}

/** Pods of one namespace that give the same labels. */
interface Group {
  pods: number;
  /** With the namespace's labels; undefined while the namespace is not known. */
  identity: LabelSet | undefined;
}

/** The label sets that the cluster's pods have now, kept up with pods and namespaces as they change. */
export class WantedIdentities implements Disposable {
  readonly #options: WantedIdentitiesOptions;
  readonly #groups = new Map<string, Map<LabelSet, Group>>();
  /** How many groups have a set: namespaces without labels of their own may share one. */
  readonly #sets = new Map<LabelSet, number>();
  /** Sets that nobody wanted before the change that is being taken in. */
  #fresh: LabelSet[] = [];
  readonly #subscribers = new Set<(fresh: readonly LabelSet[]) => void>();
  readonly #subscriptions = new DisposableStack();

  constructor(options: WantedIdentitiesOptions) {
    this.#options = options;
    for (const pod of options.pods.list()) this.#count(pod, 1);
    this.#subscriptions.use(
      options.pods.subscribe((changes) => {
        // First those that come: a group that loses one pod to another stays what it is.
        for (const { after } of changes) if (after) this.#count(after, 1);
        for (const { before } of changes) if (before) this.#count(before, -1);
        this.#tell();
      }),
    );
    this.#subscriptions.use(
      options.namespaces.subscribe((changes) => {
        for (const { key } of changes) this.#renew(key);
        this.#tell();
      }),
    );
  }

  has(labels: LabelSet): boolean {
    return this.#sets.has(labels);
  }

  sets(): IterableIterator<LabelSet> {
    return this.#sets.keys();
  }

  get size(): number {
    return this.#sets.size;
  }

  /** Calls back with sets that are wanted from now on. */
  subscribe(subscriber: (fresh: readonly LabelSet[]) => void): Disposable {
    this.#subscribers.add(subscriber);
    return { [Symbol.dispose]: () => void this.#subscribers.delete(subscriber) };
  }

  [Symbol.dispose](): void {
    this.#subscriptions.dispose();
  }

  #count({ namespace, labels }: LabelledPod, step: 1 | -1): void {
    if (labels === undefined) return;
    const groups = this.#groups.get(namespace) ?? new Map<LabelSet, Group>();
    this.#groups.set(namespace, groups);
    const group = groups.get(labels) ?? { pods: 0, identity: this.#take(namespace, labels) };
    groups.set(labels, group);
    group.pods += step;
    if (group.pods > 0) return;
    this.#release(group.identity);
    groups.delete(labels);
    if (groups.size === 0) this.#groups.delete(namespace);
  }

  #renew(namespace: string): void {
    for (const [labels, group] of this.#groups.get(namespace) ?? []) {
      const before = group.identity;
      group.identity = this.#take(namespace, labels);
      this.#release(before);
    }
  }

  #take(namespace: string, labels: LabelSet): LabelSet | undefined {
    const { namespaces, labelSets, rules } = this.#options;
    const object = namespaces.get(namespace);
    if (object === undefined) return undefined;
    const all = [...labelSets.labelsOf(labels), ...namespaceLabels(object.labels, rules)].sort();
    const set = labelSets.of(all);
    const groups = this.#sets.get(set) ?? 0;
    if (groups === 0) this.#fresh.push(set);
    this.#sets.set(set, groups + 1);
    return set;
  }

  #release(set: LabelSet | undefined): void {
    if (set === undefined) return;
    const left = (this.#sets.get(set) ?? 0) - 1;
    if (left > 0) this.#sets.set(set, left);
    else this.#sets.delete(set);
  }

  #tell(): void {
    const fresh = this.#fresh.filter((set) => this.#sets.has(set));
    this.#fresh = [];
    if (fresh.length > 0) for (const subscriber of this.#subscribers) subscriber(fresh);
  }
}
