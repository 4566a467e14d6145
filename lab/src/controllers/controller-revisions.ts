import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ControllerRevision, DaemonSet, Pod, Store } from '../apiserver/index.ts';
import { controllerReference } from './objects.ts';

const revisions = 'controllerrevisions.apps';
export const revisionHashLabel = 'controller-revision-hash';

/** The revision of the set's template, made where there is none. An old template that comes back gets the highest number. */
export function keepRevision(store: Store, set: DaemonSet): ControllerRevision {
  const owned = revisionsOf(store, set);
  const highest = Math.max(0, ...owned.map(({ revision }) => revision));
  const known = owned.find((revision) => isDeepStrictEqual(templateOf(revision), set.spec.template));
  if (!known) return createRevision(store, set, highest + 1);
  if (known.revision === highest) return known;
  const renumbered = store.modify(revisions, known.metadata, (draft) => {
    draft.revision = highest + 1;
  });
  return renumbered ?? known;
}

/** Revisions that no pod has any more, beyond the limit, the oldest first. */
export function dropRevisions(store: Store, set: DaemonSet, pods: readonly Pod[]): void {
  const inUse = new Set(pods.map(({ metadata }) => metadata.labels?.[revisionHashLabel]));
  const idle = revisionsOf(store, set)
    .filter((revision) => !inUse.has(hashOf(revision)) && !isDeepStrictEqual(templateOf(revision), set.spec.template))
    .sort((a, b) => a.revision - b.revision);
  const extra = idle.length - (set.spec.revisionHistoryLimit ?? 10);
  for (const revision of idle.slice(0, Math.max(0, extra))) store.delete(revisions, revision.metadata);
}

export function hashOf({ metadata }: ControllerRevision): string {
  return metadata.labels?.[revisionHashLabel] ?? '';
}

function createRevision(store: Store, set: DaemonSet, revision: number): ControllerRevision {
  const { template } = set.spec;
  const hash = createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);
  return store.create(revisions, {
    metadata: {
      name: `${set.metadata.name}-${hash}`,
      namespace: set.metadata.namespace ?? '',
      // `kubectl rollout history` finds them by the labels of the set's selector, and shows the cause of a change.
      labels: { ...template.metadata?.labels, [revisionHashLabel]: hash },
      ...(set.metadata.annotations && { annotations: set.metadata.annotations }),
      ownerReferences: [controllerReference(set)],
    },
    // A patch, as `kubectl rollout undo` sends it.
    data: { spec: { template: { $patch: 'replace', ...template } } },
    revision,
  });
}

function revisionsOf(store: Store, set: DaemonSet): ControllerRevision[] {
  return store
    .ownedBy(set.metadata.uid)
    .filter((object): object is ControllerRevision => object.kind === 'ControllerRevision');
}

function templateOf({ data }: ControllerRevision): object {
  const { $patch: _, ...template } = data.spec.template;
  return template;
}
