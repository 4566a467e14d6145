import type { ControllerRevision, DaemonSet, Deployment, PodTemplate, ReplicaSet } from '../kinds/types.ts';
import type { LabelSelector } from '../object.ts';
import { ageColumn, type Column, column, nameColumn } from './column.ts';

type Templated = { spec: { template: PodTemplate; selector: LabelSelector } } & (Deployment | ReplicaSet | DaemonSet);

const templateColumns: readonly Column[] = [
  column<Templated>(
    'Containers',
    ({ spec }) => spec.template.spec.containers.map((container) => container.name).join(','),
    { wide: true },
  ),
  column<Templated>(
    'Images',
    ({ spec }) => spec.template.spec.containers.map((container) => container.image).join(','),
    { wide: true },
  ),
  column<Templated>('Selector', ({ spec }) => selectorText(spec.selector), { wide: true }),
];

export const deploymentColumns: readonly Column[] = [
  nameColumn,
  column<Deployment>('Ready', ({ spec, status }) => `${status.readyReplicas ?? 0}/${spec.replicas ?? 1}`),
  column<Deployment>('Up-to-date', ({ status }) => status.updatedReplicas ?? 0, { type: 'integer' }),
  column<Deployment>('Available', ({ status }) => status.availableReplicas ?? 0, { type: 'integer' }),
  ageColumn,
  ...templateColumns,
];

export const replicaSetColumns: readonly Column[] = [
  nameColumn,
  column<ReplicaSet>('Desired', ({ spec }) => spec.replicas ?? 1, { type: 'integer' }),
  column<ReplicaSet>('Current', ({ status }) => status.replicas ?? 0, { type: 'integer' }),
  column<ReplicaSet>('Ready', ({ status }) => status.readyReplicas ?? 0, { type: 'integer' }),
  ageColumn,
  ...templateColumns,
];

export const daemonSetColumns: readonly Column[] = [
  nameColumn,
  column<DaemonSet>('Desired', ({ status }) => status.desiredNumberScheduled ?? 0, { type: 'integer' }),
  column<DaemonSet>('Current', ({ status }) => status.currentNumberScheduled ?? 0, { type: 'integer' }),
  column<DaemonSet>('Ready', ({ status }) => status.numberReady ?? 0, { type: 'integer' }),
  column<DaemonSet>('Up-to-date', ({ status }) => status.updatedNumberScheduled ?? 0, { type: 'integer' }),
  column<DaemonSet>('Available', ({ status }) => status.numberAvailable ?? 0, { type: 'integer' }),
  column<DaemonSet>('Node Selector', ({ spec }) => mapText(spec.template.spec.nodeSelector)),
  ageColumn,
  ...templateColumns,
];

export const controllerRevisionColumns: readonly Column[] = [
  nameColumn,
  column<ControllerRevision>('Controller', ({ metadata }) => {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller);
    return owner ? `${owner.kind.toLowerCase()}.${owner.apiVersion.split('/')[0]}/${owner.name}` : '<none>';
  }),
  column<ControllerRevision>('Revision', ({ revision }) => revision, { type: 'integer' }),
  ageColumn,
];

/** `app=web,tier in (a,b)`, `<none>` when it selects everything. */
export function selectorText(selector: LabelSelector | undefined): string {
  const terms = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values } of selector?.matchExpressions ?? []) {
    if (operator === 'Exists') terms.push(key);
    else if (operator === 'DoesNotExist') terms.push(`!${key}`);
    else terms.push(`${key} ${operator === 'In' ? 'in' : 'notin'} (${(values ?? []).join(',')})`);
  }
  return terms.length === 0 ? '<none>' : terms.join(',');
}

export function mapText(map: Record<string, string> | undefined): string {
  return selectorText(map ? { matchLabels: map } : undefined);
}
