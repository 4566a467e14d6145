/** The lab that all cases share: its pods, and Services that are alike but for their modes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestLab } from '../test-lab.ts';
import { type Algorithm, algorithms, type Family, type Forwarding, forwardings, type Mode } from './upstream-case.ts';

/** Addresses of the nodes, of which the first is where the network leads what is for balancers and external addresses. */
export const nodes = [
  { name: 'k8s-cp1', 4: '10.10.30.101', 6: 'fd00:10:10:30::101' },
  { name: 'k8s-cp2', 4: '10.10.30.102', 6: 'fd00:10:10:30::102' },
  { name: 'k8s-cp3', 4: '10.10.30.103', 6: 'fd00:10:10:30::103' },
] as const;

/** The client outside, as who is asked sees him. */
export const outside = { 4: '203.0.113.10', 6: '2001:db8:113::10' } as const;
/** Addresses of balancers, and external ones. */
const led = { 4: ['192.0.2.0/24', '100.64.7.0/24'], 6: ['2001:db8:2::/64'] } as const;

export interface ServiceFacts {
  readonly name: string;
  readonly cluster: Readonly<Record<Family, string>>;
  readonly balancer: Readonly<Record<Family, string>>;
  readonly external: Readonly<Record<Family, string>>;
  readonly nodePort: Readonly<Record<'tcp' | 'udp', number>>;
  readonly healthCheckNodePort: number;
}

export interface ServicePlan {
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

export interface PodPlan {
  readonly name: string;
  readonly node: string;
  readonly app: string;
  /** Of the server. */
  readonly args?: readonly string[];
}

export interface Cluster {
  readonly lab: TestLab;
  /** Creates one for each pair of forwarding and algorithm, for the pods of an app. */
  matrix(app: string, spec?: ServicePlan['spec']): Promise<Matrix>;
  services(plans: readonly ServicePlan[]): Promise<ServiceFacts[]>;
  pods(plans: readonly PodPlan[]): Promise<void>;
  create(objects: readonly object[]): Promise<void>;
  patch(kind: string, name: string, spec: object): Promise<void>;
}

/** Alike but for their modes. */
export interface Matrix {
  readonly services: readonly ServiceFacts[];
  of(mode: Pick<Mode, 'forwarding' | 'algorithm'>): ServiceFacts;
  patch(spec: object): Promise<void>;
}

export const SERVICE_PORT = 80;

export function openCluster(lab: TestLab, directory: string): Cluster {
  let files = 0;
  let addresses = 0;
  const create = async (objects: readonly object[]) => {
    const file = join(directory, `objects-${files++}.yaml`);
    writeFileSync(file, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
    await lab.must('kubectl', 'create', '-f', file);
  };
  const patch = async (kind: string, name: string, spec: object) => {
    await lab.must('kubectl', 'patch', kind, name, '--type=merge', '-p', JSON.stringify(spec));
  };
  const services = async (plans: readonly ServicePlan[]) => {
    const given = plans.map((plan) => ({ plan, number: ++addresses }));
    await create(given.map(({ plan, number }) => serviceObject(plan, number)));
    return Promise.all(given.map(({ plan, number }) => announced(lab, plan.name, number)));
  };
  return {
    ...{ lab, create, patch, services },
    async pods(plans) {
      await create(plans.map(podObject));
      const names = plans.map(({ name }) => `pod/${name}`);
      await lab.must('kubectl', 'wait', '--for=condition=Ready', ...names, '--timeout=60s');
    },
    async matrix(app, spec) {
      const pairs = forwardings.flatMap((forwarding) => algorithms.map((algorithm) => ({ forwarding, algorithm })));
      const made = await services(pairs.map((pair) => matrixPlan(app, pair, spec)));
      const byName = new Map(made.map((facts) => [facts.name, facts]));
      return {
        services: made,
        of(pair) {
          const facts = byName.get(nameOf(app, pair));
          if (facts === undefined) throw new TypeError(`no Service ${nameOf(app, pair)}`);
          return facts;
        },
        async patch(change) {
          await Promise.all(made.map(({ name }) => patch('service', name, change)));
        },
      };
    },
  };
}

/** The pods that serve, two of them on the first node, and those that ask. The router stands for whoever leads packets to a node. */
export async function furnish(cluster: Cluster): Promise<void> {
  for (const family of [4, 6] as const)
    for (const network of led[family])
      await cluster.lab.must('exec', 'router', '--', 'ip', 'route', 'add', network, 'via', nodes[0][family]);
  const askers = [
    ['near', nodes[0].name],
    ['near-packets', nodes[0].name],
    ['far', nodes[1].name],
    ['far-packets', nodes[1].name],
  ] as const;
  await cluster.create(askers.map(([name, node]) => clientObject(name, node)));
  await cluster.pods([
    { name: 'web-1', node: nodes[0].name, app: 'web' },
    { name: 'web-2', node: nodes[0].name, app: 'web' },
    { name: 'web-3', node: nodes[1].name, app: 'web' },
    { name: 'web-4', node: nodes[2].name, app: 'web' },
  ]);
  const names = askers.map(([name]) => `pod/${name}`);
  await cluster.lab.must('kubectl', 'wait', '--for=condition=Ready', ...names, '--timeout=60s');
}

interface Pair {
  readonly forwarding: Forwarding;
  readonly algorithm: Algorithm;
}

function nameOf(app: string, { forwarding, algorithm }: Pair): string {
  return `${app}-${forwarding}-${algorithm}`;
}

function matrixPlan(app: string, pair: Pair, spec: ServicePlan['spec'] = {}): ServicePlan {
  const mode = pair.forwarding === 'hybrid' ? {} : { 'service.cilium.io/forwarding-mode': pair.forwarding };
  const annotations = { ...mode, 'service.cilium.io/lb-algorithm': pair.algorithm };
  return { name: nameOf(app, pair), selector: { app }, annotations, spec };
}

const addressesOf = (number: number) => ({
  balancer: { 4: `192.0.2.${number}`, 6: `2001:db8:2::${number}` },
  external: { 4: `100.64.7.${number}`, 6: `2001:db8:2::e:${number}` },
});

function serviceObject({ name, selector, annotations, spec }: ServicePlan, number: number): object {
  const { external } = addressesOf(number);
  const port = { port: SERVICE_PORT, targetPort: 8080 };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, annotations },
    spec: {
      ...{ type: 'LoadBalancer', selector, externalIPs: [external[4], external[6]] },
      ...{ ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] },
      ports: [
        { name: 'tcp', ...port },
        { name: 'udp', ...port, protocol: 'UDP' },
      ],
      ...spec,
    },
  };
}

