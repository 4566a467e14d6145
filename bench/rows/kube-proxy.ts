import assert from 'node:assert/strict';
import { benchCluster, measuredService } from '../environment/cluster.ts';
import { type ShortConnections, shortConnections, untilAnswered } from '../environment/load.ts';
import { inTurn, ratios } from '../pairs.ts';
import { proxiedPath, proxyModes } from '../peers/proxied-path.ts';
import { type Figure, type Row, type RowContext, ratio } from '../row.ts';
import { estimate, median, quantile } from '../statistics.ts';

/** With nft 1.0.6, 10,000 services take a minute to load: more would only be more of the same. */
const counts = [200, 10_000];
const rounds = 11;
const changes = 5;

export const kubeProxy: Row = {
  name: 'kube-proxy',
  sentence:
    'Short connections by a ClusterIP, ours and by kube-proxy’s rule sets with as many services, each divided by the direct way of its own',
  goal: 'at least as good as each of them, at any number of services',
  async run(context) {
    const figures: Figure[] = [];
    for (const services of context.quick ? [20, 200] : counts) figures.push(...(await compare(services, context)));
    return {
      figures,
      notes: [
        'The rule sets are generated as kube-proxy writes them, two endpoints a service; the measured service is the last of them.',
        'A change is what kube-proxy sends when the endpoints of one service change; kube-proxy’s own time comes on top.',
        'Their way is pod, node, pod with nothing but these rules; ours goes through everything that Sluice does.',
      ],
    };
  },
};

async function compare(services: number, { quick, progress }: RowContext): Promise<Figure[]> {
  await using cluster = await benchCluster({ services });
  await using stack = new AsyncDisposableStack();
  const [node] = cluster.nodes;
  if (!node) throw new Error('the cluster has no node');
  const { pod, direct } = await cluster.serve(node, 'a');
  await cluster.expose(pod);
  const client = await node.pod('client');
  await untilAnswered(client, measuredService);
  const peers = [];
  for (const mode of proxyModes) {
    progress(`${services} services: loading ${mode.name}`);
    const path = await proxiedPath({ network: cluster.network, stack }, { mode, services });
    peers.push({ ...path, peer: `kube-proxy ${mode.name}` });
  }
  progress(`${services} services: measuring`);
  const count = quick ? 1_000 : 2_500;
  const [ourService = [], ourDirect = [], ...theirs] = await inTurn(quick ? 3 : rounds, [
    () => shortConnections(client, measuredService, count),
    () => shortConnections(client, direct, count),
    ...peers.flatMap((path) => [
      () => shortConnections(path.client, path.service, count),
      () => shortConnections(path.client, path.direct, count),
    ]),
  ]);
  const rateOf = (one: ShortConnections) => one.rate;
  const ours = ratios(ourService, ourDirect, rateOf);
  const figures: Figure[] = [
    ratio(`${services} services: rate, of direct`, estimate(ours)),
    connectFigure(services, ourService),
  ];
  for (const [index, { peer, loadMs, change, tracked }] of peers.entries()) {
    assert.ok(tracked() > 0, `${peer}: conntrack has not seen the connections`);
    const [by = [], bare = []] = theirs.slice(2 * index);
    const their = ratios(by, bare, rateOf);
    const against = estimate(ratios(ours, their, (value) => value));
    const changeMs = Array.from({ length: changes }, change);
    figures.push(
      ratio(`${services} services: that, of what ${peer} reaches`, against, { goal: { atLeast: 1 } }),
      ratio(`${services} services: rate, of direct`, estimate(their), { peer }),
      connectFigure(services, by, peer),
      { what: `${services} services: loading the rules`, value: loadMs, unit: 'ms', peer },
      { what: `${services} services: a change, p50`, value: quantile(changeMs, 0.5), unit: 'ms', peer },
    );
  }
  return figures;
}

function connectFigure(services: number, results: readonly ShortConnections[], peer?: string): Figure {
  const value = median(results.map((one) => one.connectP50Ns)) / 1000;
  return { what: `${services} services: p50 of connect`, value, unit: 'us', ...(peer !== undefined && { peer }) };
}
