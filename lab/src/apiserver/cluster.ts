import { isDeepStrictEqual } from 'node:util';
import { admit, decodeObject } from './admission.ts';
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  methodNotAllowed,
  notFound,
  type Subject,
  staleWrite,
} from './api-error.ts';
import { applyConfiguration, configurationOf, managedFieldsOf } from './apply/configuration.ts';
import { type Applied, managedAfter } from './apply/managed-fields.ts';
import { shapeOf } from './apply/shape.ts';
import { resourceOf } from './custom/definition.ts';
import { type Deletion, planDeletion } from './deletion.ts';
import { builtinResources } from './kinds/builtin.ts';
import type { CustomResourceDefinition, Namespace, ResourceTypes } from './kinds/types.ts';
import { newMetadata, timestamp, updatedMetadata } from './metadata.ts';
import type { Json, JsonObject, KubernetesObject, NewObject } from './object.ts';
import { applyPatch } from './patch/patch.ts';
import {
  apiVersionOf,
  Registry,
  type Resource,
  type ResourceVersion,
  storedVersion,
  versionNamed,
} from './resources.ts';
import { labelsMatch } from './selectors.ts';
import { Allocations, type ServiceRanges } from './services/allocations.ts';
import { type Change, type ObjectKey, Storage } from './storage.ts';
import type { DeleteOptions, ListOptions, PatchType, Store, WatchEvent, WriteOptions } from './store.ts';

export interface Target {
  name: string;
  namespace?: string | undefined;
}

/** A write as it comes over HTTP: the version of the API that the client speaks. In-process callers speak the stored one. */
export interface VersionedWriteOptions extends WriteOptions {
  version?: string | undefined;
  /** The write is what server-side apply makes of this. */
  applied?: Applied | undefined;
}

const definitions = 'customresourcedefinitions.apiextensions.k8s.io';

/** The verbs of the API on stored objects: decode, complete, validate, store. HTTP and in-process callers share it. */
export class Cluster implements Store {
  readonly registry = new Registry();
  readonly storage: Storage;
  readonly #allocations: Allocations;

