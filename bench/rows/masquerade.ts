import assert from 'node:assert/strict';
import { trackedConnections } from '../environment/conntrack.ts';
import { type ShortConnections, shortConnections, untilAnswered } from '../environment/load.ts';
import { inTurn, ratios } from '../pairs.ts';
import { masqueradeScene } from '../peers/kernel-masquerade.ts';
import { type Figure, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const rounds = 11;

export const masquerade: Row = {
  name: 'masquerade',
  sentence: 'Short connections from a pod to a server outside of the cluster, which sees the node’s address',
  goal: 'rate >= 1.3 of each kernel masquerade',
  async run({ quick, progress }) {
    await using scene = await masqueradeScene();
    const { node, target, peers } = scene;
    const client = await node.pod('client');
    for (const place of [client, ...peers.map((peer) => peer.client)]) await untilAnswered(place, target);
    progress('measuring');
    const count = quick ? 1_000 : 4_000;
    const [ours = [], ...theirs] = await inTurn(
      quick ? 3 : rounds,
      [client, ...peers.map((peer) => peer.client)].map((place) => () => shortConnections(place, target, count)),
    );
    assert.equal(trackedConnections(node.netns), 0, 'our packets have taken the kernel’s own connection tracking');
    for (const { peer, tracked } of peers) assert.ok(tracked() > 0, `${peer}: conntrack has not seen the connections`);
    return {
      figures: [...absolute(ours), ...peers.flatMap(({ peer }, index) => compare(peer, ours, theirs[index] ?? []))],
      notes: [
        'The server knows no way to pods: an answer means that the source was translated.',
        'Their way is pod, node, server with nothing but these rules; ours goes through everything that Sluice does.',
      ],
    };
  },
};

function compare(peer: string, ours: readonly ShortConnections[], theirs: readonly ShortConnections[]): Figure[] {
  const rate = estimate(ratios(ours, theirs, (one) => one.rate));
  const connect = estimate(ratios(ours, theirs, (one) => one.connectP50Ns));
  return [
    ratio(`our rate, of that of ${peer}`, rate, { goal: { atLeast: 1.3 } }),
    ratio(`our p50 of connect, of that of ${peer}`, connect),
    ...absolute(theirs, peer),
  ];
}

function absolute(results: readonly ShortConnections[], peer?: string): Figure[] {
  const whose = peer !== undefined && { peer };
  return [
    { what: 'rate', value: median(results.map((one) => one.rate)), unit: '/s', ...whose },
    { what: 'p50 of connect', value: median(results.map((one) => one.connectP50Ns)) / 1000, unit: 'us', ...whose },
  ];
}
