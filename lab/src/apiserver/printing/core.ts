import type { EndpointSlice, Event, Lease, Namespace, Node, Service } from '../kinds/types.ts';
import type { KubernetesObject, LabelSelector } from '../object.ts';
import { age, ageColumn, type Column, column, nameColumn } from './column.ts';
import { mapText, selectorText } from './workloads.ts';

export const plainColumns: readonly Column[] = [nameColumn, ageColumn];

export const createdAtColumns: readonly Column[] = [
  nameColumn,
  column('Created At', (object) => object.metadata.creationTimestamp),
];

export const namespaceColumns: readonly Column[] = [
  nameColumn,
  column<Namespace>('Status', (namespace) => namespace.status.phase),
  ageColumn,
];

export const serviceColumns: readonly Column[] = [
  nameColumn,
  column<Service>('Type', ({ spec }) => spec.type ?? 'ClusterIP'),
  column<Service>('Cluster-IP', ({ spec }) => spec.clusterIP || '<none>'),
  column<Service>('External-IP', externalAddresses),
  column<Service>('Port(s)', ({ spec }) => servicePorts(spec.ports)),
  ageColumn,
  column<Service>('Selector', ({ spec }) => mapText(spec.selector), { wide: true }),
];

function externalAddresses({ spec, status }: Service): string {
  const given = (status.loadBalancer?.ingress ?? []).map((ingress) => ingress.ip ?? '');
  const addresses = [...(spec.type === 'LoadBalancer' ? given : []), ...(spec.externalIPs ?? [])];
  if (spec.type === 'ExternalName') return spec.externalName ?? '<none>';
  if (addresses.length > 0) return addresses.join(',');
  return spec.type === 'LoadBalancer' ? '<pending>' : '<none>';
}

function servicePorts(ports: Service['spec']['ports']): string {
  if (!ports || ports.length === 0) return '<none>';
  return ports
    .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol ?? 'TCP'}`)
    .join(',');
}

const rolePrefix = 'node-role.kubernetes.io/';

export const nodeColumns: readonly Column[] = [
  nameColumn,
  column<Node>('Status', nodeStatus),
  column<Node>('Roles', ({ metadata }) => {
    const roles = Object.keys(metadata.labels ?? {}).filter((label) => label.startsWith(rolePrefix));
    return (
      roles
        .map((label) => label.slice(rolePrefix.length))
        .sort()
        .join(',') || '<none>'
    );
  }),
  ageColumn,
  column<Node>('Version', ({ status }) => status.nodeInfo?.kubeletVersion ?? ''),
  column<Node>('Internal-IP', (node) => nodeAddress(node, 'InternalIP'), { wide: true }),
  column<Node>('External-IP', (node) => nodeAddress(node, 'ExternalIP'), { wide: true }),
  column<Node>('OS-Image', ({ status }) => status.nodeInfo?.osImage || '<unknown>', { wide: true }),
  column<Node>('Kernel-Version', ({ status }) => status.nodeInfo?.kernelVersion || '<unknown>', { wide: true }),
  column<Node>('Container-Runtime', ({ status }) => status.nodeInfo?.containerRuntimeVersion || '<unknown>', {
    wide: true,
  }),
];

function nodeStatus({ spec, status }: Node): string {
  const ready = status.conditions?.find((condition) => condition.type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (spec.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeAddress({ status }: Node, type: string): string {
  return status.addresses?.find((address) => address.type === type)?.address ?? '<none>';
}

type WithData = KubernetesObject & { data?: object; binaryData?: object; type?: string; secrets?: unknown[] };
const dataCount = (object: WithData) =>
  Object.keys(object.data ?? {}).length + Object.keys(object.binaryData ?? {}).length;

export const configMapColumns: readonly Column[] = [
  nameColumn,
  column<WithData>('Data', dataCount, { type: 'integer' }),
  ageColumn,
];

export const secretColumns: readonly Column[] = [
  nameColumn,
  column<WithData>('Type', (secret) => secret.type ?? 'Opaque'),
  column<WithData>('Data', dataCount, { type: 'integer' }),
  ageColumn,
];

export const serviceAccountColumns: readonly Column[] = [
  nameColumn,
  column<WithData>('Secrets', (account) => account.secrets?.length ?? 0, { type: 'integer' }),
  ageColumn,
];

export const eventColumns: readonly Column[] = [
  column<Event>('Last Seen', (event) => age(lastSeen(event))),
  column<Event>('Type', (event) => event.type ?? ''),
  column<Event>('Reason', (event) => event.reason ?? ''),
  column<Event>('Object', ({ involvedObject: { kind, name } }) => `${(kind ?? '').toLowerCase()}/${name ?? ''}`),
  column<Event>('Subobject', (event) => event.involvedObject.fieldPath ?? '', { wide: true }),
  column<Event>('Source', ({ source }) => [source?.component, source?.host].filter(Boolean).join(', '), { wide: true }),
  column<Event>('Message', (event) => (event.message ?? '').trim()),
  column<Event>('First Seen', (event) => age(event.firstTimestamp ?? lastSeen(event)), { wide: true }),
  column<Event>('Count', (event) => event.count ?? 1, { wide: true, type: 'integer' }),
  column<Event>('Name', (event) => event.metadata.name, { wide: true }),
];

function lastSeen(event: Event): string {
  const eventTime = typeof event.eventTime === 'string' ? event.eventTime : undefined;
  return event.lastTimestamp ?? event.firstTimestamp ?? eventTime ?? event.metadata.creationTimestamp;
}

/** Shown of a long list before `+ n more...`. */
const shownMax = 3;

export const endpointSliceColumns: readonly Column[] = [
  nameColumn,
  column<EndpointSlice>('AddressType', (slice) => slice.addressType),
  column<EndpointSlice>('Ports', (slice) =>
    shortened(
      (slice.ports ?? []).map((port) => String(port.port ?? '*')),
      '<unset>',
    ),
  ),
  column<EndpointSlice>('Endpoints', (slice) =>
    shortened(
      slice.endpoints.flatMap((endpoint) => endpoint.addresses),
      '<unset>',
    ),
  ),
  ageColumn,
];

function shortened(values: readonly string[], none: string): string {
  if (values.length === 0) return none;
  const more = values.length > shownMax ? ` + ${values.length - shownMax} more...` : '';
  return values.slice(0, shownMax).join(',') + more;
}

export const leaseColumns: readonly Column[] = [
  nameColumn,
  column<Lease>('Holder', ({ spec }) => spec?.holderIdentity ?? ''),
  ageColumn,
];

type WithCidrs = KubernetesObject & { spec: { cidrs?: string[] } };
export const serviceCidrColumns: readonly Column[] = [
  nameColumn,
  column<WithCidrs>('CIDRs', ({ spec }) => (spec.cidrs ?? []).join(',')),
  ageColumn,
];

type Policy = KubernetesObject & { spec: { podSelector?: LabelSelector } };
export const networkPolicyColumns: readonly Column[] = [
  nameColumn,
  column<Policy>('Pod-Selector', ({ spec }) => selectorText(spec.podSelector)),
  ageColumn,
];
