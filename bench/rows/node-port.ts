import assert from 'node:assert/strict';
import { join } from 'node:path';
import { BpfMap, openMap, perCpu, possibleCpus } from '@sluice/bpf';
import { frameCountersMap } from '@sluice/datapath';
import { type BenchCluster, type BenchNode, benchCluster } from '../environment/cluster.ts';
import { trackedConnections } from '../environment/conntrack.ts';
import { receivedPackets } from '../environment/devices.ts';
import { type ShortConnections, shortConnections, type Target, untilAnswered } from '../environment/load.ts';
import { makeReal } from '../environment/network.ts';
import { inTurn, ratios } from '../pairs.ts';
import { type ProxiedNodePorts, proxiedNodePorts } from '../peers/proxied-node-port.ts';
import { type ProxyMode, proxyModes } from '../peers/proxied-path.ts';
import { type Figure, type Goal, type Row, type RowContext, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

interface Size {
  readonly services: number;
  /** The range has not room for more. */
  readonly nodePorts: number;
  readonly connections: number;
  /** Row 4 of the goals for `iptables` with the legacy and the nft back end, and for `nftables`. */
  readonly goals: readonly [legacy: number, nft: number, nftables: number];
}

const sizes: readonly Size[] = [
  { services: 200, nodePorts: 200, connections: 2_000, goals: [1.25, 1.25, 1] },
  { services: 10_000, nodePorts: 2_000, connections: 1_000, goals: [1.8, 3.5, 1] },
];
const quickSizes: readonly Size[] = [{ services: 20, nodePorts: 20, connections: 500, goals: [1, 1, 1] }];
const rounds = 11;

/** Of the cluster: the first is asked, the second has the backend, the others are asked and accelerated. */
const accelerations = [
  {},
  {},
  { loadBalancer: { acceleration: 'generic' } },
  { loadBalancer: { acceleration: 'native' } },
];
const [snatPort, dsrPort, herePort] = [32_001, 32_002, 32_003];

export const nodePort: Row = {
  name: 'node-port',
  sentence:
    'Short connections from a client outside to a NodePort, its backend on another node (SNAT, DSR) or here, ours and by kube-proxy’s rule sets',
  goal: 'rate >= 1.25 of iptables at 200 services, at 10,000 >= 1.8 (legacy) and 3.5 (nft); never below nftables',
  async run(context) {
    const figures: Figure[] = [];
    for (const size of context.quick ? quickSizes : sizes) figures.push(...(await compare(size, context)));
    return {
      figures,
      notes: [
        'All nodes are at one switch; the peers’ have the kernel’s own VXLAN and a bridge between them, as flannel sets it up, and the rules on both nodes.',
        'Their rule sets are those of kube-proxy of Kubernetes 1.36 and 1.37.',
        'A NodePort of kube-proxy’s is looked for behind all ClusterIPs; of 10,000 services 2,000 have one. The measured ones are the last.',
        'XDP serves packets in the midst of a connection; of so short a one it meets two. On a veth native XDP gets socket buffers, which the kernel copies for it: no figure of a network card.',
      ],
    };
  },
};

interface Contender {
  readonly name: string;
  readonly target: Target;
}

async function compare(size: Size, { quick, progress }: RowContext): Promise<Figure[]> {
  const { services, nodePorts, connections } = size;
  await using stack = new AsyncDisposableStack();
  progress(`${services} services: nodes learn them`);
  const valuesOf = (node: number) => accelerations[node] ?? {};
  const cluster = stack.use(
    await benchCluster({ nodes: accelerations.length, services, nodePorts, valuesOf, isJoined: false }),
  );
  const { outside, network } = cluster;
  const client = { netns: outside.netns };
  const own = await ownContenders(cluster);
  const peers: { mode: ProxyMode; path: ProxiedNodePorts }[] = [];
  for (const [index, mode] of proxyModes.entries()) {
    progress(`${services} services: loading ${mode.name}`);
    const path = await proxiedNodePorts({ network, stack, mode, services, nodePorts, lan: outside.netns, index });
    peers.push({ mode, path });
  }
  const contenders = [
    ...own,
    ...peers.flatMap(({ mode, path }) => [
      { name: `kube-proxy ${mode.name}`, target: path.elsewhere },
      { name: `kube-proxy ${mode.name}`, target: path.here },
    ]),
  ];
  for (const { target } of contenders) await untilAnswered(client, target);
  progress(`${services} services: measuring`);
  const results = await inTurn(
    quick ? 3 : rounds,
    contenders.map(
      ({ target }) =>
        () =>
          shortConnections(client, target, connections),
    ),
  );
  for (const { mode, path } of peers) assert.ok(path.tracked() > 0, `${mode.name}: conntrack has not seen it`);
  await assertWays(cluster);
  return figuresOf(size, { own, peers: peers.map(({ mode }) => `kube-proxy ${mode.name}`), results });
}

async function ownContenders(cluster: BenchCluster): Promise<Contender[]> {
  const [asked, other, generic, native] = cluster.nodes;
  if (!asked || !other || !generic || !native) throw new Error('a node is missing');
  for (const [index, { netns }] of cluster.nodes.entries())
    makeReal({ netns, device: 'eno1' }, { netns: cluster.outside.netns, device: `port${index}` });
  const { pod: here } = await cluster.serve(asked, 'h');
  const { pod: there } = await cluster.serve(other, 'e');
  await cluster.exposeAtNodes({ name: 'snat', port: snatPort, backend: there });
  await cluster.exposeAtNodes({ name: 'dsr', port: dsrPort, backend: there, forwardingMode: 'dsr' });
  await cluster.exposeAtNodes({ name: 'here', port: herePort, backend: here });
  const at = (node: BenchNode, port: number, token = 'e') => ({ address: node.address, port, token });
  return [
    { name: 'SNAT', target: at(asked, snatPort) },
    { name: 'DSR', target: at(asked, dsrPort) },
    { name: 'here', target: at(asked, herePort, 'h') },
    { name: 'SNAT with generic XDP', target: at(generic, snatPort) },
    { name: 'SNAT with native XDP', target: at(native, snatPort) },
  ];
}

const askedTimes = 200;

/** By conntrack, by what the asked node sends, and by what XDP has counted: each contender has gone its way. */
async function assertWays({ nodes, outside }: BenchCluster): Promise<void> {
  const [asked, , generic, native] = nodes;
  if (!asked || !generic || !native) throw new Error('a node is missing');
  for (const { name, netns } of nodes)
    assert.equal(trackedConnections(netns), 0, `${name}: our packets have taken the kernel’s own connection tracking`);
  const sentFor = async (port: number) => {
    const before = receivedPackets(outside.netns, 'port0');
    await shortConnections({ netns: outside.netns }, { address: asked.address, port, token: 'e' }, askedTimes);
    return receivedPackets(outside.netns, 'port0') - before;
  };
  const [byWay, direct] = [await sentFor(snatPort), await sentFor(dsrPort)];
  assert.ok(
    direct < 0.8 * byWay,
    `DSR: the asked node has sent ${direct} packets, by SNAT ${byWay}: it answers itself`,
  );
  for (const node of [generic, native]) assert.ok(framesOf(node) > 0, `${node.name}: XDP has sent nothing`);
  assert.equal(framesOf(asked), 0, `${asked.name}: XDP has sent packets`);
}

function framesOf({ bpffs }: BenchNode): number {
  using map = BpfMap.openPinned(join(bpffs, 'sluice/maps', frameCountersMap.name));
  const counters = openMap(map, perCpu(frameCountersMap, possibleCpus()));
  return [...counters.entries()].flatMap(([, cpus]) => cpus).reduce((sum, { packets }) => sum + Number(packets), 0);
}

interface Results {
  readonly own: readonly Contender[];
  readonly peers: readonly string[];
  /** Ours, then of each peer elsewhere and here. */
  readonly results: readonly (readonly ShortConnections[])[];
}

function figuresOf({ services, goals }: Size, { own, peers, results }: Results): Figure[] {
  const of = (index: number) => results[index] ?? [];
  const title = (name: string) => `${services} services, ${name}`;
  const [snat, dsr, here, ...accelerated] = own.map((_, index) => of(index));
  const compared = peers.flatMap((peer, index) => {
    const [elsewhere, local] = [of(own.length + 2 * index), of(own.length + 2 * index + 1)];
    const goal = { atLeast: goals[index] ?? 1 };
    const pairs = [
      { name: 'SNAT', ours: snat, theirs: elsewhere },
      { name: 'DSR', ours: dsr, theirs: elsewhere },
      { name: 'here', ours: here, theirs: local },
    ];
    return [
      ...pairs.flatMap(({ name, ours, theirs }) => compareRates(title(name), { ours: ours ?? [], theirs, peer, goal })),
      ...absolute(title('elsewhere'), elsewhere, peer),
      ...absolute(title('here'), local, peer),
    ];
  });
  return [
    ...own.flatMap(({ name }, index) => absolute(title(name), of(index))),
    ...compared,
    ...accelerated.map((results, index) =>
      ratio(`${title(own[3 + index]?.name ?? '')}: rate, of that without`, estimate(ratios(results, snat ?? [], rate))),
    ),
  ];
}

const rate = (one: ShortConnections): number => one.rate;

interface Compared {
  readonly ours: readonly ShortConnections[];
  readonly theirs: readonly ShortConnections[];
  readonly peer: string;
  readonly goal: Goal;
}

function compareRates(what: string, { ours, theirs, peer, goal }: Compared): Figure[] {
  const connect = estimate(ratios(ours, theirs, (one) => one.connectP50Ns));
  return [
    ratio(`${what}: our rate, of that of ${peer}`, estimate(ratios(ours, theirs, rate)), { goal }),
    ratio(`${what}: our p50 of connect, of that of ${peer}`, connect),
  ];
}

function absolute(what: string, results: readonly ShortConnections[], peer?: string): Figure[] {
  const whose = peer !== undefined && { peer };
  const microseconds = median(results.map((one) => one.connectP50Ns)) / 1000;
  return [
    { what: `${what}: rate`, value: median(results.map(rate)), unit: '/s', ...whose },
    { what: `${what}: p50 of connect`, value: microseconds, unit: 'us', ...whose },
  ];
}
