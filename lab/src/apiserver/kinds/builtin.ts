import { customResourceDefinitionStrategy } from '../custom/definition.ts';
import type { Column } from '../printing/column.ts';
import * as core from '../printing/core.ts';
import { podColumns } from '../printing/pods.ts';
import {
  controllerRevisionColumns,
  daemonSetColumns,
  deploymentColumns,
  replicaSetColumns,
} from '../printing/workloads.ts';
import type { Resource, Strategy } from '../resources.ts';
import type { Allocations } from '../services/allocations.ts';
import { serviceStrategy } from '../services/strategy.ts';
import * as plain from './plain.ts';
import { podStrategy } from './pod.ts';
import { controllerRevisionStrategy, daemonSetStrategy, deploymentStrategy, replicaSetStrategy } from './workloads.ts';

interface Kind {
  group?: string;
  /** The name of its Go package when that is not the group's first word. */
  package?: string;
  kind: string;
  plural: string;
  short?: string[];
  cluster?: boolean;
  inAll?: boolean;
  subresources?: string[];
  columns?: readonly Column[];
  strategy?: Strategy;
}

/** Every built-in kind that the lab serves. */
export function builtinResources(allocations: Allocations): Resource[] {
  const service = serviceStrategy(allocations, { group: '', plural: 'services', kind: 'Service' });
  const rbac = {
    group: 'rbac.authorization.k8s.io',
    package: 'rbac',
    columns: core.createdAtColumns,
    strategy: plain.rbacStrategy,
  };
  const kinds: Kind[] = [
    {
      kind: 'Namespace',
      plural: 'namespaces',
      short: ['ns'],
      cluster: true,
      subresources: ['status', 'finalize'],
      columns: core.namespaceColumns,
      strategy: plain.namespaceStrategy,
    },
    {
      kind: 'Pod',
      plural: 'pods',
      short: ['po'],
      inAll: true,
      subresources: ['status', 'log', 'exec', 'binding', 'eviction'],
      columns: podColumns,
      strategy: podStrategy,
    },
    {
      kind: 'Service',
      plural: 'services',
      short: ['svc'],
      inAll: true,
      subresources: ['status'],
      columns: core.serviceColumns,
      strategy: service,
    },
    {
      kind: 'Node',
      plural: 'nodes',
      short: ['no'],
      cluster: true,
      subresources: ['status'],
      columns: core.nodeColumns,
      strategy: plain.nodeStrategy,
    },
    { kind: 'ConfigMap', plural: 'configmaps', short: ['cm'], columns: core.configMapColumns },
    { kind: 'Secret', plural: 'secrets', columns: core.secretColumns, strategy: plain.secretStrategy },
    { kind: 'ServiceAccount', plural: 'serviceaccounts', short: ['sa'], columns: core.serviceAccountColumns },
    { kind: 'Event', plural: 'events', short: ['ev'], columns: core.eventColumns, strategy: plain.eventStrategy },
    {
      group: 'apps',
      kind: 'Deployment',
      plural: 'deployments',
      short: ['deploy'],
      inAll: true,
      subresources: ['status', 'scale'],
      columns: deploymentColumns,
      strategy: deploymentStrategy,
    },
    {
      group: 'apps',
      kind: 'ReplicaSet',
      plural: 'replicasets',
      short: ['rs'],
      inAll: true,
      subresources: ['status', 'scale'],
      columns: replicaSetColumns,
      strategy: replicaSetStrategy,
    },
    {
      group: 'apps',
      kind: 'DaemonSet',
      plural: 'daemonsets',
      short: ['ds'],
      inAll: true,
      subresources: ['status'],
      columns: daemonSetColumns,
      strategy: daemonSetStrategy,
    },
    {
      group: 'apps',
      kind: 'ControllerRevision',
      plural: 'controllerrevisions',
      columns: controllerRevisionColumns,
      strategy: controllerRevisionStrategy,
    },
    {
      group: 'discovery.k8s.io',
      kind: 'EndpointSlice',
      plural: 'endpointslices',
      columns: core.endpointSliceColumns,
      strategy: plain.endpointSliceStrategy,
    },
    {
      group: 'coordination.k8s.io',
      kind: 'Lease',
      plural: 'leases',
      columns: core.leaseColumns,
      strategy: plain.leaseStrategy,
    },
    {
      group: 'networking.k8s.io',
      kind: 'ServiceCIDR',
      plural: 'servicecidrs',
      cluster: true,
      subresources: ['status'],
      columns: core.serviceCidrColumns,
      strategy: plain.serviceCidrStrategy,
    },
    {
      group: 'networking.k8s.io',
      kind: 'NetworkPolicy',
      plural: 'networkpolicies',
      short: ['netpol'],
      columns: core.networkPolicyColumns,
      strategy: plain.networkPolicyStrategy,
    },
    { ...rbac, kind: 'Role', plural: 'roles' },
    { ...rbac, kind: 'RoleBinding', plural: 'rolebindings' },
    { ...rbac, kind: 'ClusterRole', plural: 'clusterroles', cluster: true },
    { ...rbac, kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', cluster: true },
    {
      group: 'apiextensions.k8s.io',
      kind: 'CustomResourceDefinition',
      plural: 'customresourcedefinitions',
      short: ['crd', 'crds'],
      cluster: true,
      subresources: ['status'],
      columns: core.createdAtColumns,
      strategy: customResourceDefinitionStrategy,
    },
  ];
  return kinds.map(toResource);
}

function toResource(kind: Kind): Resource {
  const group = kind.group ?? '';
  const goPackage = kind.package ?? (group === '' ? 'core' : (group.split('.')[0] ?? group));
  return {
    id: group === '' ? kind.plural : `${kind.plural}.${group}`,
    group,
    plural: kind.plural,
    singular: kind.kind.toLowerCase(),
    kind: kind.kind,
    listKind: `${kind.kind}List`,
    namespaced: !kind.cluster,
    shortNames: kind.short ?? [],
    categories: kind.inAll ? ['all'] : [],
    versions: [
      {
        name: 'v1',
        schema: { type: `${goPackage}.v1.${kind.kind}` },
        columns: kind.columns ?? core.plainColumns,
        subresources: new Set(kind.subresources ?? []),
      },
    ],
    storageVersion: 'v1',
    strategy: kind.strategy ?? {},
    custom: false,
  };
}