  constructor(
    ranges: ServiceRanges,
    options: { onChange?: (resource: string, change: Change) => void; historyMax?: number } = {},
  ) {
    this.#allocations = new Allocations(ranges);
    this.storage = new Storage({
      ...(options.historyMax && { historyMax: options.historyMax }),
      onChange: (resource, change) => {
        this.#follow(resource, change);
        options.onChange?.(resource, change);
      },
    });
    for (const resource of builtinResources(this.#allocations)) this.registry.add(resource);
  }

  /** After objects were put back from a journal: allocations and custom resources follow. */
  adopt(): void {
    for (const id of ['services', definitions])
      for (const object of this.storage.objects(id))
        this.#follow(id, { version: 0, type: 'ADDED', object, previous: undefined });
  }

  get resourceVersion(): string {
    return String(this.storage.version);
  }

  get<R extends keyof ResourceTypes & string>(
    resource: R,
    name: string,
    namespace?: string,
  ): ResourceTypes[R] | undefined {
    return this.storage.get(resource, { name, namespace: namespace ?? '' }) as ResourceTypes[R] | undefined;
  }

  list<R extends keyof ResourceTypes & string>(
    resource: R,
    { namespace, labels }: ListOptions = {},
  ): ResourceTypes[R][] {
    const objects = [...this.storage.objects(resource, namespace)] as ResourceTypes[R][];
    return labels ? objects.filter((object) => labelsMatch(labels, object.metadata.labels)) : objects;
  }

  create<R extends keyof ResourceTypes & string>(
    id: R,
    body: NewObject,
    options: VersionedWriteOptions = {},
  ): ResourceTypes[R] {
    const { resource, version } = this.#resource(id, options);
    const decoded = decodeObject(resource, version, body, options);
    if (decoded.metadata.resourceVersion)
      throw badRequest('resourceVersion should not be set on objects to be created');
    const object: KubernetesObject = {
      ...decoded,
      apiVersion: storedApiVersion(resource),
      kind: resource.kind,
      metadata: newMetadata(decoded, resource),
    };
    const { name, namespace } = object.metadata;
    this.#requireNamespace(resource, namespace, name);
    if (this.storage.get(id, keyOf(object))) throw alreadyExists(resource, name);
    // Nodes register themselves together with their first status, all others begin without one.
    if (version.subresources.has('status') && id !== 'nodes') delete object.status;
    admit(resource, version, object, undefined);
    setManaged(object, version, { old: undefined, applied: options.applied });
    return (options.dryRun ? object : this.storage.put(id, object)) as ResourceTypes[R];
  }

  update<R extends keyof ResourceTypes & string>(
    id: R,
    body: NewObject,
    options: VersionedWriteOptions = {},
  ): ResourceTypes[R] {
    const { resource, version } = this.#resource(id, options);
    const decoded = decodeObject(resource, version, body, options);
    const name = decoded.metadata.name ?? '';
    const old = this.#require(resource, { name, namespace: decoded.metadata.namespace });
    const { uid, resourceVersion } = decoded.metadata;
    if (uid && uid !== old.metadata.uid)
      throw conflict(
        resource,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
      );
    if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw conflict(resource, name, staleWrite);
    return this.#write({ resource, old, body: decoded, options }) as ResourceTypes[R];
  }

  patch<R extends keyof ResourceTypes & string>(
    id: R,
    target: Target,
    patch: { type: PatchType; body: Json | JsonObject },
    options: VersionedWriteOptions = {},
  ): ResourceTypes[R] {
    const { resource, version } = this.#resource(id, options);
    const old = this.storage.get(id, { name: target.name, namespace: target.namespace ?? '' });
    if (patch.type === 'apply') return this.#apply(id, target, patch.body, options);
    if (!old) throw notFound(resource, target.name);
    const current = { ...old, apiVersion: apiVersionOf(resource.group, version.name) } as unknown as JsonObject;
    const patched = applyPatch(version, current, { type: patch.type, body: patch.body }) as unknown as NewObject;
    if (patched.metadata?.name !== old.metadata.name)
      throw badRequest('the name of the object (metadata.name) may not be changed by a patch');
    return this.update(id, patched, options);
  }

  /** Server-side apply: creates what is not there, else lays the configuration over it. */
  #apply<R extends keyof ResourceTypes & string>(
    id: R,
    target: Target,
    body: Json,
    options: VersionedWriteOptions,
  ): ResourceTypes[R] {
    const { resource, version } = this.#resource(id, options);
    const { fieldManager: manager, subresource } = options;
    const apiVersion = apiVersionOf(resource.group, version.name);
    const configuration = configurationOf(body, version, { manager, subresource, apiVersion });
    const { applied } = configuration;
    const old = this.storage.get(id, { name: target.name, namespace: target.namespace ?? '' });
    if (!old && subresource) throw notFound(resource, target.name);
    const live = { ...(old ?? { metadata: {} }), apiVersion, kind: resource.kind } as unknown as JsonObject;
    const wanted = applyConfiguration(version, live, configuration) as unknown as NewObject;
    const { name, namespace } = target;
    if ((wanted.metadata.name ?? name) !== name) throw badRequest('metadata.name does not match the name on the URL');
    wanted.metadata = { ...wanted.metadata, name, ...(namespace !== undefined && { namespace }) };
    return old ? this.update(id, wanted, { ...options, applied }) : this.create(id, wanted, { ...options, applied });
  }

  modify<R extends keyof ResourceTypes & string>(
    id: R,
    target: Target,
    change: (draft: ResourceTypes[R]) => void,
    options: WriteOptions = {},
  ): ResourceTypes[R] | undefined {
    const old = this.get(id, target.name, target.namespace);
    if (!old) return undefined;
    const draft = structuredClone(old) as ResourceTypes[R];
    change(draft);
    return isDeepStrictEqual(draft, old) ? old : this.update(id, draft, options);
  }

  delete(id: string, target: Target, options: DeleteOptions = {}): KubernetesObject {
    const resource = this.registry.byId(id);
    const old = this.#require(resource, target);
    const { uid, resourceVersion } = old.metadata;
    if (options.uid && options.uid !== uid)
      throw conflict(
        resource,
        target.name,
        `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`,
      );
    if (options.resourceVersion && options.resourceVersion !== resourceVersion)
      throw conflict(resource, target.name, staleWrite);
    resource.strategy.beforeDelete?.(old);
    const deletion: Deletion = planDeletion(resource, old, options);
    if (options.dryRun || deletion.action === 'wait') return old;
    if (deletion.action === 'remove') return this.storage.remove(id, keyOf(old)) ?? old;
    return this.storage.put(id, deletion.marked);
  }

  watch<R extends keyof ResourceTypes & string>(
    id: R,
    listener: (event: WatchEvent<ResourceTypes[R]>) => void,
  ): Disposable {
    const forward = listener as (event: WatchEvent) => void;
    const watch = this.storage.watch(id, forward);
    for (const object of [...this.storage.objects(id)]) forward({ type: 'ADDED', object, previous: undefined });
    return watch;
  }

  watchAll(listener: (event: WatchEvent & { readonly resource: string }) => void): Disposable {
    return this.storage.watchAll(listener);
  }

  ownedBy(uid: string): readonly KubernetesObject[] {
    return this.storage.ownedBy(uid);
  }

  byUid(uid: string): { readonly resource: string; readonly object: KubernetesObject } | undefined {
    return this.storage.byUid(uid);
  }

  namespacedResources(): string[] {
    return this.registry.all().flatMap((resource) => (resource.namespaced ? [resource.id] : []));
  }

  /** Stores the new state of an object: which part of it counts depends on the subresource. */
  #write({
    resource,
    old,
    body,
    options,
  }: {
    resource: Resource;
    old: KubernetesObject;
    body: NewObject;
    options: VersionedWriteOptions;
  }): KubernetesObject {
    const version = versionNamed(resource, options.version ?? storedVersion(resource).name);
    const object = nextState(resource, old, body, options.subresource);
    if (!options.applied && isDeepStrictEqual(object, old)) return old;
    admit(resource, version, object, old);
    setManaged(object, version, { old, applied: options.applied });
    if (isDeepStrictEqual(object, old)) return old;
    const counts = resource.strategy.countsGenerations && !isDeepStrictEqual(content(object), content(old));
    if (counts) object.metadata.generation = (old.metadata.generation ?? 0) + 1;
    if (options.dryRun) return object;
    const isGone = old.metadata.deletionTimestamp && isReleased(object) && !isReleased(old);
    if (isGone && !old.metadata.deletionGracePeriodSeconds)
      return this.storage.remove(resource.id, keyOf(old)) ?? object;
    return this.storage.put(resource.id, object);
  }

  #resource(id: string, options: VersionedWriteOptions) {
    const resource = this.registry.byId(id);
    const version = options.version ? versionNamed(resource, options.version) : storedVersion(resource);
    const { subresource } = options;
    const known =
      !subresource || ['finalize', 'binding', 'scale'].includes(subresource) || version.subresources.has(subresource);
    if (!known) throw methodNotAllowed();
    return { resource, version };
  }

  #require(resource: Resource, target: Target): KubernetesObject {
    const object = this.storage.get(resource.id, { name: target.name, namespace: target.namespace ?? '' });
    if (!object) throw notFound(resource, target.name);
    return object;
  }

  #requireNamespace(resource: Resource, namespace: string | undefined, name: string): void {
    if (!resource.namespaced) return;
    const found = this.storage.get('namespaces', { name: namespace ?? '', namespace: '' }) as Namespace | undefined;
    if (!found) throw notFound(namespaces, namespace ?? '');
    if (found.status.phase === 'Terminating') {
      const refusal = forbidden(
        resource,
        name,
        `unable to create new content in namespace ${namespace} because it is being terminated`,
      );
      throw new ApiError(403, 'Forbidden', refusal.message, {
        ...refusal.details,
        causes: [
          {
            reason: 'NamespaceTerminating',
            message: `namespace ${namespace} is being terminated`,
            field: 'metadata.namespace',
          },
        ],
      });
    }
  }

  #follow(id: string, change: Change): void {
    if (id === 'services') this.#allocations.observe(change);
    if (id !== definitions) return;
    const definition = change.object as CustomResourceDefinition;
    if (change.type === 'DELETED') this.registry.remove(definition.metadata.name);
    else this.registry.add(resourceOf(definition));
  }
}

