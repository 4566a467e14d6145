import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Deployment, ReplicaSet, Store } from '../apiserver/index.ts';
import { deploymentStatus } from './deployment-status.ts';
import { recordEvent } from './events.ts';
import { Loop, stopAll } from './loop.ts';
import { controllerOf, controllerReference, fromKey, keyOf } from './objects.ts';
import { podsOf } from './replica-sets.ts';
import { planRollout } from './rollout.ts';

const component = 'deployment-controller';
const revisionAnnotation = 'deployment.kubernetes.io/revision';
const hashLabel = 'pod-template-hash';
const sets = 'replicasets.apps';

/** Keeps one replica set per pod template and moves pods from the old ones to the newest within the rollout's bounds. */
export function startDeploymentController(store: Store, log: (message: string) => void): Disposable {
  const loop = new Loop('deployment controller', (key) => reconcile(store, key), log);
  const deployments = store.watch('deployments.apps', ({ type, object }) => {
    if (type !== 'DELETED') loop.mark(keyOf(object));
  });
  const replicaSets = store.watch(sets, ({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === 'Deployment') loop.mark(`${object.metadata.namespace}/${owner.name}`);
  });
  // With strategy Recreate the new pods wait until the last old one is gone.
  const pods = store.watch('pods', ({ type, object }) => {
    const set = controllerOf(object);
    const owner = type === 'DELETED' && set ? store.byUid(set.uid)?.object : undefined;
    const deployment = owner && controllerOf(owner);
    if (deployment?.kind === 'Deployment') loop.mark(`${object.metadata.namespace}/${deployment.name}`);
  });
  return stopAll([loop, deployments, replicaSets, pods]);
}

function reconcile(store: Store, key: string): void {
  const { namespace, name } = fromKey(key);
  const deployment = store.get('deployments.apps', name, namespace);
  if (!deployment) return;
  const owned = ownedSets(store, deployment);
  const newest = owned.find((set) => isSameTemplate(set, deployment));
  if (!deployment.metadata.deletionTimestamp && !deployment.spec.paused) {
    const current = newest ?? createSet(store, deployment, owned);
    roll(store, deployment, { current, old: owned.filter((set) => set !== newest) });
    markRevision(store, deployment, { current, owned });
    dropHistory(store, deployment, current);
  }
  const after = ownedSets(store, deployment);
  const status = deploymentStatus(
    deployment,
    after,
    after.find((set) => isSameTemplate(set, deployment)),
  );
  store.modify(
    'deployments.apps',
    deployment.metadata,
    (draft) => {
      draft.status = status;
    },
    { subresource: 'status' },
  );
}

function ownedSets(store: Store, deployment: Deployment): ReplicaSet[] {
  return store.ownedBy(deployment.metadata.uid).filter((object): object is ReplicaSet => object.kind === 'ReplicaSet');
}

function isSameTemplate(set: ReplicaSet, deployment: Deployment): boolean {
  const { [hashLabel]: _, ...labels } = set.spec.template.metadata?.labels ?? {};
  const template = { ...set.spec.template, metadata: { ...set.spec.template.metadata, labels } };
  const wanted = deployment.spec.template;
  return isDeepStrictEqual(template, {
    ...wanted,
    metadata: { ...wanted.metadata, labels: wanted.metadata?.labels ?? {} },
  });
}

function createSet(store: Store, deployment: Deployment, owned: readonly ReplicaSet[]): ReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec;
  const hash = createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const set = store.create(sets, {
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace ?? '',
      labels,
      annotations: { [revisionAnnotation]: String(lastRevision(owned) + 1) },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: 0,
      ...(minReadySeconds !== undefined && { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  });
  return set;
}

function lastRevision(owned: readonly ReplicaSet[]): number {
  return Math.max(0, ...owned.map(revisionOf));
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[revisionAnnotation] ?? 0);
}

function roll(
  store: Store,
  deployment: Deployment,
  { current, old }: { current: ReplicaSet; old: readonly ReplicaSet[] },
): void {
  const oldPodsLeft = old.some((set) => podsOf(store, set.metadata.uid).length > 0);
  for (const { set, replicas } of planRollout(deployment, { current, old, oldPodsLeft })) {
    const before = set.spec.replicas ?? 0;
    if (before === replicas) continue;
    store.modify(sets, set.metadata, (draft) => {
      draft.spec.replicas = replicas;
    });
    const direction = replicas > before ? 'up' : 'down';
    recordEvent(store, component, deployment, {
      reason: 'ScalingReplicaSet',
      message: `Scaled ${direction} replica set ${set.metadata.name} from ${before} to ${replicas}`,
    });
  }
}

/** The newest template has the highest revision, also when it is an old one come back (`rollout undo`). */
function markRevision(
  store: Store,
  deployment: Deployment,
  { current, owned }: { current: ReplicaSet; owned: readonly ReplicaSet[] },
): void {
  const highest = lastRevision(owned.filter((set) => set.metadata.uid !== current.metadata.uid));
  const revision = Math.max(revisionOf(current), highest + 1);
  const annotate = (draft: Deployment | ReplicaSet) => {
    draft.metadata.annotations = { ...draft.metadata.annotations, [revisionAnnotation]: String(revision) };
  };
  store.modify(sets, current.metadata, annotate);
  store.modify('deployments.apps', deployment.metadata, annotate);
}

function dropHistory(store: Store, deployment: Deployment, current: ReplicaSet): void {
  const idle = ownedSets(store, deployment).filter(
    (set) => set.metadata.uid !== current.metadata.uid && set.spec.replicas === 0 && (set.status.replicas ?? 0) === 0,
  );
  const extra = idle.length - (deployment.spec.revisionHistoryLimit ?? 10);
  if (extra <= 0) return;
  for (const set of idle.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, extra))
    store.delete(sets, set.metadata);
}
