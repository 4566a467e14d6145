import type { Deployment, ReplicaSet, WorkloadStatus } from '../apiserver/index.ts';
import { withCondition } from './objects.ts';
import { rollingBounds } from './rollout.ts';

/** Status of a deployment from its replica sets, in the form that `kubectl rollout status` waits for. */
export function deploymentStatus(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  newest: ReplicaSet | undefined,
): WorkloadStatus {
  const wanted = deployment.spec.replicas ?? 1;
  const sum = (field: 'replicas' | 'readyReplicas' | 'availableReplicas') =>
    sets.reduce((total, set) => total + (set.status[field] ?? 0), 0);
  const counts = {
    replicas: sum('replicas'),
    readyReplicas: sum('readyReplicas'),
    availableReplicas: sum('availableReplicas'),
  };
  const updatedReplicas = newest?.status.replicas ?? 0;
  const unavailableReplicas = Math.max(0, Math.max(wanted, counts.replicas) - counts.availableReplicas);
  const isAvailable = counts.availableReplicas >= wanted - rollingBounds(deployment).unavailable;
  const isComplete = updatedReplicas === wanted && counts.replicas === wanted && counts.availableReplicas === wanted;
  const available = withCondition(deployment.status.conditions, {
    type: 'Available',
    status: isAvailable ? 'True' : 'False',
    reason: isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: isAvailable ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
  });
  const name = newest?.metadata.name ?? '';
  const conditions = withCondition(available, {
    type: 'Progressing',
    status: 'True',
    reason: isComplete ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated',
    message: isComplete ? `ReplicaSet "${name}" has successfully progressed.` : `ReplicaSet "${name}" is progressing.`,
  });
  return {
    observedGeneration: deployment.metadata.generation ?? 1,
    ...counts,
    updatedReplicas,
    unavailableReplicas,
    conditions,
  };
}