const namespaces: Subject = { group: '', plural: 'namespaces', kind: 'Namespace' };

/** The state after the update: status only through its subresource, and only status through that. */
function nextState(
  resource: Resource,
  old: KubernetesObject,
  body: NewObject,
  subresource: string | undefined,
): KubernetesObject {
  const frame = { apiVersion: storedApiVersion(resource), kind: resource.kind };
  if (subresource === 'status')
    return structuredClone({ ...old, ...frame, ...(body.status !== undefined && { status: body.status }) });
  if (subresource === 'finalize') return structuredClone({ ...old, spec: body.spec });
  const hasStatus = storedVersion(resource).subresources.has('status');
  const { status, ...rest } = body;
  const kept = hasStatus ? old.status : status;
  return structuredClone({
    ...rest,
    ...frame,
    metadata: updatedMetadata(body, old.metadata),
    ...(kept !== undefined && { status: kept }),
  });
}

/** Only what somebody has applied has managed fields: an object that nobody applies costs nothing. */
function setManaged(
  object: KubernetesObject,
  version: ResourceVersion,
  { old, applied }: { old: KubernetesObject | undefined; applied: Applied | undefined },
): void {
  const entries = old ? managedFieldsOf(old) : [];
  if (entries.length === 0 && !applied) return;
  const [before, after] = [old ?? {}, object] as unknown as [JsonObject, JsonObject];
  const next = managedAfter(entries, { shape: shapeOf(version), before, after, applied }, timestamp());
  if (next.length > 0) object.metadata.managedFields = next;
  else delete object.metadata.managedFields;
}

function storedApiVersion(resource: Resource): string {
  return apiVersionOf(resource.group, resource.storageVersion);
}

function content(object: KubernetesObject): object {
  const { metadata: _m, status: _s, apiVersion: _a, ...rest } = object;
  return rest;
}

/** Nobody holds it back any more: no finalizers, and for namespaces none in the spec. */
function isReleased(object: KubernetesObject): boolean {
  const ofSpec = object.kind === 'Namespace' ? (object as Namespace).spec.finalizers : undefined;
  return (object.metadata.finalizers ?? []).length === 0 && (ofSpec ?? []).length === 0;
}

export function keyOf(object: KubernetesObject): ObjectKey {
  return { name: object.metadata.name, namespace: object.metadata.namespace ?? '' };
}
