import type { KubernetesObject, OwnerReference, Store } from '../apiserver/index.ts';
import { Loop, stopAll } from './loop.ts';

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

/**
 * Deletes objects whose owners are gone, and finishes deletions that wait for dependents (foreground) or let them go (orphan).
 * Keys are uids.
 */
export function startGarbageCollector(store: Store, log: (message: string) => void): Disposable {
  const owners = new Loop('garbage collector', (uid) => reconcileOwner(store, uid), log);
  const dependents = new Loop('garbage collector', (uid) => reconcileDependent(store, uid), log);
  const watch = store.watchAll(({ type, object }) => {
    const { uid, ownerReferences, deletionTimestamp } = object.metadata;
    if (type === 'ADDED' && ownerReferences) dependents.mark(uid);
    if (type === 'DELETED') {
      for (const dependent of store.ownedBy(uid)) dependents.mark(dependent.metadata.uid);
      for (const owner of ownerReferences ?? []) if (waits(store, owner)) owners.mark(owner.uid);
    } else if (deletionTimestamp && object.metadata.finalizers) owners.mark(uid);
  });
  for (const resource of store.namespacedResources())
    for (const object of store.list(resource))
      if (object.metadata.ownerReferences) dependents.mark(object.metadata.uid);
  return stopAll([owners, dependents, watch]);
}

function waits(store: Store, owner: OwnerReference): boolean {
  return store.byUid(owner.uid)?.object.metadata.finalizers?.includes(foreground) ?? false;
}

function reconcileOwner(store: Store, uid: string): void {
  const found = store.byUid(uid);
  const finalizers = found?.object.metadata.finalizers ?? [];
  if (!found?.object.metadata.deletionTimestamp) return;
  const dependents = store.ownedBy(uid);
  if (finalizers.includes(foreground)) {
    for (const dependent of dependents)
      if (!dependent.metadata.deletionTimestamp) remove(store, dependent, 'Foreground');
    if (store.ownedBy(uid).length === 0) release(store, found, foreground);
  } else if (finalizers.includes(orphan)) {
    for (const dependent of dependents) letGo(store, dependent, (owner) => owner.uid === uid);
    release(store, found, orphan);
  }
}

function release(
  store: Store,
  { resource, object }: { resource: string; object: KubernetesObject },
  finalizer: string,
): void {
  store.modify(resource, object.metadata, (draft) => {
    draft.metadata.finalizers = (draft.metadata.finalizers ?? []).filter((name) => name !== finalizer);
  });
}

/** With an owner left the references to those gone are dropped; with none the object goes. */
function reconcileDependent(store: Store, uid: string): void {
  const object = store.byUid(uid)?.object;
  const owners = object?.metadata.ownerReferences;
  if (!object || !owners || owners.length === 0) return;
  const isGone = (owner: OwnerReference) => store.byUid(owner.uid) === undefined;
  if (owners.every(isGone)) {
    if (!object.metadata.deletionTimestamp) remove(store, object, 'Background');
  } else if (owners.some(isGone)) letGo(store, object, isGone);
}

function remove(store: Store, object: KubernetesObject, propagationPolicy: 'Background' | 'Foreground'): void {
  const resource = store.byUid(object.metadata.uid)?.resource;
  if (!resource) return;
  const hasDependents = store.ownedBy(object.metadata.uid).length > 0;
  store.delete(resource, object.metadata, { uid: object.metadata.uid, ...(hasDependents && { propagationPolicy }) });
}

function letGo(store: Store, object: KubernetesObject, isLetGo: (owner: OwnerReference) => boolean): void {
  const resource = store.byUid(object.metadata.uid)?.resource;
  if (!resource) return;
  store.modify(resource, object.metadata, (draft) => {
    draft.metadata.ownerReferences = (draft.metadata.ownerReferences ?? []).filter((owner) => !isLetGo(owner));
  });
}
