import assert from 'node:assert/strict';
import { benchCluster, measuredService } from '../environment/cluster.ts';
import { trackedConnections } from '../environment/conntrack.ts';
import { type ShortConnections, shortConnections, untilAnswered } from '../environment/load.ts';
import { inTurn, ratios } from '../pairs.ts';
import { type ProxiedPath, proxiedPath, proxyModes } from '../peers/proxied-path.ts';
import { type Figure, type Row, type RowContext, ratio } from '../row.ts';
import { estimate, median, quantile } from '../statistics.ts';

/** The kernel takes half a minute for 10,000 services of `nftables`: more would only be more of the same. */
const counts = [200, 10_000];
const rounds = 11;
const changes = 5;

export const kubeProxy: Row = {
  name: 'kube-proxy',
  sentence:
    'Short connections by a ClusterIP between pods of a node, ours and by kube-proxy’s rule sets with as many services',
  goal: 'no slower than any of them, at any number of services',
  async run(context) {
    const figures: Figure[] = [];
    for (const services of context.quick ? [20, 200] : counts) figures.push(...(await compare(services, context)));
    return {
      figures,
      notes: [
        'The rule sets are generated as kube-proxy of Kubernetes 1.36 and 1.37 writes them, two endpoints a service; the measured service is the last of them.',
        'A change is its partial sync when the endpoints of one service change; kube-proxy’s own time comes on top.',
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
  const { pod } = await cluster.serve(node, 'a');
  await cluster.expose(pod);
  const client = await node.pod('client');
  await untilAnswered(client, measuredService);
  const peers: (ProxiedPath & { readonly peer: string })[] = [];
  for (const mode of proxyModes) {
    progress(`${services} services: loading ${mode.name}`);
    const path = await proxiedPath({ network: cluster.network, stack }, { mode, services });
    peers.push({ ...path, peer: `kube-proxy ${mode.name}` });
  }
  progress(`${services} services: measuring`);
  const count = quick ? 1_000 : 4_000;
  const [ours = [], ...theirs] = await inTurn(quick ? 3 : rounds, [
    () => shortConnections(client, measuredService, count),
    ...peers.map((path) => () => shortConnections(path.client, path.service, count)),
  ]);
  assert.equal(trackedConnections(node.netns), 0, 'our packets have taken the kernel’s own connection tracking');
  return [
    ...absolute(services, ours),
    ...peers.flatMap((path, index) => peerFigures(services, path, { ours, theirs: theirs[index] ?? [] })),
  ];
}

interface Sides {
  readonly ours: readonly ShortConnections[];
  readonly theirs: readonly ShortConnections[];
}

function peerFigures(
  services: number,
  { peer, loadMs, change, tracked }: ProxiedPath & { readonly peer: string },
  { ours, theirs }: Sides,
): Figure[] {
  assert.ok(tracked() > 0, `${peer}: conntrack has not seen the connections`);
  const rate = estimate(ratios(ours, theirs, (one) => one.rate));
  const connect = estimate(ratios(ours, theirs, (one) => one.connectP50Ns));
  const changeMs = Array.from({ length: changes }, change);
  return [
    ratio(`${services} services: our rate, of that of ${peer}`, rate, { goal: { atLeast: 1 } }),
    ratio(`${services} services: our p50 of connect, of that of ${peer}`, connect, { goal: { atMost: 1 } }),
    ...absolute(services, theirs, peer),
    { what: `${services} services: loading the rules`, value: loadMs, unit: 'ms', peer },
    { what: `${services} services: a change, p50`, value: quantile(changeMs, 0.5), unit: 'ms', peer },
  ];
}

function absolute(services: number, results: readonly ShortConnections[], peer?: string): Figure[] {
  const whose = peer !== undefined && { peer };
  const microseconds = median(results.map((one) => one.connectP50Ns)) / 1000;
  const rate = median(results.map((one) => one.rate));
  return [
    { what: `${services} services: rate`, value: rate, unit: '/s', ...whose },
    { what: `${services} services: p50 of connect`, value: microseconds, unit: 'us', ...whose },
  ];
}
