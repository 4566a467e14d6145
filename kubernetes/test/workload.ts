/** Objects for the stories, in a namespace of their own that goes with the story. */
import { apply, kubectl, kubectlRun } from '../cluster.ts';

export const image = 'docker.io/sluice-test/agnhost:1';

export interface TestNamespace extends AsyncDisposable {
  readonly name: string;
  kubectl(...args: readonly string[]): Promise<string>;
  /** Its output, whatever the status. */
  exec(pod: string, ...command: readonly string[]): Promise<string>;
}

export async function testNamespace(name: string): Promise<TestNamespace> {
  await kubectlRun('delete', 'namespace', name, '--ignore-not-found', '--wait');
  await kubectl('create', 'namespace', name);
  return {
    name,
    kubectl: (...args) => kubectl('--namespace', name, ...args),
    async exec(pod, ...command) {
      const { stdout, stderr } = await kubectlRun('--namespace', name, 'exec', '--quiet', pod, '--', ...command);
      return stdout + stderr;
    },
    async [Symbol.asyncDispose]() {
      await kubectl('delete', 'namespace', name, '--wait');
    },
  };
}

export interface Web {
  readonly namespace: string;
  readonly name: string;
  readonly replicas: number;
  /** Only there; otherwise spread. */
  readonly node?: string;
  readonly args?: readonly string[];
}

/** A Deployment of servers that tell their names, and its Service at port 80. */
export async function web({
  namespace,
  name,
  replicas,
  node,
  args = ['netexec', '--http-port=8080', '--udp-port=8080'],
}: Web): Promise<void> {
  const labels = { app: name };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          ...(node !== undefined && { nodeName: node }),
          terminationGracePeriodSeconds: 0,
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: labels },
            },
          ],
          containers: [
            {
              name: 'web',
              image,
              args,
              readinessProbe: { httpGet: { path: '/hostname', port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      selector: labels,
      ipFamilyPolicy: 'PreferDualStack',
      ports: [
        { name: 'http', port: 80, targetPort: 8080 },
        { name: 'udp', port: 80, targetPort: 8080, protocol: 'UDP' },
      ],
    },
  };
  for (const object of [deployment, service]) await apply(JSON.stringify(object));
}

export interface PodPlan {
  readonly namespace: string;
  readonly name: string;
  readonly node?: string;
  readonly args?: readonly string[];
  /** Beside what every pod of ours has. */
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly container?: Readonly<Record<string, unknown>>;
}

export async function pod({ namespace, name, node, args = ['pause'], spec, container }: PodPlan): Promise<void> {
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      ...(node !== undefined && { nodeName: node }),
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image, args, ...container }],
      ...spec,
    },
  };
  await apply(JSON.stringify(object));
}
