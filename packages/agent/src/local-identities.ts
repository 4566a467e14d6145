import type { Endpoints, PodIdentities } from '@sluice/endpoint';
import { identityLabels, LabelFilter, type LabelRules } from '@sluice/identity';
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
    this.#running.use(identities.subscribe(() => endpoints.identitiesChanged()));
  }

  start(): void {
    const { controllers, kubernetes } = this.#options;
    const { identities } = kubernetes;
    const run = () => identities.labelSets.sweep(identities.sets());
    this.#running.use(controllers.start({ name: 'label-sweep', intervalMs: sweepIntervalMs, run }));
  }

  stop(): Promise<void> {
    return this.#running.disposeAsync();
  }
}
