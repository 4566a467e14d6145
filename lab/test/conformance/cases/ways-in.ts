/** Every way in, in every mode: who answers, whom he sees, and whom the client believes to talk to. */
import assert from 'node:assert/strict';
import { type Answer, askUntil, mustBe } from '../asking.ts';
import { nodes, outside } from '../cluster.ts';
import { everyMode, type Mode, type UpstreamCase } from '../upstream-case.ts';
import { nodeAsked, question, type Way, waysOf } from '../ways.ts';

const webNodes: Readonly<Record<string, string>> = {
  'web-1': nodes[0].name,
  'web-2': nodes[0].name,
  'web-3': nodes[1].name,
  'web-4': nodes[2].name,
};
const all = Object.keys(webNodes);

export const wayInCases: readonly UpstreamCase[] = [
  {
    upstream: [
      'Services should be able to create a functioning NodePort service',
      'Services should serve endpoints on same port and different protocol for internal traffic on Type LoadBalancer',
      'Services should be possible to connect to a service via ExternalIP when the external IP is not assigned to a node',
      'Services should preserve source pod IP for traffic thru service cluster IP',
      'LoadBalancers ExternalTrafficPolicy: Local should work from pods',
      'Networking Granular Checks: Services should function for pod-Service, node-Service, endpoint-Service (http, udp)',
      'Networking Granular Checks: Services should support basic nodePort: udp functionality',
    ],
    sentence:
      'whoever asks a Service by its ClusterIP, its balancer, an external address or a NodePort of any node is answered by ' +
      'each of its pods, which see his address, or that of the node that was asked where that one answers for them',
    modes: everyMode,
    async run(cluster, modes) {
      const matrix = await cluster.matrix('web');
      const asked = modes.flatMap((mode) => waysOf(mode).map((way) => ({ mode, way })));
      const questions = asked.map(({ mode, way }) => question(matrix.of(mode), way, mode, { count: 6 }));
      const pods = {
        socket: await addressesOfPod(cluster.lab, 'near'),
        packet: await addressesOfPod(cluster.lab, 'near-packets'),
      };
      const modeOf = new Map(questions.map((one, index) => [one, asked[index]]));
      const isAnswered = mustBe('answered');
      // UDP knows no end: a client's port that comes again within a minute, by another Service with the same pod, goes on in
      // the former's mode. Asked anew the client has another port.
      const answers = await askUntil(cluster.lab, questions, (answer) => {
        const one = modeOf.get(answer.question);
        assert.ok(one, 'each question has a mode');
        return isAnswered(answer) || wronglySeen(answer, { ...one, pods });
      });
      for (const [key, group] of Map.groupBy(asked.entries(), ([, { mode }]) => JSON.stringify(mode))) {
        const hosts = new Set(group.flatMap(([index]) => answers[index]?.hosts ?? []));
        assert.deepEqual([...hosts].sort(), all, `each pod answers somebody: ${key}`);
      }
    },
  },
  {
    upstream: [
      'Services should be rejected when no endpoints exist',
      'Services should be rejected for evicted pods (no endpoints exist)',
    ],
    sentence: 'a Service without endpoints refuses at once, at every address that it has and whoever asks',
    modes: everyMode,
    async run(cluster, modes) {
      const matrix = await cluster.matrix('nobody');
      const questions = modes.flatMap((mode) => waysOf(mode).map((way) => question(matrix.of(mode), way, mode)));
      await askUntil(cluster.lab, questions, mustBe('refused'));
    },
  },
  {
    upstream: [
      'Networking Granular Checks: Services should be able to handle large requests: http',
      'Networking Granular Checks: Services should be able to handle large requests: udp',
      '[Feature:IPv6DualStack] Granular Checks: Services Secondary IP Family should be able to handle large requests: http, udp',
    ],
    sentence: 'datagrams of 8,192 bytes, in fragments, and 200,000 bytes over TCP go there and back at every way in',
    modes: everyMode,
    async run(cluster, modes) {
      const [service] = await Promise.all([cluster.matrix('large')]);
      await cluster.pods([{ name: 'large-1', node: nodes[1].name, app: 'large' }]);
      const questions = modes.flatMap((mode) =>
        waysOf(mode).map((way) => {
          const bytes = mode.protocol === 'udp' ? '8192' : '200000';
          return question(service.of(mode), way, mode, { options: ['--bytes', bytes] });
        }),
      );
      await askUntil(cluster.lab, questions, mustBe('answered'));
    },
  },
];

interface Seen {
  readonly mode: Mode;
  readonly way: Way;
  readonly pods: Readonly<Record<'socket' | 'packet', Readonly<Record<4 | 6, string>>>>;
}

/** Nobody's address is hidden from a pod but where a node answers for it: then it is the node's, of those that it has. */
function wronglySeen({ served }: Answer, { mode, way, pods }: Seen): string | undefined {
  for (const { host, seen } of served) {
    const isHere = webNodes[host] === nodeAsked(way);
    const what = `${host} sees ${seen}`;
    if (mode.client === 'node') continue;
    // A pod comes to another node's NodePort by the network: that node answers for it.
    if (mode.client !== 'outside') {
      if (nodeAsked(way) === nodes[0].name && seen !== pods[mode.client][mode.family]) return what;
    } else if ((isHere || isAnsweredByBackend(mode)) !== (seen === outside[mode.family])) return what;
  }
  return undefined;
}

function isAnsweredByBackend({ forwarding, protocol }: Mode): boolean {
  return forwarding === 'dsr' || (forwarding === 'hybrid' && protocol === 'tcp');
}

async function addressesOfPod(
  lab: { must(...words: readonly [string, ...string[]]): Promise<string> },
  name: string,
): Promise<Readonly<Record<4 | 6, string>>> {
  const found = await lab.must('kubectl', 'get', 'pod', name, '-o', 'jsonpath={.status.podIPs[*].ip}');
  const [ipv4 = '', ipv6 = ''] = found.trim().split(' ');
  return { 4: ipv4, 6: ipv6 };
}
