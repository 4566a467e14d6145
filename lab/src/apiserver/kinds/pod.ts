import { isDeepStrictEqual } from 'node:util';
import type { FieldErrors } from '../field-errors.ts';
import { labelNameProblem, portNameProblem, portProblem, subdomainNameProblem } from '../names.ts';
import type { Strategy } from '../resources.ts';
import type { Container, Pod, PodSpec, Probe, Toleration } from './types.ts';

export const podStrategy: Strategy = {
  countsGenerations: true,
  selectable: (object) => {
    const { spec, status } = object as Partial<Pod>;
    return {
      'spec.nodeName': spec?.nodeName ?? '',
      'spec.restartPolicy': spec?.restartPolicy ?? '',
      'spec.serviceAccountName': spec?.serviceAccountName ?? '',
      'spec.hostNetwork': String(spec?.hostNetwork ?? false),
      'status.phase': status?.phase ?? '',
      'status.podIP': status?.podIP ?? '',
    };
  },
  complete: (object, old) => {
    const pod = object as Pod;
    pod.spec ??= { containers: [] };
    completePodSpec(pod.spec);
    if (!old) {
      pod.spec.tolerations = withDefaultTolerations(pod.spec.tolerations ?? []);
      pod.spec.priority ??= 0;
      pod.spec.preemptionPolicy ??= 'PreemptLowerPriority';
    }
    pod.status = {
      ...pod.status,
      phase: pod.status?.phase ?? 'Pending',
      qosClass: pod.status?.qosClass ?? qosClass(pod.spec),
    };
  },
  validate: (object, errors, old) => {
    const pod = object as Pod;
    validatePodSpec(pod.spec, 'spec', errors);
    if (old) validatePodUpdate(pod, old as Pod, errors);
  },
  gracePeriodSeconds: (object) => {
    const { spec, status } = object as Pod;
    const isOver = status.phase === 'Succeeded' || status.phase === 'Failed';
    return !spec.nodeName || isOver ? 0 : (spec.terminationGracePeriodSeconds ?? 30);
  },
};

/** Defaults of a pod's spec, also inside templates. */
export function completePodSpec(spec: PodSpec): void {
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.securityContext ??= {};
  spec.schedulerName ??= 'default-scheduler';
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) completeContainer(container);
}

function completeContainer(container: Container): void {
  container.imagePullPolicy ??= /:(?!latest$)[^/]+$/.test(container.image ?? '') ? 'IfNotPresent' : 'Always';
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  container.resources ??= {};
  for (const port of container.ports ?? []) port.protocol ??= 'TCP';
  for (const probe of [container.readinessProbe, container.livenessProbe]) if (probe) completeProbe(probe);
  for (const { valueFrom } of container.env ?? []) {
    const fieldRef: { fieldPath: string; apiVersion?: string } | undefined = valueFrom?.fieldRef;
    if (fieldRef) fieldRef.apiVersion ??= 'v1';
  }
}

function completeProbe(probe: Probe): void {
  probe.timeoutSeconds ??= 1;
  probe.periodSeconds ??= 10;
  probe.successThreshold ??= 1;
  probe.failureThreshold ??= 3;
  if (probe.httpGet) {
    probe.httpGet.path ??= '/';
    probe.httpGet.scheme ??= 'HTTP';
  }
}

/** Pods stay five minutes on a node that is gone, unless they say otherwise. */
function withDefaultTolerations(tolerations: Toleration[]): Toleration[] {
  const missing = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].filter(
    (key) => !tolerations.some((t) => (t.key === key || !t.key) && (t.effect === 'NoExecute' || !t.effect)),
  );
  const added = missing.map((key) => ({
    key,
    operator: 'Exists' as const,
    effect: 'NoExecute',
    tolerationSeconds: 300,
  }));
  return [...tolerations, ...added];
}

