import type { Store } from '../apiserver/index.ts';
import { Loop, stopAll } from './loop.ts';

/** Gives each namespace its `default` service account, and empties namespaces that are being deleted before they go. */
export function startNamespaceController(store: Store, log: (message: string) => void): Disposable {
  const loop = new Loop('namespace controller', (name) => reconcile(store, name), log);
  const watch = store.watch('namespaces', ({ type, object }) => {
    if (type !== 'DELETED') loop.mark(object.metadata.name);
  });
  const contents = store.watchAll(({ type, object }) => {
    const { namespace } = object.metadata;
    if (type === 'DELETED' && namespace && store.get('namespaces', namespace)?.status.phase === 'Terminating')
      loop.mark(namespace);
  });
  return stopAll([loop, watch, contents]);
}

function reconcile(store: Store, name: string): void {
  const namespace = store.get('namespaces', name);
  if (!namespace) return;
  if (!namespace.metadata.deletionTimestamp) {
    if (!store.get('serviceaccounts', 'default', name))
      store.create('serviceaccounts', { metadata: { name: 'default', namespace: name } });
    return;
  }
  if (isEmptied(store, name)) {
    store.modify('namespaces', { name }, (draft) => void delete draft.spec.finalizers, { subresource: 'finalize' });
  }
}

/** Deletes what is there; true when nothing is left. What has finalizers or a grace period is gone in a later round. */
function isEmptied(store: Store, namespace: string): boolean {
  let left = 0;
  for (const resource of store.namespacedResources()) {
    for (const object of store.list(resource, { namespace }))
      if (!object.metadata.deletionTimestamp) store.delete(resource, object.metadata);
    left += store.list(resource, { namespace }).length;
  }
  return left === 0;
}
