import assert from 'node:assert/strict';
import { benchCluster, measuredService } from '../environment/cluster.ts';
import { trackedConnections } from '../environment/conntrack.ts';
import { endpointChanges } from '../environment/endpoint-changes.ts';
import { type ShortConnections, shortConnections, untilAnswered } from '../environment/load.ts';
import { differences, inTurn, ratios } from '../pairs.ts';
import { type BarePath, barePath, type ProxiedPath, proxiedPath, proxyModes } from '../peers/proxied-path.ts';
import { type Figure, type Goal, type Row, type RowContext, ratio } from '../row.ts';
import { estimate, median, quantile } from '../statistics.ts';

/** Of ours, by that of a rule set; none: only told. */
interface Goals {
  readonly rate: number;
  /** What the service adds to connect(). */
  readonly added?: number;
  /** A change of one service's endpoints. */
  readonly change?: number;
}

interface Size {
  readonly services: number;
  /** In the order of `proxyModes`. */
  readonly goals: readonly Goals[];
}

/** The kernel takes half a minute for 10,000 services of `nftables`: more would only be more of the same. */
const sizes: readonly Size[] = [
  {
    services: 200,
    goals: [
      { rate: 1.25, added: 1 / 50 },
      { rate: 1.25, added: 1 / 50 },
      { rate: 1, added: 1 / 50 },
    ],
  },
  {
    services: 10_000,
    goals: [
      { rate: 1.8, change: 1 / 60 },
      { rate: 3.5, added: 1 / 250 },
      { rate: 1, change: 1 / 18 },
    ],
  },
];
const rounds = 11;
const changes = 5;

export const kubeProxy: Row = {
  name: 'kube-proxy',
  sentence:
    'Short connections by a ClusterIP between pods of a node, ours and by kube-proxy’s rule sets with as many services; and a change of one service',
  goal: 'rate >= 0.97 of direct, >= 1.25 of iptables at 200 services, at 10,000 >= 1.8 (legacy) and 3.5 (nft), never below nftables; connect adds <= 1/50 of what they add, at 10,000 <= 1/250 (nft); a change <= 1/60 of iptables’ (legacy), <= 1/18 of nftables’',
  async run(context) {
    const figures: Figure[] = [];
    for (const { services, goals } of sizes)
      figures.push(...(await compare({ services: context.quick ? services / 10 : services, goals }, context)));
    return {
      figures,
      notes: [
        'The rule sets are generated as kube-proxy of Kubernetes 1.36 and 1.37 writes them, two endpoints a service; the measured service is the last of them.',
        'What a service adds: p50 of connect by its address, less that of the way without one: ours to the pod’s own address, theirs by a node that forwards and has no rule.',
        'Their change is the partial sync when the endpoints of one service change; kube-proxy’s own time comes on top. Ours is from the API server’s writing until a connection meets the other endpoint.',
        'Their way is pod, node, pod with nothing but these rules; ours goes through everything that Sluice does.',
      ],
    };
  },
};

