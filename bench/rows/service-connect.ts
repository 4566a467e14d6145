import assert from 'node:assert/strict';
import { benchCluster, measuredService } from '../environment/cluster.ts';
import { trackedConnections } from '../environment/conntrack.ts';
import { shortConnections, untilAnswered } from '../environment/load.ts';
import { inTurn, ratios } from '../pairs.ts';
import { type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const services = 200;
const pairs = 15;

export const serviceConnect: Row = {
  name: 'service-connect',
  sentence: `TCP connect, a byte each way and a reset, between two pods of a node, by a ClusterIP (among ${services} services) and directly`,
  goal: 'rate >= 0.97 of direct, p50 of connect <= 1.02 of direct',
  async run({ quick, progress }) {
    await using cluster = await benchCluster({ services });
    const [node] = cluster.nodes;
    if (!node) throw new Error('the cluster has no node');
    const { pod: server, direct } = await cluster.serve(node, 'a');
    await cluster.expose(server);
    const client = await node.pod('client');
    await untilAnswered(client, measuredService);
    progress('measuring');
    const count = quick ? 2_000 : 8_000;
    const [service = [], bare = []] = await inTurn(quick ? 5 : pairs, [
      () => shortConnections(client, measuredService, count),
      () => shortConnections(client, direct, count),
    ]);
    assert.equal(trackedConnections(node.netns), 0, 'packets have taken the kernel’s own connection tracking');
    const rate = estimate(ratios(service, bare, (one) => one.rate));
    const p50 = estimate(ratios(service, bare, (one) => one.connectP50Ns));
    const p99 = estimate(ratios(service, bare, (one) => one.connectP99Ns));
    return {
      figures: [
        ratio('rate by the ClusterIP, of direct', rate, { goal: { atLeast: 0.97 } }),
        ratio('p50 of connect by the ClusterIP, of direct', p50, { goal: { atMost: 1.02 } }),
        ratio('p99 of connect by the ClusterIP, of direct', p99),
        { what: 'rate by the ClusterIP', value: median(service.map((one) => one.rate)), unit: '/s' },
        { what: 'p50 of connect', value: median(service.map((one) => one.connectP50Ns)) / 1000, unit: 'us' },
        { what: 'rate', value: median(bare.map((one) => one.rate)), unit: '/s', peer: 'direct path' },
        {
          what: 'p50 of connect',
          value: median(bare.map((one) => one.connectP50Ns)) / 1000,
          unit: 'us',
          peer: 'direct path',
        },
      ],
    };
  },
};
