import type { Namespace } from './kinds/types.ts';
import { timestamp } from './metadata.ts';
import type { KubernetesObject } from './object.ts';
import type { Resource } from './resources.ts';
import type { DeleteOptions } from './store.ts';

/** What a delete request does: the object goes, is marked for somebody who finishes it, or is already on its way. */
export type Deletion = { action: 'remove' } | { action: 'mark'; marked: KubernetesObject } | { action: 'wait' };

export function planDeletion(resource: Resource, old: KubernetesObject, options: DeleteOptions): Deletion {
  const longest = resource.strategy.gracePeriodSeconds?.(old) ?? 0;
  // Who asks for a grace period gets it only where somebody waits for it: pods on a node.
  const grace = longest === 0 ? 0 : (options.gracePeriodSeconds ?? longest);
  const finalizers = finalizersFor(old, options.propagationPolicy);
  const isHeld = finalizers.length > 0 || isHeldNamespace(old);
  if (grace === 0 && !isHeld) return { action: 'remove' };
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  const isSooner = deletionTimestamp === undefined || grace < (deletionGracePeriodSeconds ?? 0);
  if (!isSooner && finalizers.length === (old.metadata.finalizers ?? []).length) return { action: 'wait' };
  const marked = structuredClone(old);
  marked.metadata.deletionTimestamp = timestamp(Date.now() + grace * 1000);
  marked.metadata.deletionGracePeriodSeconds = grace;
  if (finalizers.length > 0) marked.metadata.finalizers = finalizers;
  if (marked.metadata.generation !== undefined) marked.metadata.generation++;
  if (resource.id === 'namespaces') (marked as Namespace).status.phase = 'Terminating';
  return { action: 'mark', marked };
}

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

function finalizersFor(old: KubernetesObject, policy: DeleteOptions['propagationPolicy']): string[] {
  const finalizers = old.metadata.finalizers ?? [];
  const wanted = policy === 'Foreground' ? foreground : policy === 'Orphan' ? orphan : undefined;
  if (!wanted) return finalizers;
  return [...finalizers.filter((name) => name !== foreground && name !== orphan), wanted];
}

function isHeldNamespace(object: KubernetesObject): boolean {
  return object.kind === 'Namespace' && ((object as Namespace).spec.finalizers ?? []).length > 0;
}
