/** The pods and services of the connectivity test: clients and a server on one node, a server on another. */
import { createHash } from 'node:crypto';

export const NAMESPACE_DEFAULT = 'sluice-test';
export const PORT = 8080;
/** Nobody listens there. */
export const CLOSED_PORT = 8081;
export const SERVICE_PORT = 80;
/** Pods on the host's network share its ports: one that nothing else uses. */
export const HOST_PORT = 18_080;
/** The two backends of the services `pair`, `pair-sticky` and `headless`, as their answers name them. */
export const PAIR = ['host=echo-same-node', 'host=echo-other-node'] as const;

/** Marks what the test has made, and may take away. */
export const OWNER_LABEL = 'app.kubernetes.io/managed-by';
export const OWNER = 'sluice-connectivity-test';
/** A digest of the object as the test wants it: what is left of another run, made otherwise, is replaced. */
export const PLAN_ANNOTATION = 'sluice.io/plan';

export interface Placement {
  readonly namespace: string;
  readonly image: string;
  /** The client's node and another one; the same where the cluster has only one. */
  readonly nodes: readonly [near: string, far: string];
}

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
}

interface PodPlan {
  readonly name: string;
  readonly node: string;
  readonly port: number;
  readonly hostNetwork: boolean;
  /** May make raw packets, network namespaces and devices of its own. */
  readonly privileged: boolean;
}

const app = (name: string) => ({ app: name });
const pair = { pair: 'yes' };

/** With one node nothing is elsewhere, and only one pod can have a port of the host's network. */
export function podPlans({ nodes: [near, far] }: Placement): PodPlan[] {
  const pod = (name: string, node: string): PodPlan => ({
    ...{ name, node, port: PORT, hostNetwork: false, privileged: name === 'packets' },
  });
  const host = (name: string, node: string): PodPlan => ({
    ...{ name, node, port: HOST_PORT, hostNetwork: true, privileged: true },
  });
  return [
    pod('client', near),
    pod('packets', near),
    pod('echo-same-node', near),
    host('host-near', near),
    ...(near === far ? [] : [pod('echo-other-node', far), host('host-far', far)]),
  ];
}

function labelsOf({ name }: PodPlan): Readonly<Record<string, string>> {
  return { ...app(name), ...(PAIR.some((host) => host === `host=${name}`) && pair) };
}

/** How many pods are behind a service. */
export function podsBehind({ selector }: ServicePlan, placement: Placement): number {
  const isSelected = (labels: Readonly<Record<string, string>>) =>
    Object.entries(selector).every(([name, value]) => labels[name] === value);
  return podPlans(placement).filter((plan) => isSelected(labelsOf(plan))).length;
}

export interface ServicePlan {
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly targetPort?: number;
  readonly more?: Readonly<Record<string, unknown>>;
}

const single = (family: 'IPv4' | 'IPv6') => ({ ipFamilyPolicy: 'SingleStack', ipFamilies: [family] });

export const SERVICES: readonly ServicePlan[] = [
  // Pods that are asked to reach themselves.
  { name: 'client', selector: app('client') },
  { name: 'packets', selector: app('packets') },
  { name: 'echo-same-node', selector: app('echo-same-node') },
  { name: 'echo-other-node', selector: app('echo-other-node') },
  { name: 'host-far', selector: app('host-far'), targetPort: HOST_PORT },
  { name: 'nobody', selector: app('nobody') },
  { name: 'closed', selector: app('echo-other-node'), targetPort: CLOSED_PORT },
  { name: 'pair', selector: pair },
  { name: 'pair-sticky', selector: pair, more: { sessionAffinity: 'ClientIP' } },
  { name: 'node-port', selector: app('echo-other-node'), more: { type: 'NodePort' } },
  { name: 'node-port-near', selector: app('echo-same-node'), more: { type: 'NodePort' } },
  {
    name: 'node-port-local',
    selector: app('echo-other-node'),
    more: { type: 'NodePort', externalTrafficPolicy: 'Local' },
  },
  { name: 'headless', selector: pair, more: { clusterIP: 'None' } },
  { name: 'only-ipv4', selector: app('echo-other-node'), more: single('IPv4') },
  { name: 'only-ipv6', selector: app('echo-other-node'), more: single('IPv6') },
];

/** In the order in which they can be made: the namespace first. */
export function workload(placement: Placement): KubernetesObject[] {
  return [
    planned({ apiVersion: 'v1', kind: 'Namespace', name: placement.namespace, labels: namespaceLabels }),
    ...SERVICES.map((plan) => service(plan, placement.namespace)),
    ...podPlans(placement).map((plan) => pod(plan, placement)),
  ];
}

/** Pods on the host's network and privileged ones are what some cases are about. */
const namespaceLabels = { 'pod-security.kubernetes.io/enforce': 'privileged' };

interface Plan {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

function planned({ apiVersion, kind, name, namespace, labels, spec }: Plan): KubernetesObject {
  const digest = createHash('sha256').update(JSON.stringify({ labels, spec })).digest('hex').slice(0, 16);
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      labels: { ...labels, [OWNER_LABEL]: OWNER },
      annotations: { [PLAN_ANNOTATION]: digest },
    },
    ...(spec !== undefined && { spec }),
  };
}

function pod(plan: PodPlan, { namespace, image }: Placement): KubernetesObject {
  const port = String(plan.port);
  return planned({
    apiVersion: 'v1',
    kind: 'Pod',
    name: plan.name,
    namespace,
    labels: labelsOf(plan),
    spec: {
      nodeName: plan.node,
      hostNetwork: plan.hostNetwork,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'echo',
          image,
          // A name without a tag would be asked for at a registry each time.
          imagePullPolicy: 'IfNotPresent',
          args: ['--tcp', port, '--udp', port],
          env: [{ name: 'NODE_NAME', value: plan.node }],
          ports: [{ containerPort: plan.port }],
          readinessProbe: { tcpSocket: { port: plan.port }, periodSeconds: 1 },
          // Every pod pings.
          securityContext: plan.privileged ? { privileged: true } : { capabilities: { add: ['NET_RAW'] } },
        },
      ],
    },
  });
}

function service({ name, selector, targetPort = PORT, more }: ServicePlan, namespace: string): KubernetesObject {
  return planned({
    apiVersion: 'v1',
    kind: 'Service',
    name,
    namespace,
    labels: {},
    spec: {
      selector,
      ipFamilyPolicy: 'PreferDualStack',
      ports: (['TCP', 'UDP'] as const).map((protocol) => ({
        name: protocol.toLowerCase(),
        protocol,
        port: SERVICE_PORT,
        targetPort,
      })),
      ...more,
    },
  });
}
