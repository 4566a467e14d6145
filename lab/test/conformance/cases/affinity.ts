/** Session affinity: on, off, timed out, at every way in. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, ask, askUntil, mustBe, type Question } from '../asking.ts';
import type { Cluster, Matrix } from '../cluster.ts';
import { everyMode, type Mode, type UpstreamCase } from '../upstream-case.ts';
import { question, waysOf } from '../ways.ts';

const sticky = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } };
/** One in 4 ** 11 that chance makes all go to one of four. */
const attempts = 12;

export const affinityCases: readonly UpstreamCase[] = [
  {
    upstream: [
      'Services should have session affinity work for service with type clusterIP',
      'Services should have session affinity work for NodePort service',
      'Services should be able to switch session affinity for service with type clusterIP',
      'Services should be able to switch session affinity for NodePort service',
      'LoadBalancers should have session affinity work for LoadBalancer service with Cluster traffic policy',
      'LoadBalancers should be able to switch session affinity for LoadBalancer service with Cluster traffic policy',
      'Networking Granular Checks: Services should function for client IP based session affinity: http, udp',
    ],
    sentence:
      'with session affinity a client has one pod at all addresses of a Service; switched off, it has all of them again',
    modes: everyMode,
    async run(cluster, modes) {
      const matrix = await cluster.matrix('web-sticky', { ...sticky, selector: { app: 'web' } });
      await checkSticky(cluster, matrix, modes);
      await matrix.patch({ spec: { sessionAffinity: 'None', sessionAffinityConfig: null } });
      await checkSpread(cluster, matrix, modes);
      await matrix.patch({ spec: sticky });
      await checkSticky(cluster, matrix, modes);
    },
  },
  {
    upstream: [
      'LoadBalancers should have session affinity work for LoadBalancer service with Local traffic policy',
      'LoadBalancers should be able to switch session affinity for LoadBalancer service with Local traffic policy',
    ],
    sentence:
      'the same for clients outside where externalTrafficPolicy is Local: one of the pods of the node, then all of them',
    modes: { ...everyMode, client: ['outside'] },
    async run(cluster, modes) {
      const spec = { ...sticky, selector: { app: 'web' }, externalTrafficPolicy: 'Local' };
      const matrix = await cluster.matrix('web-sticky-local', spec);
      await checkSticky(cluster, matrix, modes, ['balancer', 'external', 'NodePort 1']);
      await matrix.patch({ spec: { sessionAffinity: 'None', sessionAffinityConfig: null } });
      await checkSpread(cluster, matrix, modes);
    },
  },
  {
    upstream: [
      'Services should have session affinity timeout work for service with type clusterIP',
      'Services should have session affinity timeout work for NodePort service',
    ],
    sentence:
      'a client that has not come for as long as the timeout may get another pod, and does within a few timeouts',
    modes: { ...everyMode, forwarding: ['snat'] },
    async run(cluster, modes) {
      const short = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } };
      const matrix = await cluster.matrix('web-short', { ...short, selector: { app: 'web' } });
      const questions = modes.map((mode) =>
        question(matrix.of(mode), waysOf(mode)[0] ?? 'balancer', mode, { count: 3 }),
      );
      await askUntil(cluster.lab, questions, mustBe('answered'));
      const met = questions.map(() => new Set<string>());
      // A table's entry is the client's, however late it comes: chance alone moves one.
      const isRandom = modes.map(({ algorithm, client }) => algorithm === 'random' || client !== 'outside');
      for (let round = 0; round < 20 && met.some((hosts, index) => isRandom[index] && hosts.size < 2); round += 1) {
        await delay(1_300);
        for (const [index, { hosts }] of (await ask(cluster.lab, questions)).entries())
          for (const host of hosts) met[index]?.add(host);
      }
      for (const [index, hosts] of met.entries())
        assert.ok(!isRandom[index] || hosts.size > 1, `${questions[index]?.what} stays at ${[...hosts].join()}`);
    },
  },
];

type Ways = ReturnType<typeof waysOf>;

function questionsOf(matrix: Matrix, modes: readonly Mode[], ways?: Ways): { mode: Mode; question: Question }[] {
  return modes.flatMap((mode) =>
    (ways ?? waysOf(mode)).map((way) => ({
      mode,
      question: question(matrix.of(mode), way, mode, { count: attempts }),
    })),
  );
}

/** Affinity is one client's, to one Service's port: each node that is asked remembers its own. */
async function checkSticky(cluster: Cluster, matrix: Matrix, modes: readonly Mode[], ways?: Ways): Promise<void> {
  const questions = questionsOf(matrix, modes, ways).map((each) => each.question);
  await askUntil(cluster.lab, questions, ({ outcome, hosts }: Answer) =>
    outcome !== 'answered' || hosts.length !== 1 ? `${outcome} by ${hosts.join()}` : undefined,
  );
}

async function checkSpread(cluster: Cluster, matrix: Matrix, modes: readonly Mode[]): Promise<void> {
  const questions = questionsOf(matrix, modes, ['balancer']).map((each) => each.question);
  await askUntil(cluster.lab, questions, ({ outcome, hosts }: Answer) =>
    outcome !== 'answered' || hosts.length < 2 ? `${outcome} by ${hosts.join()} alone` : undefined,
  );
}
