import { isAddress, parsePrefix } from '@sluice/net';
import { forbidden, type Subject } from '../api-error.ts';
import type { FieldErrors } from '../field-errors.ts';
import { labelNameProblem, pathSegmentNameProblem, portNameProblem, portProblem } from '../names.ts';
import type { KubernetesObject } from '../object.ts';
import type { Strategy } from '../resources.ts';
import type { EndpointSlice, Event, Lease, Namespace, Node } from './types.ts';

const namespaceSubject: Subject = { group: '', plural: 'namespaces', kind: 'Namespace' };
const undeletable = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

export const namespaceStrategy: Strategy = {
  nameProblem: labelNameProblem,
  selectable: (object) => ({ 'status.phase': (object as Partial<Namespace>).status?.phase ?? '' }),
  complete: (object, old) => {
    const namespace = object as Namespace;
    if (!old) {
      namespace.spec = { finalizers: ['kubernetes'] };
      namespace.status = { phase: 'Active' };
    }
    namespace.metadata.labels = {
      ...namespace.metadata.labels,
      'kubernetes.io/metadata.name': namespace.metadata.name,
    };
  },
  beforeDelete: ({ metadata: { name } }) => {
    if (undeletable.includes(name)) throw forbidden(namespaceSubject, name, 'this namespace may not be deleted');
  },
};

