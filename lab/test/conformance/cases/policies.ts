/** Whose endpoints a client is led to: traffic policies, what terminates, topology. */
import assert from 'node:assert/strict';
import { type Answer, ask, askUntil, mustBe, mustBeServedBy, type Question } from '../asking.ts';
import { type Cluster, nodes, outside } from '../cluster.ts';
import { everyMode, type Mode, type UpstreamCase } from '../upstream-case.ts';
import { question, type Way } from '../ways.ts';

const local = { externalTrafficPolicy: 'Local' };
const onePair = { forwarding: ['snat'], algorithm: ['random'] } as const;

export const policyCases: readonly UpstreamCase[] = [
  {
    upstream: [
      'Services should support externalTrafficPolicy=Local for type=NodePort',
      'LoadBalancers ExternalTrafficPolicy: Local should work for type=LoadBalancer',
      'LoadBalancers ExternalTrafficPolicy: Local should only target nodes with endpoints',
      'LoadBalancers ExternalTrafficPolicy: Local should target all nodes with endpoints',
      'Services should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes',
    ],
    sentence:
      'with externalTrafficPolicy Local a client outside reaches pods of the node that he asks, which see his address, hears ' +
      'nothing where there are none, as the health check tells a balancer, and reaches all of them when it is Cluster again',
    modes: { ...everyMode, client: ['outside'] },
    async run(cluster, modes) {
      await cluster.pods([
        { name: 'local-1', node: nodes[0].name, app: 'local' },
        { name: 'local-2', node: nodes[1].name, app: 'local' },
      ]);
      const matrix = await cluster.matrix('local', local);
      const at = (way: Way) => modes.map((mode) => question(matrix.of(mode), way, mode, { count: 3 }));
      for (const [ways, host] of [
        [['balancer', 'external', 'NodePort 1'], 'local-1'],
        [['NodePort 2'], 'local-2'],
      ] as const) {
        const answers = await askUntil(cluster.lab, ways.flatMap(at), mustBeServedBy(host));
        for (const { question: asked, served } of answers)
          for (const { seen } of served) assert.equal(seen, outside[asked.family], asked.what);
      }
      await askUntil(cluster.lab, at('NodePort 3'), mustBe('silence'));
      const health = matrix.services.map(({ healthCheckNodePort }) => healthCheckNodePort);
      await checkHealth(cluster, health, [200, 200, 503]);
      await matrix.patch({ spec: { externalTrafficPolicy: 'Cluster' } });
      await askUntil(cluster.lab, at('NodePort 3'), mustBeServedBy('local-1', 'local-2'));
      await checkHealth(cluster, health, ['refused', 'refused', 'refused']);
    },
  },
  {
    upstream: ['Services should respect internalTrafficPolicy=Local Pod to Pod'],
    sentence:
      'with internalTrafficPolicy Local a pod reaches the pods of its node by the ClusterIP, and nobody where there are none',
    modes: { ...everyMode, ...onePair, client: ['socket', 'packet', 'node'] },
    async run(cluster, modes) {
      const [service] = await cluster.services([
        { name: 'inside', selector: { app: 'local' }, spec: { internalTrafficPolicy: 'Local' } },
      ]);
      assert.ok(service);
      const from = (pod: string, node: string) =>
        modes.map((mode) => question(service, 'ClusterIP', mode, { pod, node, count: 4 }));
      await askUntil(cluster.lab, from('near', nodes[0].name), mustBeServedBy('local-1'));
      await askUntil(cluster.lab, from('far', nodes[1].name), mustBeServedBy('local-2'));
      await cluster.lab.must('kubectl', 'delete', 'pod', 'local-2', '--grace-period=0', '--force');
      const nobody = from('far', nodes[1].name).filter(({ client }) => client !== 'node');
      await askUntil(cluster.lab, nobody, mustBe('silence'));
    },
  },
  {
    upstream: [
      'Services should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster',
      'Services should fallback to local terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Local',
      'Services should fallback to terminating endpoints when there are no ready endpoints with externallTrafficPolicy=Cluster',
      'Services should fallback to local terminating endpoints when there are no ready endpoints with externalTrafficPolicy=Local',
      'Services should fail health check node port if there are only terminating endpoints',
    ],
    sentence:
      'where all endpoints terminate they still answer, each policy those that it names; the health check says 503 meanwhile',
    modes: everyMode,
    async run(cluster, modes) {
      const drain = { app: 'ending', args: ['--drain', '40000'] };
      const [near, far] = [
        { name: 'ending-1', node: nodes[0].name, ...drain },
        { name: 'ending-2', node: nodes[1].name, ...drain },
      ] as const;
      await cluster.pods([near, far]);
      const whole = await cluster.matrix('ending');
      const here = await cluster.matrix('ending-local', {
        ...local,
        internalTrafficPolicy: 'Local',
        selector: { app: 'ending' },
      });
      const own: Way = 'NodePort 1';
      const isOutside = ({ client }: Mode) => client === 'outside';
      const questionsOf = (matrix: typeof whole) =>
        modes.map((mode) => question(matrix.of(mode), isOutside(mode) ? own : 'ClusterIP', mode, { count: 3 }));
      await askUntil(cluster.lab, questionsOf(whole), mustBe('answered'));
      await cluster.lab.must('kubectl', 'delete', 'pod', near.name, far.name, '--wait=false');
      const health = here.services.map(({ healthCheckNodePort }) => healthCheckNodePort);
      await checkHealth(cluster, health, [503, 503, 503]);
      await askUntil(cluster.lab, questionsOf(whole), mustBeServedBy(near.name, far.name));
      await askUntil(cluster.lab, questionsOf(here), mustBeServedBy(near.name));
    },
  },
  {
    upstream: [
      'Topology Hints should distribute endpoints evenly',
      'Traffic Distribution should route traffic to an endpoint in the same zone when using PreferClose',
      'Traffic Distribution should route traffic to an endpoint in the same zone when using PreferSameZone',
      'Traffic Distribution should route traffic correctly between pods on multiple nodes when using PreferClose, PreferSameZone',
      'Traffic Distribution should route traffic to an endpoint on the same node or fall back to same zone when using PreferSameNode',
      'Traffic Distribution should route traffic to an endpoint on the same node when using PreferSameNode and fall back when the endpoint becomes unavailable',
    ],
    sentence:
      'hints of an EndpointSlice lead to the endpoints of the same node, else of the same zone, and to all where none fits or one has none',
    modes: { ...everyMode, ...onePair },
    run: followHints,
  },
];

