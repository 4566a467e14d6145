import { type Protocol, protocols } from '@sluice/model';
import type { Address } from '@sluice/net';
import { distinct, type Field, present } from '../field.ts';
import { type NamespacedRow, openNamespacedObject } from './metadata.ts';
import { isTrue } from './node.ts';

export interface ContainerPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly hostPort: number | undefined;
  /** Undefined: every address of the node. */
  readonly hostIp: Address | undefined;
}

export interface PodObject extends NamespacedRow {
  readonly labels: Readonly<Record<string, string>>;
  /** Those that carry settings for a network, such as kubernetes.io/egress-bandwidth. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Undefined: not scheduled yet. */
  readonly nodeName: string | undefined;
  readonly hostNetwork: boolean;
  readonly serviceAccount: string;
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
  readonly ready: boolean;
  readonly terminating: boolean;
  readonly podIps: readonly Address[];
  readonly hostIps: readonly Address[];
  readonly ports: readonly ContainerPort[];
}

const phases = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;
const annotationPrefixes = [
  'kubernetes.io/ingress-bandwidth',
  'kubernetes.io/egress-bandwidth',
  'cni.cilium.io/',
].concat(['policy.cilium.io/', 'io.cilium']);

export function parsePod(object: unknown): PodObject {
  const { root, name, namespace, uid } = openNamespacedObject(object, 'Pod');
  const metadata = root.get('metadata');
  const [spec, status] = [root.get('spec'), root.get('status')];
  return {
    namespace,
    name,
    uid,
    labels: metadata.get('labels').texts(),
    annotations: metadata
      .get('annotations')
      .texts((key) => annotationPrefixes.some((prefix) => key.startsWith(prefix))),
    nodeName: spec.get('nodeName').text() || undefined,
    hostNetwork: spec.get('hostNetwork').boolean() ?? false,
    serviceAccount: spec.get('serviceAccountName').text() ?? '',
    phase: status.get('phase').oneOf(phases) ?? 'Pending',
    ready: isTrue(status.get('conditions'), 'Ready'),
    terminating: metadata.get('deletionTimestamp').present,
    podIps: addressList(status, 'podIPs', 'podIP'),
    hostIps: addressList(status, 'hostIPs', 'hostIP'),
    ports: containerPorts(spec),
    problems: root.problems,
  };
}

// `podIPs` is a list of {ip}; older servers only have `podIP`.
function addressList(status: Field, list: string, single: string): Address[] {
  const items = status
    .get(list)
    .items()
    .map((item) => item.get('ip'));
  const fields = items.length > 0 ? items : [status.get(single)];
  return distinct(
    fields.filter((field) => field.value !== ''),
    (field) => field.address(),
    (address) => address,
  );
}

function containerPorts(spec: Field): readonly ContainerPort[] {
  const containers = [...spec.get('initContainers').items().filter(isSidecar), ...spec.get('containers').items()];
  return present(containers.flatMap((container) => container.get('ports').items()).map(containerPort));
}

// An init container that is always restarted runs beside the others.
function isSidecar(container: Field): boolean {
  return container.get('restartPolicy').value === 'Always';
}

function containerPort(field: Field): ContainerPort | undefined {
  const port = field.get('containerPort').port();
  const protocol = field.get('protocol').present ? field.get('protocol').oneOf(protocols) : 'TCP';
  if (port === undefined || protocol === undefined) return undefined;
  return {
    name: field.get('name').text() ?? '',
    protocol,
    port,
    hostPort: field.get('hostPort').value === 0 ? undefined : field.get('hostPort').port(),
    hostIp: isAnyAddress(field.get('hostIP').value) ? undefined : field.get('hostIP').address(),
  };
}

function isAnyAddress(value: unknown): boolean {
  return value === '' || value === '0.0.0.0' || value === '::';
}