export const nodeStrategy: Strategy = {
  selectable: (object) => ({ 'spec.unschedulable': String((object as Partial<Node>).spec?.unschedulable ?? false) }),
  complete: (object) => {
    const node = object as Node;
    node.spec ??= {};
    node.status ??= {};
    const first = node.spec.podCIDRs?.[0];
    if (first !== undefined) node.spec.podCIDR ??= first;
    else if (node.spec.podCIDR) node.spec.podCIDRs = [node.spec.podCIDR];
  },
  validate: (object, errors, oldObject) => {
    const node = object as Node;
    const old = oldObject as Node | undefined;
    for (const [index, cidr] of (node.spec.podCIDRs ?? []).entries())
      if (!isPrefix(cidr))
        errors.invalid(
          `spec.podCIDRs[${index}]`,
          cidr,
          'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        );
    if (node.spec.podCIDR && node.spec.podCIDRs?.[0] !== node.spec.podCIDR)
      errors.invalid('spec.podCIDRs[0]', node.spec.podCIDRs?.[0], 'node.spec.podCIDRs[0] must match node.spec.podCIDR');
    if (old?.spec.podCIDRs?.length && old.spec.podCIDRs.join() !== (node.spec.podCIDRs ?? []).join())
      errors.forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid');
    for (const [index, { type, address }] of (node.status.addresses ?? []).entries())
      if (type.endsWith('IP') && !isAddress(address))
        errors.invalid(`status.addresses[${index}].address`, address, 'must be a valid IP address');
  },
};

export const eventStrategy: Strategy = {
  selectable: (object) => {
    const { involvedObject = {}, reason, type, source } = object as Partial<Event>;
    return {
      'involvedObject.kind': involvedObject.kind ?? '',
      'involvedObject.namespace': involvedObject.namespace ?? '',
      'involvedObject.name': involvedObject.name ?? '',
      'involvedObject.uid': involvedObject.uid ?? '',
      'involvedObject.apiVersion': involvedObject.apiVersion ?? '',
      'involvedObject.fieldPath': involvedObject.fieldPath ?? '',
      'involvedObject.resourceVersion': '',
      reason: reason ?? '',
      reportingComponent: '',
      source: source?.component ?? '',
      type: type ?? '',
    };
  },
  validate: (object, errors) => {
    const event = object as Event;
    if (!event.involvedObject) errors.required('involvedObject');
    else if (
      (event.involvedObject.namespace ?? 'default') !== (event.metadata.namespace ?? '') &&
      event.involvedObject.namespace
    )
      errors.invalid('involvedObject.namespace', event.involvedObject.namespace, 'does not match event.namespace');
  },
};

export const endpointSliceStrategy: Strategy = {
  countsGenerations: true,
  complete: (object) => {
    const slice = object as EndpointSlice;
    slice.endpoints ??= [];
    for (const port of slice.ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate: (object, errors, old) => {
    const slice = object as EndpointSlice;
    if (!['IPv4', 'IPv6', 'FQDN'].includes(slice.addressType))
      errors.notSupported('addressType', slice.addressType ?? '', ['FQDN', 'IPv4', 'IPv6']);
    if (old && (old as EndpointSlice).addressType !== slice.addressType)
      errors.invalid('addressType', slice.addressType, 'field is immutable');
    if (slice.endpoints.length > 1000)
      errors.invalid('endpoints', slice.endpoints.length, 'must have at most 1000 items');
    for (const [index, endpoint] of slice.endpoints.entries())
      validateEndpoint(endpoint.addresses, slice.addressType, `endpoints[${index}].addresses`, errors);
    for (const [index, port] of (slice.ports ?? []).entries()) {
      if (port.port !== undefined && portProblem(port.port))
        errors.invalid(`ports[${index}].port`, port.port, portProblem(port.port) ?? '');
      const problem = port.name ? labelNameProblem(port.name) : undefined;
      if (problem) errors.invalid(`ports[${index}].name`, port.name, problem);
    }
  },
};

function validateEndpoint(
  addresses: readonly string[] | undefined,
  type: EndpointSlice['addressType'],
  path: string,
  errors: FieldErrors,
): void {
  if (!addresses || addresses.length === 0) {
    errors.required(path, 'must contain at least 1 address');
    return;
  }
  if (addresses.length > 100) errors.invalid(path, addresses.length, 'must have at most 100 items');
  for (const [index, address] of addresses.entries()) {
    if (type === 'FQDN') continue;
    const fits = isAddress(address) && address.includes(':') === (type === 'IPv6');
    if (!fits) errors.invalid(`${path}[${index}]`, address, `must be a valid ${type} address`);
  }
}

export const leaseStrategy: Strategy = {
  complete: (object) => {
    object.spec ??= {};
  },
  validate: (object, errors) => {
    const { spec } = object as Lease;
    if (spec.leaseDurationSeconds != null && spec.leaseDurationSeconds <= 0)
      errors.invalid('spec.leaseDurationSeconds', spec.leaseDurationSeconds, 'must be greater than 0');
    if (spec.leaseTransitions != null && spec.leaseTransitions < 0)
      errors.invalid('spec.leaseTransitions', spec.leaseTransitions, 'must be greater than or equal to 0');
  },
};

export const serviceCidrStrategy: Strategy = {
  validate: (object, errors, old) => {
    const cidrs = cidrsOf(object);
    if (cidrs.length === 0) errors.required('spec.cidrs', 'at least one CIDR required');
    if (cidrs.length > 2) errors.invalid('spec.cidrs', cidrs, 'may only hold up to 2 values');
    for (const [index, cidr] of cidrs.entries())
      if (!isPrefix(cidr))
        errors.invalid(`spec.cidrs[${index}]`, cidr, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)');
    if (old && cidrsOf(old).join() !== cidrs.join()) errors.invalid('spec.cidrs', cidrs, 'field is immutable');
  },
};

function cidrsOf(object: KubernetesObject): string[] {
  return (object.spec as { cidrs?: string[] } | undefined)?.cidrs ?? [];
}

export const secretStrategy: Strategy = {
  selectable: (object) => ({ type: typeof object.type === 'string' ? object.type : '' }),
  complete: (object) => {
    object.type ??= 'Opaque';
    const plain = object.stringData as Record<string, string> | undefined;
    if (!plain) return;
    const encoded = Object.fromEntries(
      Object.entries(plain).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    );
    object.data = { ...(object.data as object | undefined), ...encoded };
    delete object.stringData;
  },
};

export const networkPolicyStrategy: Strategy = {
  countsGenerations: true,
  complete: (object) => {
    const policy = object as KubernetesObject & {
      spec?: { podSelector?: object; policyTypes?: string[]; egress?: unknown[] };
    };
    policy.spec ??= {};
    policy.spec.podSelector ??= {};
    policy.spec.policyTypes ??= policy.spec.egress ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  validate: (object, errors) => {
    const spec = object.spec as { policyTypes: string[]; ingress?: Rule[]; egress?: Rule[] };
    for (const [index, type] of spec.policyTypes.entries())
      if (!['Ingress', 'Egress'].includes(type))
        errors.notSupported(`spec.policyTypes[${index}]`, type, ['Egress', 'Ingress']);
    for (const direction of ['ingress', 'egress'] as const)
      for (const [index, rule] of (spec[direction] ?? []).entries())
        validateRulePorts(rule, `spec.${direction}[${index}]`, errors);
  },
};

interface Rule {
  ports?: { port?: number | string; endPort?: number; protocol?: string }[];
}

function validateRulePorts(rule: Rule, path: string, errors: FieldErrors): void {
  for (const [index, { port }] of (rule.ports ?? []).entries()) {
    const problem =
      port === undefined ? undefined : typeof port === 'string' ? portNameProblem(port) : portProblem(port);
    if (problem) errors.invalid(`${path}.ports[${index}].port`, port, problem);
  }
}

export const rbacStrategy: Strategy = { nameProblem: pathSegmentNameProblem };

function isPrefix(text: string): boolean {
  try {
    parsePrefix(text);
    return true;
  } catch {
    return false;
  }
}