async function compare({ services, goals }: Size, { quick, progress }: RowContext): Promise<Figure[]> {
  await using cluster = await benchCluster({ services });
  await using stack = new AsyncDisposableStack();
  const [node] = cluster.nodes;
  if (!node) throw new Error('the cluster has no node');
  const { pod, direct } = await cluster.serve(node, 'a');
  const { pod: other } = await cluster.serve(node, 'b');
  await cluster.expose(pod);
  const client = await node.pod('client');
  await untilAnswered(client, measuredService);
  const bare = await barePath({ network: cluster.network, stack });
  const peers: Peer[] = [];
  for (const [index, mode] of proxyModes.entries()) {
    progress(`${services} services: loading ${mode.name}`);
    const path = await proxiedPath({ network: cluster.network, stack }, { mode, services });
    peers.push({ ...path, peer: `kube-proxy ${mode.name}`, goals: goals[index] ?? { rate: 1 } });
  }
  progress(`${services} services: measuring`);
  const count = quick ? 1_000 : 4_000;
  const by = ({ client: place, service }: BarePath) => shortConnections(place, service, count);
  const [ours = [], straight = [], forwarded = [], ...theirs] = await inTurn(quick ? 3 : rounds, [
    () => by({ client, service: measuredService }),
    () => by({ client, service: direct }),
    ...[bare, ...peers].map((path) => () => by(path)),
  ]);
  assert.equal(trackedConnections(node.netns), 0, 'our packets have taken the kernel’s own connection tracking');
  progress(`${services} services: changing the endpoint`);
  const changeMs = await endpointChanges(cluster, { client, servers: { a: pod, b: other } }, quick ? 10 : 100);
  const sides = { ours, straight, forwarded, changeMs };
  return [
    ...absolute(services, ours),
    ratio(`${services} services: rate, of that of the direct path`, estimate(ratios(ours, straight, rateOf)), {
      goal: { atLeast: 0.97 },
    }),
    { what: `${services} services: a service adds to connect`, ...microseconds(added(ours, straight)) },
    { what: `${services} services: a change, p50`, value: median(changeMs), unit: 'ms' },
    ...absolute(services, straight, 'direct path'),
    ...absolute(services, forwarded, 'bare forwarding'),
    ...peers.flatMap((path, index) => peerFigures(services, path, { ...sides, theirs: theirs[index] ?? [] })),
  ];
}

type Peer = ProxiedPath & { readonly peer: string; readonly goals: Goals };

interface Sides {
  readonly ours: readonly ShortConnections[];
  /** Ours, without a service. */
  readonly straight: readonly ShortConnections[];
  readonly theirs: readonly ShortConnections[];
  /** Theirs, without a service. */
  readonly forwarded: readonly ShortConnections[];
  /** Ours. */
  readonly changeMs: readonly number[];
}

function peerFigures(services: number, path: Peer, { ours, straight, theirs, forwarded, changeMs }: Sides): Figure[] {
  const { peer, loadMs, change, tracked, goals } = path;
  assert.ok(tracked() > 0, `${peer}: conntrack has not seen the connections`);
  const theirChangeMs = quantile(Array.from({ length: changes }, change), 0.5);
  const of = (what: string) => `${services} services: ${what}, of that of ${peer}`;
  const [mine, others] = [added(ours, straight), added(theirs, forwarded)];
  const shares = ratios(mine, others, (ns) => ns);
  return [
    ratio(of('our rate'), estimate(ratios(ours, theirs, rateOf)), { goal: { atLeast: goals.rate } }),
    ratio(of('our p50 of connect'), estimate(ratios(ours, theirs, connectOf)), { goal: { atMost: 1 } }),
    ratio(of('what our service adds to connect'), estimate(shares), atMost(goals.added)),
    {
      what: of('our change'),
      value: median(changeMs) / theirChangeMs,
      unit: 'x',
      ...atMost(goals.change),
    },
    ...absolute(services, theirs, peer),
    { what: `${services} services: a service adds to connect`, ...microseconds(others), peer },
    { what: `${services} services: loading the rules`, value: loadMs, unit: 'ms', peer },
    { what: `${services} services: a change, p50`, value: theirChangeMs, unit: 'ms', peer },
  ];
}

function atMost(limit: number | undefined): { goal?: Goal } {
  return limit === undefined ? {} : { goal: { atMost: limit } };
}

const rateOf = ({ rate }: ShortConnections) => rate;
const connectOf = ({ connectP50Ns }: ShortConnections) => connectP50Ns;

/** Nanoseconds, round by round. */
function added(by: readonly ShortConnections[], without: readonly ShortConnections[]): number[] {
  return differences(by, without, connectOf);
}

function microseconds(nanoseconds: readonly number[]) {
  return { ...estimate(nanoseconds.map((ns) => ns / 1_000)), unit: 'us' } as const;
}

function absolute(services: number, results: readonly ShortConnections[], peer?: string): Figure[] {
  const whose = peer !== undefined && { peer };
  return [
    { what: `${services} services: rate`, value: median(results.map(rateOf)), unit: '/s', ...whose },
    {
      what: `${services} services: p50 of connect`,
      value: median(results.map(connectOf)) / 1_000,
      unit: 'us',
      ...whose,
    },
  ];
}
