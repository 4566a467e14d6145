/** What clients notice when endpoints and Services change under them. */
import assert from 'node:assert/strict';
import { startClient } from '../../clients.ts';
import { type Answer, askUntil, mustBe, mustBeServedBy } from '../asking.ts';
import { type Cluster, type Matrix, nodes } from '../cluster.ts';
import { everyMode, families, type Mode, type UpstreamCase } from '../upstream-case.ts';
import { question, type Way } from '../ways.ts';

export const changeCases: readonly UpstreamCase[] = [
  {
    upstream: [
      'Conntrack should be able to preserve UDP traffic when server pod cycles for a ClusterIP service',
      'Conntrack should be able to preserve UDP traffic when server pod cycles for a ClusterIP service and client is hostNetwork',
      'Conntrack should be able to preserve UDP traffic when server pod cycles for a NodePort service',
      'Conntrack should be able to preserve UDP traffic when initial unready endpoints get ready',
      'LoadBalancers should be able to preserve UDP traffic when server pod cycles for a LoadBalancer service on different nodes',
      'LoadBalancers should be able to preserve UDP traffic when server pod cycles for a LoadBalancer service on the same nodes',
      'Networking Granular Checks: Services should update endpoints: http, udp',
    ],
    sentence:
      'a client that goes on from one port is refused before there is a pod, gets the first, then the one that takes its ' +
      'place on the same node, then one on another node, and never waits for one that is gone',
    modes: everyMode,
    async run(cluster, modes) {
      const matrix = await cluster.matrix('cycling');
      const questions = cyclingQuestions(matrix, modes);
      await askUntil(cluster.lab, questions, mustBe('refused'));
      let before: string | undefined;
      for (const [name, node] of [
        ['cycling-1', nodes[0].name],
        ['cycling-2', nodes[0].name],
        ['cycling-3', nodes[1].name],
      ] as const) {
        if (before !== undefined)
          await cluster.lab.must('kubectl', 'delete', 'pod', before, '--grace-period=0', '--force');
        await cluster.pods([{ name, node, app: 'cycling' }]);
        await askUntil(cluster.lab, questions, mustBeServedBy(name));
        before = name;
      }
    },
  },
  {
    upstream: [
      'LoadBalancers should not have connectivity disruption during rolling update with externalTrafficPolicy=Cluster',
      'LoadBalancers should not have connectivity disruption during rolling update with externalTrafficPolicy=Local',
    ],
    sentence:
      'while all pods of a Deployment are replaced, one after the other, no new connection of a client outside fails',
    modes: { ...everyMode, client: ['outside'], protocol: ['tcp'] },
    async run(cluster) {
      await cluster.create([rollingDeployment()]);
      await cluster.lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/rolling', '--timeout=60s');
      const whole = await cluster.matrix('rolling');
      const here = await cluster.matrix('rolling-local', {
        externalTrafficPolicy: 'Local',
        selector: { app: 'rolling' },
      });
      await rollUnder(cluster, [whole, here]);
    },
  },
  {
    upstream: ['LoadBalancers should be able to create LoadBalancer Service without NodePort and change it'],
    sentence:
      "a balancer's Service without NodePorts is served at its address alone, and at a NodePort when it gets one",
    modes: { ...everyMode, forwarding: ['snat'], algorithm: ['random'], client: ['outside', 'socket'] },
    async run(cluster, modes) {
      const spec = { allocateLoadBalancerNodePorts: false };
      const [service] = await cluster.services([{ name: 'portless', selector: { app: 'web' }, spec }]);
      assert.ok(service);
      assert.deepEqual(service.nodePort, { tcp: 0, udp: 0 });
      await askUntil(
        cluster.lab,
        modes.map((mode) => question(service, 'balancer', mode)),
        mustBe('answered'),
      );
      await cluster.patch('service', service.name, { spec: { allocateLoadBalancerNodePorts: true } });
      const ports = await cluster.lab.must(
        'kubectl',
        'get',
        'service',
        service.name,
        '-o',
        'jsonpath={.spec.ports[*].nodePort}',
      );
      const [tcp = 0, udp = 0] = ports.trim().split(' ').map(Number);
      const found = { ...service, nodePort: { tcp, udp } };
      await askUntil(
        cluster.lab,
        modes.map((mode) => question(found, 'NodePort 2', mode)),
        mustBe('answered'),
      );
    },
  },
  {
    upstream: ['[Feature:IPv6DualStack] family upgrade and downgrade of a Service (KEP-563)'],
    sentence: 'a Service of IPv4 alone gets an IPv6 address, is served there, and is not any more when it loses it',
    modes: {
      ...everyMode,
      forwarding: ['snat'],
      algorithm: ['random'],
      client: ['socket', 'packet', 'node'],
      family: [6],
    },
    async run(cluster, modes) {
      const single = { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'], externalIPs: [] };
      const [service] = await cluster.services([{ name: 'upgraded', selector: { app: 'web' }, spec: single }]);
      assert.ok(service);
      await cluster.patch('service', service.name, {
        spec: { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv4', 'IPv6'] },
      });
      const path = 'jsonpath={.spec.clusterIPs[1]}';
      const ipv6 = (await cluster.lab.must('kubectl', 'get', 'service', service.name, '-o', path)).trim();
      const dual = { ...service, cluster: { ...service.cluster, 6: ipv6 } };
      const questions = modes.map((mode) => question(dual, 'ClusterIP', mode));
      await askUntil(cluster.lab, questions, mustBe('answered'));
      await cluster.patch('service', service.name, {
        spec: { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'], clusterIPs: [service.cluster[4]] },
      });
      const isAnswered = ({ outcome }: Answer) => outcome === 'answered' && 'still answered';
      await askUntil(cluster.lab, questions, isAnswered);
    },
  },
];

const base = 41_000;

/** Each from a port of its own, the same every time: what conntrack remembers of it is about the same connection. */
function cyclingQuestions(matrix: Matrix, modes: readonly Mode[]) {
  return modes.map((mode, index) => {
    const way: Way = mode.client === 'outside' ? 'balancer' : index % 2 === 0 ? 'ClusterIP' : 'NodePort 1';
    const port = mode.protocol === 'udp' ? ['--source-port', String(base + index)] : [];
    return question(matrix.of(mode), way, mode, { options: port });
  });
}

/** Two on the first node: where the policy is Local there is always one. */
function rollingDeployment(): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'rolling' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'rolling' } },
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: { labels: { app: 'rolling' } },
        spec: {
          nodeSelector: { 'kubernetes.io/hostname': nodes[0].name },
          containers: [
            {
              ...{ name: 'echo', image: 'sluice-lab/echo', args: ['--tcp', '8080', '--drain', '8000'] },
              readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
}

async function rollUnder({ lab }: Cluster, matrices: readonly Matrix[]): Promise<void> {
  const places = matrices.flatMap(({ services }) =>
    services.flatMap(({ name, balancer }) => families.map((family) => ({ name, family, address: balancer[family] }))),
  );
  const first = places.map(
    ({ name, family, address }) =>
      ({ what: name, client: 'outside', protocol: 'tcp', family, address, port: 80 }) as const,
  );
  await askUntil(lab, first, mustBe('answered'));
  const clients = places.map(({ address }) => startClient(lab, 'client', ['tcp', address], { intervalMs: 20 }));
  await lab.must('kubectl', 'rollout', 'restart', 'deployment/rolling');
  await lab.must('kubectl', 'rollout', 'status', 'deployment/rolling', '--timeout=90s');
  for (const client of clients) assert.match(await client.end(), /sent=(\d{2,}) answered=\1 failed=0/, client.what);
}
