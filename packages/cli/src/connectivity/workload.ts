/** The pods and services of the connectivity test: two nodes, a client and a server on the first, a server on the other. */

export const NAMESPACE_DEFAULT = 'sluice-test';
export const PORT = 8080;
/** Pods on the host's network share its ports: one that nothing else uses. */
export const HOST_PORT = 18_080;

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
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
}

interface PodPlan {
  readonly name: string;
  readonly node: string;
  readonly port: number;
  readonly hostNetwork: boolean;
}

export function podPlans({ nodes: [near, far] }: Placement): PodPlan[] {
  const pod = (name: string, node: string): PodPlan => ({ name, node, port: PORT, hostNetwork: false });
  const host = (name: string, node: string): PodPlan => ({ name, node, port: HOST_PORT, hostNetwork: true });
  return [
    pod('client', near),
    pod('echo-same-node', near),
    pod('echo-other-node', far),
    host('host-near', near),
    host('host-far', far),
  ];
}

/** `client` is a service too, so that it can be asked to reach itself; `nobody` has no pod behind it. */
export const SERVICES = ['client', 'echo-same-node', 'echo-other-node', 'nobody'] as const;

export function workload(placement: Placement): KubernetesObject[] {
  const { namespace } = placement;
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    ...podPlans(placement).map((plan) => pod(plan, placement)),
    ...SERVICES.map((name) => service(name, namespace)),
  ];
}

function pod(plan: PodPlan, { namespace, image }: Placement): KubernetesObject {
  const port = String(plan.port);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: plan.name, namespace, labels: { app: plan.name } },
    spec: {
      nodeName: plan.node,
      hostNetwork: plan.hostNetwork,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'echo',
          image,
          args: ['--tcp', port, '--udp', port],
          env: [{ name: 'NODE_NAME', value: plan.node }],
          ports: [{ containerPort: plan.port }],
          readinessProbe: { tcpSocket: { port: plan.port }, periodSeconds: 1 },
        },
      ],
    },
  };
}

function service(name: string, namespace: string): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      selector: { app: name },
      ipFamilyPolicy: 'PreferDualStack',
      ports: (['TCP', 'UDP'] as const).map((protocol) => ({
        name: protocol.toLowerCase(),
        protocol,
        port: 80,
        targetPort: PORT,
      })),
    },
  };
}
