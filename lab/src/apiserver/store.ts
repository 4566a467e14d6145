import type { ResourceTypes } from './kinds/types.ts';
import type { Json, JsonObject, KubernetesObject, LabelSelector, NewObject } from './object.ts';

/** What happened to an object. `previous` is the state before, for ADDED nothing. */
export interface WatchEvent<T = KubernetesObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: T;
  readonly previous: T | undefined;
}

export interface ListOptions {
  namespace?: string | undefined;
  labels?: LabelSelector | undefined;
}

export interface WriteOptions {
  /** Changes only this part of the object: `status` leaves spec and metadata alone. Default: the main resource, which leaves status alone. */
  subresource?: string | undefined;
  dryRun?: boolean | undefined;
  fieldValidation?: 'Ignore' | 'Warn' | 'Strict' | undefined;
  /** Who writes; server-side apply needs it. */
  fieldManager?: string | undefined;
  /** Collects what `fieldValidation: Warn` has to say. */
  warnings?: string[] | undefined;
}

export interface DeleteOptions {
  gracePeriodSeconds?: number | undefined;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  uid?: string | undefined;
  resourceVersion?: string | undefined;
  dryRun?: boolean | undefined;
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

/**
 * The cluster's objects, for code in the same process: the same validation, defaults and conflicts as over HTTP.
 * Resources are named `pods`, `deployments.apps`, `endpointslices.discovery.k8s.io`. Cluster-scoped objects take no namespace.
 * Objects handed out are frozen; change them with `modify`. Failures are `ApiError`s (404, 409, 422 ...).
 */
export interface Store {
  readonly resourceVersion: string;
  get<R extends keyof ResourceTypes & string>(
    resource: R,
    name: string,
    namespace?: string,
  ): ResourceTypes[R] | undefined;
  list<R extends keyof ResourceTypes & string>(resource: R, options?: ListOptions): ResourceTypes[R][];
  create<R extends keyof ResourceTypes & string>(
    resource: R,
    object: NewObject,
    options?: WriteOptions,
  ): ResourceTypes[R];
  /** Replaces; with `metadata.resourceVersion` set only if nobody wrote in between, else a 409. */
  update<R extends keyof ResourceTypes & string>(
    resource: R,
    object: NewObject,
    options?: WriteOptions,
  ): ResourceTypes[R];
  patch<R extends keyof ResourceTypes & string>(
    resource: R,
    target: { name: string; namespace?: string | undefined },
    patch: { type: PatchType; body: Json | JsonObject },
    options?: WriteOptions,
  ): ResourceTypes[R];
  /** Reads, lets `change` edit a copy, writes. `undefined` when the object is not there. Writing what was there is no new version. */
  modify<R extends keyof ResourceTypes & string>(
    resource: R,
    target: { name: string; namespace?: string | undefined },
    change: (draft: ResourceTypes[R]) => void,
    options?: WriteOptions,
  ): ResourceTypes[R] | undefined;
  /** Pods with a grace period only get their deletionTimestamp: the kubelet deletes them for good with `gracePeriodSeconds: 0`. */
  delete(
    resource: string,
    target: { name: string; namespace?: string | undefined },
    options?: DeleteOptions,
  ): KubernetesObject;
  /**
   * First an ADDED for every object there is, during the call, then each change, each in its own turn of the microtask queue
   * after the write, in order.
   */
  watch<R extends keyof ResourceTypes & string>(
    resource: R,
    listener: (event: WatchEvent<ResourceTypes[R]>) => void,
  ): Disposable;
  /** Every change of every resource, custom ones too, from now on. */
  watchAll(listener: (event: WatchEvent & { readonly resource: string }) => void): Disposable;
  /** What names this uid in its ownerReferences, of all resources. */
  ownedBy(uid: string): readonly KubernetesObject[];
  byUid(uid: string): { readonly resource: string; readonly object: KubernetesObject } | undefined;
  /** Names of the resources whose objects live in namespaces. */
  namespacedResources(): string[];
}
