import { isDeepStrictEqual } from 'node:util';
import type { FieldErrors } from '../field-errors.ts';
import type { KubernetesObject } from '../object.ts';
import type { Strategy } from '../resources.ts';
import { labelsMatch } from '../selectors.ts';
import { completePodSpec, validatePodSpec } from './pod.ts';
import type { ControllerRevision, DaemonSet, Deployment, IntOrString, ReplicaSet } from './types.ts';

type Workload = Deployment | ReplicaSet | DaemonSet;

export const deploymentStrategy: Strategy = {
  countsGenerations: true,
  complete: (object) => {
    const deployment = object as Deployment;
    completeWorkload(deployment);
    const spec = deployment.spec;
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    spec.strategy = { ...spec.strategy, type: spec.strategy?.type ?? 'RollingUpdate' };
    if (spec.strategy.type === 'RollingUpdate')
      spec.strategy.rollingUpdate = { maxUnavailable: '25%', maxSurge: '25%', ...spec.strategy.rollingUpdate };
  },
  validate: (object, errors, old) => {
    const deployment = object as Deployment;
    validateWorkload(deployment, errors, old);
    validateReplicas(deployment.spec?.replicas, errors);
    const { type, rollingUpdate } = deployment.spec.strategy ?? {};
    if (type && !['RollingUpdate', 'Recreate'].includes(type))
      errors.notSupported('spec.strategy.type', type, ['Recreate', 'RollingUpdate']);
    if (type === 'Recreate' && rollingUpdate)
      errors.forbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'");
    if (isZero(rollingUpdate?.maxUnavailable) && isZero(rollingUpdate?.maxSurge))
      errors.invalid(
        'spec.strategy.rollingUpdate.maxUnavailable',
        rollingUpdate?.maxUnavailable,
        'may not be 0 when `maxSurge` is 0',
      );
  },
};

export const replicaSetStrategy: Strategy = {
  countsGenerations: true,
  selectable: (object) => ({ 'status.replicas': String((object as Partial<ReplicaSet>).status?.replicas ?? 0) }),
  complete: (object) => {
    const set = object as ReplicaSet;
    completeWorkload(set);
    set.spec.replicas ??= 1;
    set.status = { replicas: 0, ...set.status };
  },
  validate: (object, errors, old) => {
    validateWorkload(object as ReplicaSet, errors, old);
    validateReplicas((object as ReplicaSet).spec?.replicas, errors);
  },
};

export const daemonSetStrategy: Strategy = {
  countsGenerations: true,
  complete: (object) => {
    const set = object as DaemonSet;
    completeWorkload(set);
    const { spec } = set;
    spec.revisionHistoryLimit ??= 10;
    spec.updateStrategy = { ...spec.updateStrategy, type: spec.updateStrategy?.type ?? 'RollingUpdate' };
    if (spec.updateStrategy.type === 'RollingUpdate')
      spec.updateStrategy.rollingUpdate = { maxUnavailable: 1, maxSurge: 0, ...spec.updateStrategy.rollingUpdate };
  },
  validate: (object, errors, old) => {
    const { spec } = object as DaemonSet;
    validateWorkload(object as DaemonSet, errors, old);
    const { type = '', rollingUpdate } = spec.updateStrategy ?? {};
    if (!['RollingUpdate', 'OnDelete'].includes(type))
      errors.notSupported('spec.updateStrategy.type', type, ['OnDelete', 'RollingUpdate']);
    if (type === 'RollingUpdate') validateDaemonUpdate(rollingUpdate, errors);
  },
};

/** The template of a revision never changes; its number does, when an old template comes back. */
export const controllerRevisionStrategy: Strategy = {
  validate: (object, errors, old) => {
    const { data, revision } = object as ControllerRevision;
    if (revision < 0) errors.invalid('revision', revision, 'must be greater than or equal to 0');
    if (old && !isDeepStrictEqual((old as ControllerRevision).data, data))
      errors.invalid('data', data, 'field is immutable');
  },
};

function validateDaemonUpdate(
  { maxUnavailable, maxSurge }: { maxUnavailable?: IntOrString; maxSurge?: IntOrString } = {},
  errors: FieldErrors,
): void {
  const at = 'spec.updateStrategy.rollingUpdate';
  if (isZero(maxUnavailable) && isZero(maxSurge))
    errors.required(`${at}.maxUnavailable`, 'cannot be 0 when maxSurge is 0');
  if (!isZero(maxUnavailable) && !isZero(maxSurge))
    errors.invalid(`${at}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero');
}

function completeWorkload(workload: Workload): void {
  workload.spec ??= {} as Workload['spec'] & never;
  workload.status ??= {};
  const spec: Partial<Workload['spec']> = workload.spec;
  if (spec.template?.spec) completePodSpec(spec.template.spec);
}

function validateWorkload(workload: Workload, errors: FieldErrors, old: KubernetesObject | undefined): void {
  const spec: Partial<Workload['spec']> = workload.spec;
  const labels = spec.template?.metadata?.labels ?? {};
  if (!spec.selector) errors.required('spec.selector');
  else if (!hasTerms(spec.selector))
    errors.invalid('spec.selector', spec.selector, `empty selector is invalid for ${workload.kind.toLowerCase()}`);
  else if (!labelsMatch(spec.selector, labels))
    errors.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
  if (!spec.template?.spec) errors.required('spec.template.spec.containers');
  else {
    validatePodSpec(spec.template.spec, 'spec.template.spec', errors);
    if (spec.template.spec.restartPolicy !== 'Always')
      errors.notSupported('spec.template.spec.restartPolicy', spec.template.spec.restartPolicy, ['Always']);
  }
  if (old && !isDeepStrictEqual((old as Workload).spec.selector, spec.selector))
    errors.invalid('spec.selector', spec.selector, 'field is immutable');
}

function hasTerms({ matchLabels, matchExpressions }: { matchLabels?: object; matchExpressions?: unknown[] }): boolean {
  return Object.keys(matchLabels ?? {}).length + (matchExpressions?.length ?? 0) > 0;
}

function validateReplicas(replicas: number | undefined, errors: FieldErrors): void {
  if (replicas !== undefined && replicas < 0)
    errors.invalid('spec.replicas', replicas, 'must be greater than or equal to 0');
}

function isZero(value: IntOrString | undefined): boolean {
  return value === 0 || value === '0' || value === '0%';
}
