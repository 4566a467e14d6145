import assert from 'node:assert/strict';
import { trackedConnections } from '../environment/conntrack.ts';
import { type ShortConnections, shortConnections, untilAnswered } from '../environment/load.ts';
import { differences, inTurn, ratios } from '../pairs.ts';
import { masqueradeScene } from '../peers/kernel-masquerade.ts';
import { type Figure, type Goal, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const rounds = 11;
const bareForwarding = 'bare forwarding';

export const masquerade: Row = {
  name: 'masquerade',
  sentence: 'Short connections from a pod to a server outside of the cluster, which sees the node’s address',
  goal: 'rate >= 1.3 of each kernel masquerade, added to p50 of connect <= 0.7 of what each adds',
  async run({ quick, progress }) {
    await using scene = await masqueradeScene();
    const { node, target, peers, bare } = scene;
    const clients = [await node.pod('client'), bare.client, ...peers.map((peer) => peer.client)];
    for (const client of clients) await untilAnswered(client, target);
    progress('measuring');
    const count = quick ? 1_000 : 4_000;
    const [ours = [], forwarded = [], ...theirs] = await inTurn(
      quick ? 3 : rounds,
      clients.map((client) => () => shortConnections(client, target, count)),
    );
    assert.equal(trackedConnections(node.netns), 0, 'our packets have taken the kernel’s own connection tracking');
    assert.equal(bare.tracked(), 0, 'bare forwarding has conntrack on its way');
    for (const { peer, tracked } of peers) assert.ok(tracked() > 0, `${peer}: conntrack has not seen the connections`);
    const way = (results: readonly ShortConnections[]): Way => ({ results, addedNs: added(results, forwarded) });
    const our = way(ours);
    const compared = peers.flatMap(({ peer }, index) => compare(peer, our, way(theirs[index] ?? [])));
    return {
      figures: [
        ...absolute(ours),
        addedFigure(our),
        ...relative(bareForwarding, ours, forwarded),
        ...absolute(forwarded, bareForwarding),
        ...compared,
      ],
      notes: [
        'The server knows no way to pods but to those of bare forwarding: an answer means that the source was translated.',
        'Their way is pod, node, server with nothing but these rules, that of bare forwarding without any; ours goes through everything that Sluice does.',
        `Added: p50 of connect less that of bare forwarding in the same round. What adds less than ${leastAddedNs / 1000} us counts as that much, for none can be divided by: then look at the microseconds.`,
      ],
    };
  },
};

/** A way that masquerades. */
interface Way {
  readonly results: readonly ShortConnections[];
  /** To p50 of connect, round by round. */
  readonly addedNs: readonly number[];
}

function added(results: readonly ShortConnections[], forwarded: readonly ShortConnections[]): number[] {
  return differences(results, forwarded, (one) => one.connectP50Ns);
}

function compare(peer: string, ours: Way, theirs: Way): Figure[] {
  const share = estimate(ratios(ours.addedNs, theirs.addedNs.map(divisible), (ns) => ns));
  return [
    ...relative(peer, ours.results, theirs.results, { atLeast: 1.3 }),
    ratio(`what masquerading adds to p50 of connect, of what it adds by ${peer}`, share, { goal: { atMost: 0.7 } }),
    ...absolute(theirs.results, peer),
    addedFigure(theirs, peer),
  ];
}

/** Below what a connect's clock and a machine's noise let anybody tell. */
const leastAddedNs = 100;

function divisible(addedNs: number): number {
  return Math.max(leastAddedNs, addedNs);
}

function addedFigure({ addedNs }: Way, peer?: string): Figure {
  const { value, interval } = estimate(addedNs.map((ns) => ns / 1000));
  const whose = peer !== undefined && { peer };
  return { what: 'what masquerading adds to p50 of connect', value, interval, unit: 'us', ...whose };
}

function relative(
  peer: string,
  ours: readonly ShortConnections[],
  theirs: readonly ShortConnections[],
  goal?: Goal,
): Figure[] {
  const rate = estimate(ratios(ours, theirs, (one) => one.rate));
  const connect = estimate(ratios(ours, theirs, (one) => one.connectP50Ns));
  return [
    ratio(`our rate, of that of ${peer}`, rate, goal && { goal }),
    ratio(`our p50 of connect, of that of ${peer}`, connect),
  ];
}

function absolute(results: readonly ShortConnections[], peer?: string): Figure[] {
  const whose = peer !== undefined && { peer };
  return [
    { what: 'rate', value: median(results.map((one) => one.rate)), unit: '/s', ...whose },
    { what: 'p50 of connect', value: median(results.map((one) => one.connectP50Ns)) / 1000, unit: 'us', ...whose },
  ];
}
