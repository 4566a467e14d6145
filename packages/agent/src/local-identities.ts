import type { Endpoints, PodIdentities } from '@sluice/endpoint';
import { type IdentityChange, identityLabels, LabelFilter, type LabelRules, type LabelSet } from '@sluice/identity';
import type { LifecyclePart } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import type { Kubernetes } from './kubernetes.ts';

export interface LocalIdentitiesOptions {
  readonly kubernetes: Kubernetes;
  readonly values: { readonly cluster: { readonly name: string }; readonly labels: readonly string[] };
  readonly controllers: Controllers;
}

const sweepIntervalMs = 600_000;

/** What this node's pods are known by, out of what the API tells of pods, namespaces and identities. */
export class LocalIdentities implements PodIdentities, LifecyclePart {
  readonly name = 'identities';
  readonly #options: LocalIdentitiesOptions;
  readonly #rules: LabelRules;
  readonly #running = new AsyncDisposableStack();
  #own: { readonly revision: number; readonly sets: ReadonlySet<LabelSet> } = { revision: -1, sets: new Set() };

  constructor(options: LocalIdentitiesOptions) {
    this.#options = options;
    this.#rules = { cluster: options.values.cluster.name, filter: new LabelFilter(options.values.labels) };
  }

  labelsOf(namespace: string, name: string): readonly string[] | undefined {
    const { pods, namespaces } = this.#options.kubernetes;
    const pod = pods.get(`${namespace}/${name}`);
    const object = namespaces.get(namespace);
    return pod && object && identityLabels(pod, object.labels, this.#rules);
  }

  identityOf(labels: readonly string[]): number | undefined {
    return this.#options.kubernetes.identities.usableIdOf(labels);
  }

  /** Has the endpoints follow every change from now on. */
  follow(endpoints: Endpoints): void {
    const { pods, namespaces, identities } = this.#options.kubernetes;
    this.#running.use(
      pods.subscribe((changes) => {
        for (const { after } of changes) if (after) endpoints.labelsChanged(after.namespace, after.name);
      }),
    );
    this.#running.use(
      namespaces.subscribe((changes) => {
        for (const { key } of changes) endpoints.labelsChanged(key);
      }),
    );
    this.#running.use(
      identities.subscribe((changes) => {
        const own = this.#setsOf(endpoints);
        const isOurs = ({ before, after }: IdentityChange) => own.has(after) || own.has(before);
        // None: all have been listed.
        if (changes.length === 0 || changes.some(isOurs)) endpoints.identitiesChanged();
      }),
    );
  }

  /** The label sets of our endpoints: what becomes of all others is nothing to look at them for. */
  #setsOf({ table }: Endpoints): ReadonlySet<LabelSet | undefined> {
    if (this.#own.revision !== table.revision) {
      const { labelSets } = this.#options.kubernetes.identities;
      const sets = table.list().flatMap(({ labels }) => (labels === undefined ? [] : [labelSets.of(labels)]));
      this.#own = { revision: table.revision, sets: new Set(sets) };
    }
    return this.#own.sets;
  }

  start(): void {
    const { controllers, kubernetes } = this.#options;
    const { identities } = kubernetes;
    const run = () => identities.labelSets.sweep([...this.#own.sets, ...identities.sets()]);
    this.#running.use(controllers.start({ name: 'label-sweep', intervalMs: sweepIntervalMs, run }));
  }

  stop(): Promise<void> {
    return this.#running.disposeAsync();
  }
}