interface FoundService {
  readonly spec: {
    readonly clusterIPs: readonly string[];
    readonly healthCheckNodePort?: number;
    readonly ports: readonly { readonly name: string; readonly nodePort?: number }[];
  };
}

/** Gives it the addresses that a balancer would, and tells what it has. */
async function announced(lab: TestLab, name: string, number: number): Promise<ServiceFacts> {
  const { balancer, external } = addressesOf(number);
  const status = { status: { loadBalancer: { ingress: [{ ip: balancer[4] }, { ip: balancer[6] }] } } };
  const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify(status), '-o', 'json'];
  const { spec } = JSON.parse(await lab.must('kubectl', 'patch', 'service', name, ...patch)) as FoundService;
  const nodePort = (of: string) => spec.ports.find((port) => port.name === of)?.nodePort ?? 0;
  return {
    ...{ name, balancer, external, healthCheckNodePort: spec.healthCheckNodePort ?? 0 },
    cluster: { 4: spec.clusterIPs[0] ?? '', 6: spec.clusterIPs[1] ?? '' },
    nodePort: { tcp: nodePort('tcp'), udp: nodePort('udp') },
  };
}

function podObject({ name, node, app, args = [] }: PodPlan): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 60,
      containers: [
        {
          ...{ name: 'echo', image: 'sluice-lab/echo', args: ['--tcp', '8080', '--udp', '8080', ...args] },
          env: [{ name: 'NODE_NAME', value: node }],
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        },
      ],
    },
  };
}

function clientObject(name: string, node: string): object {
  const container = { name: 'client', image: 'sluice-lab/client', securityContext: { privileged: true } };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { nodeName: node, containers: [container] } };
}
