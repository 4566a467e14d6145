import { benchCluster, measuredService } from '../environment/cluster.ts';
import { changeIntervalUs, endpointChanges } from '../environment/endpoint-changes.ts';
import { untilAnswered } from '../environment/load.ts';
import type { Row } from '../row.ts';
import { quantile } from '../statistics.ts';

const services = 10_000;

export const endpointChange: Row = {
  name: 'endpoint-change',
  sentence: `With ${services} services: from the API server's writing that a service has another endpoint, until a connection reaches it`,
  goal: 'p50 <= 2 ms, p99 <= 10 ms',
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
    progress('changing the endpoint');
    const tookMs = await endpointChanges(cluster, { client, servers }, quick ? 20 : 400);
    return {
      figures: [
        { what: `p99 of ${tookMs.length} changes`, value: quantile(tookMs, 0.99), unit: 'ms', goal: { atMost: 10 } },
        { what: 'p50', value: quantile(tookMs, 0.5), unit: 'ms', goal: { atMost: 2 } },
        { what: 'the slowest', value: Math.max(...tookMs), unit: 'ms' },
      ],
      notes: [
        `The client connects every ${changeIntervalUs} us and never failed; the time of the answer to its connection counts.`,
        'Of that of kube-proxy’s rule sets: in the row kube-proxy.',
      ],
    };
  },
};
