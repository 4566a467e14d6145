import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '@sluice/testing';
import { benchCluster, measuredService } from '../environment/cluster.ts';
import { type Change, untilAnswered, watch } from '../environment/load.ts';
import { interrupted } from '../interruption.ts';
import type { Row } from '../row.ts';
import { quantile } from '../statistics.ts';

const services = 10_000;
/** A client asks so often; half of it is what the figure is too high in the middle. */
const intervalUs = 200;
const changeTimeoutMs = 5_000;

export const endpointChange: Row = {
  name: 'endpoint-change',
  sentence: `With ${services} services: from the API server's writing that a service has another endpoint, until a connection reaches it`,
  goal: 'p99 <= 10 ms',
  async run({ quick, progress }) {
    await using cluster = await benchCluster({ services: quick ? 500 : services });
    const [node] = cluster.nodes;
    if (!node) throw new Error('the cluster has no node');
    const servers = {
      a: (await cluster.serve(node, 'a')).pod,
      b: (await cluster.serve(node, 'b')).pod,
    };
    await cluster.expose(servers.a);
    const client = await node.pod('client');
    await untilAnswered(client, measuredService);
    const changes: Change[] = [];
    await using _ = await watch(client, measuredService, {
      intervalUs,
      onChange: (change) => changes.push(change),
    });
    progress('changing the endpoint');
    const random = seededRandom(1);
    const tookMs: number[] = [];
    for (let round = 0; round < (quick ? 20 : 400); round += 1) {
      interrupted.throwIfAborted();
      const token = round % 2 === 0 ? 'b' : 'a';
      const { writtenNs } = await cluster.expose(servers[token]);
      const change = await seen(changes, token);
      tookMs.push((change.connectedNs - Number(writtenNs)) / 1e6);
      // Not in step with any timer.
      await delay(20 + 60 * random());
    }
    return {
      figures: [
        { what: `p99 of ${tookMs.length} changes`, value: quantile(tookMs, 0.99), unit: 'ms', goal: { atMost: 10 } },
        { what: 'p50', value: quantile(tookMs, 0.5), unit: 'ms' },
        { what: 'the slowest', value: Math.max(...tookMs), unit: 'ms' },
      ],
      notes: [
        `The client connects every ${intervalUs} us and never failed; the time of the answer to its connection counts.`,
        'What kube-proxy’s rule sets need for a change is in the row kube-proxy.',
      ],
    };
  },
};

/** The first connection of all that the new server answered. */
async function seen(changes: Change[], token: string): Promise<Change> {
  for (const end = performance.now() + changeTimeoutMs; performance.now() < end; await delay(1)) {
    const index = changes.findIndex((change) => change.token === token);
    if (index >= 0) return changes.splice(0, index + 1).at(-1) ?? { token, connectedNs: Number.NaN };
  }
  throw new Error(`the service does not lead to ${token} after ${changeTimeoutMs} ms`);
}