function qosClass({ containers }: PodSpec): string {
  const resources = (containers ?? []).map((container) => container.resources ?? {});
  if (resources.every(({ requests, limits }) => !requests && !limits)) return 'BestEffort';
  const guaranteed = resources.every(
    ({ requests, limits }) => limits?.cpu && limits.memory && (!requests || isDeepStrictEqual(requests, limits)),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

const restartPolicies = ['Always', 'OnFailure', 'Never'];

export function validatePodSpec(spec: PodSpec, path: string, errors: FieldErrors): void {
  if (!spec?.containers || spec.containers.length === 0) errors.required(`${path}.containers`);
  const names = new Set<string>();
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (spec?.[list] ?? []).entries()) {
      const at = `${path}.${list}[${index}]`;
      validateContainer(container, at, errors);
      if (names.has(container.name)) errors.duplicate(`${at}.name`, container.name);
      names.add(container.name);
    }
  }
  if (spec?.restartPolicy && !restartPolicies.includes(spec.restartPolicy))
    errors.notSupported(`${path}.restartPolicy`, spec.restartPolicy, restartPolicies);
  if ((spec?.terminationGracePeriodSeconds ?? 0) < 0)
    errors.invalid(
      `${path}.terminationGracePeriodSeconds`,
      spec.terminationGracePeriodSeconds,
      'must be greater than or equal to 0',
    );
  for (const field of ['hostname', 'subdomain'] as const) {
    const problem = spec?.[field] ? labelNameProblem(spec[field]) : undefined;
    if (problem) errors.invalid(`${path}.${field}`, spec[field], problem);
  }
  const nodeProblem = spec?.nodeName ? subdomainNameProblem(spec.nodeName) : undefined;
  if (nodeProblem) errors.invalid(`${path}.nodeName`, spec.nodeName, nodeProblem);
}

function validateContainer(container: Container, path: string, errors: FieldErrors): void {
  const nameProblem = container.name ? labelNameProblem(container.name) : undefined;
  if (!container.name) errors.required(`${path}.name`);
  if (nameProblem) errors.invalid(`${path}.name`, container.name, nameProblem);
  if (!container.image) errors.required(`${path}.image`);
  const names = new Set<string>();
  for (const [index, port] of (container.ports ?? []).entries()) {
    const at = `${path}.ports[${index}]`;
    if (port.containerPort === undefined) errors.required(`${at}.containerPort`);
    else if (portProblem(port.containerPort))
      errors.invalid(`${at}.containerPort`, port.containerPort, portProblem(port.containerPort) ?? '');
    if (port.hostPort && portProblem(port.hostPort))
      errors.invalid(`${at}.hostPort`, port.hostPort, portProblem(port.hostPort) ?? '');
    if (port.protocol && !['TCP', 'UDP', 'SCTP'].includes(port.protocol))
      errors.notSupported(`${at}.protocol`, port.protocol, ['TCP', 'UDP', 'SCTP']);
    const problem = port.name ? portNameProblem(port.name) : undefined;
    if (problem) errors.invalid(`${at}.name`, port.name, problem);
    if (port.name && names.has(port.name)) errors.duplicate(`${at}.name`, port.name);
    if (port.name) names.add(port.name);
  }
}

const mutable =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** A pod's spec is fixed; the scheduler sets nodeName once, through the binding subresource. */
function validatePodUpdate(pod: Pod, old: Pod, errors: FieldErrors): void {
  const fixed = (spec: PodSpec) => ({
    ...spec,
    nodeName: old.spec.nodeName ? spec.nodeName : undefined,
    activeDeadlineSeconds: undefined,
    tolerations: undefined,
    containers: spec.containers.map((container) => ({ ...container, image: '' })),
    initContainers: spec.initContainers?.map((container) => ({ ...container, image: '' })),
  });
  if (!isDeepStrictEqual(fixed(pod.spec), fixed(old.spec))) errors.forbidden('spec', mutable);
}
