import type { Condition, KubernetesObject, ObjectMeta, OwnerReference, Pod } from '../apiserver/index.ts';

/** `namespace/name`, the keys that loops work on. */
export function keyOf({ metadata }: { metadata: ObjectMeta }): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

export function fromKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export function controllerOf({ metadata }: KubernetesObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find((owner) => owner.controller);
}

export function controllerReference({ apiVersion, kind, metadata }: KubernetesObject): OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true };
}

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** The conditions with this one set; its transition time moves only when the status does. */
export function withCondition(conditions: readonly Condition[] | undefined, condition: Condition): Condition[] {
  const before = findCondition(conditions, condition.type);
  const since = before?.status === condition.status ? before.lastTransitionTime : undefined;
  const next = { ...before, ...condition, lastTransitionTime: since ?? nowText() };
  const others = (conditions ?? []).filter(({ type }) => type !== condition.type);
  return before ? (conditions ?? []).map((present) => (present === before ? next : present)) : [...others, next];
}

export function isPodReady(pod: Pod): boolean {
  return findCondition(pod.status.conditions, 'Ready')?.status === 'True';
}

/** Neither over nor on its way out. */
export function isPodActive(pod: Pod): boolean {
  return !isPodOver(pod) && !pod.metadata.deletionTimestamp;
}

export function isPodOver({ status }: Pod): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}

export function nowText(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}