/** Of each node, at the health check's port; `refused` where nobody listens any more. */
async function checkHealth(
  { lab }: Cluster,
  ports: readonly number[],
  wanted: readonly (number | 'refused')[],
): Promise<void> {
  const asked = nodes.flatMap((node, index) =>
    ports.map((port): { question: Question; want: number | 'refused' } => ({
      want: wanted[index] ?? 'refused',
      question: {
        ...{ what: `health of ${node.name} at ${port}`, client: 'outside', family: 4, address: node[4], port },
        protocol: 'http' as 'tcp',
      },
    })),
  );
  const wants = new Map(asked.map(({ question: { what }, want }) => [what, want]));
  await askUntil(
    lab,
    asked.map((each) => each.question),
    ({ question: { what }, text }: Answer) => {
      const want = wants.get(what);
      const isSo =
        want === 'refused' ? /refused/.test(text) : text.includes(` ${want} `) || text.includes(`HTTP/1.1 ${want}`);
      return isSo ? undefined : `not ${want}`;
    },
  );
}

/** The lab's own controller writes no hints: what Kubernetes' does is written here. */
async function followHints(cluster: Cluster, modes: readonly Mode[]): Promise<void> {
  const [service] = await cluster.services([{ name: 'hinted', selector: {}, spec: { selector: null } }]);
  assert.ok(service);
  const pods = await Promise.all(['web-1', 'web-3', 'web-4'].map((name) => placeOfPod(cluster, name)));
  let isMade = false;
  const hint = async (hints: readonly (object | undefined)[]) => {
    const slices = ([4, 6] as const).map((family) => sliceObject(pods, family, hints));
    if (!isMade) await cluster.create(slices);
    else
      for (const slice of slices)
        await cluster.lab.must(
          'kubectl',
          'patch',
          'endpointslice',
          slice.metadata.name,
          '--type=merge',
          '-p',
          JSON.stringify(slice),
        );
    isMade = true;
  };
  const asks = (index: 0 | 1) =>
    modes.map((mode) => {
      const more = { pod: index === 0 ? 'near' : 'far', node: nodes[index].name, count: 12 };
      return question(service, mode.client === 'outside' ? (`NodePort ${index + 1}` as Way) : 'ClusterIP', mode, more);
    });
  const exactly = async (index: 0 | 1, ...hosts: readonly string[]) => {
    const wrong = ({ outcome, hosts: met }: Answer) =>
      outcome !== 'answered' || met.join() !== hosts.join()
        ? `${outcome} by ${met.join()}, not ${hosts.join()}`
        : undefined;
    if (hosts.length === 1) return void (await askUntil(cluster.lab, asks(index), wrong));
    // Of several each has somebody, if not everybody has each.
    await askUntil(cluster.lab, asks(index), mustBeServedBy(...hosts));
    const met = new Set((await ask(cluster.lab, asks(index))).flatMap((answer) => answer.hosts));
    assert.deepEqual([...met].sort(), hosts);
  };
  const zone = (name: string, node?: string) => ({
    forZones: [{ name }],
    ...(node !== undefined && { forNodes: [{ name: node }] }),
  });
  await hint([zone('zone-a'), zone('zone-b'), zone('zone-b')]);
  await exactly(0, 'web-1');
  await exactly(1, 'web-3', 'web-4');
  await hint([zone('zone-a', nodes[0].name), zone('zone-b', nodes[1].name), zone('zone-b', nodes[2].name)]);
  await exactly(1, 'web-3');
  await hint([zone('zone-a', nodes[0].name), zone('zone-b', nodes[2].name), zone('zone-b', nodes[2].name)]);
  await exactly(1, 'web-3', 'web-4');
  await hint([zone('zone-d'), zone('zone-b'), zone('zone-b')]);
  await exactly(0, 'web-1', 'web-3', 'web-4');
  await hint([zone('zone-a'), zone('zone-b'), undefined]);
  await exactly(0, 'web-1', 'web-3', 'web-4');
}

interface PodPlace {
  readonly name: string;
  readonly node: string;
  readonly addresses: Readonly<Record<4 | 6, string>>;
}

async function placeOfPod({ lab }: Cluster, name: string): Promise<PodPlace> {
  const path = 'jsonpath={.spec.nodeName} {.status.podIPs[*].ip}';
  const [node = '', ipv4 = '', ipv6 = ''] = (await lab.must('kubectl', 'get', 'pod', name, '-o', path))
    .trim()
    .split(' ');
  return { name, node, addresses: { 4: ipv4, 6: ipv6 } };
}

function sliceObject(pods: readonly PodPlace[], family: 4 | 6, hints: readonly (object | undefined)[]) {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `hinted-${family}`, labels: { 'kubernetes.io/service-name': 'hinted' } },
    addressType: `IPv${family}`,
    ports: ['tcp', 'udp'].map((name) => ({ name, protocol: name.toUpperCase(), port: 8080 })),
    endpoints: pods.map(({ node, addresses }, index) => ({
      ...{ addresses: [addresses[family]], nodeName: node, conditions: { ready: true } },
      ...(hints[index] !== undefined && { hints: hints[index] }),
    })),
  };
}
