import assert from 'node:assert/strict';
import { benchCluster } from '../environment/cluster.ts';
import { trackedConnections } from '../environment/conntrack.ts';
import { shortConnections, stream } from '../environment/load.ts';
import { inTurn, ratios } from '../pairs.ts';
import { kernelOverlay } from '../peers/kernel-overlay.ts';
import { type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const pairs = 11;
const peer = 'kernel vxlan + bridge + conntrack';

export const overlay: Row = {
  name: 'overlay',
  sentence:
    'From a pod to one on another node by VXLAN, ours and the kernel’s own with a bridge and conntrack, MTU 1450',
  goal: 'stream >= 1.25 of the kernel’s, short connections >= 1.5 of the kernel’s',
  async run({ quick, progress }) {
    await using cluster = await benchCluster({ nodes: 2 });
    const [near, far] = cluster.nodes;
    if (!near || !far) throw new Error('the cluster has not two nodes');
    const { direct } = await cluster.serve(far, 'a');
    const client = await near.pod('client');
    await using stack = new AsyncDisposableStack();
    const kernel = await kernelOverlay(cluster.network, stack);
    const [count, streamMs] = quick ? [2_000, 500] : [6_000, 1_500];
    const rounds = quick ? 5 : pairs;
    progress('short connections');
    const [ours = [], theirs = []] = await inTurn(rounds, [
      () => shortConnections(client, direct, count),
      () => shortConnections(kernel.client, kernel.target, count),
    ]);
    progress('streams');
    const [fast = [], slow = []] = await inTurn(rounds, [
      () => stream(client, direct, streamMs),
      () => stream(kernel.client, kernel.target, streamMs),
    ]);
    assert.equal(trackedConnections(near.netns), 0, 'our packets have taken the kernel’s own connection tracking');
    assert.ok(kernel.tracked() > 0, 'the kernel’s way has no conntrack on it');
    const microseconds = (values: readonly { connectP50Ns: number }[]) =>
      median(values.map((one) => one.connectP50Ns)) / 1000;
    const rate = (values: readonly { rate: number }[]) => median(values.map((one) => one.rate));
    return {
      figures: [
        ratio('stream, of the kernel’s', estimate(ratios(fast, slow, (one) => one)), { goal: { atLeast: 1.25 } }),
        ratio('short connections, of the kernel’s', estimate(ratios(ours, theirs, (one) => one.rate)), {
          goal: { atLeast: 1.5 },
        }),
        { what: 'stream', value: median(fast), unit: 'Gbit/s' },
        { what: 'stream', value: median(slow), unit: 'Gbit/s', peer },
        { what: 'short connections', value: rate(ours), unit: '/s' },
        { what: 'short connections', value: rate(theirs), unit: '/s', peer },
        { what: 'p50 of connect', value: microseconds(ours), unit: 'us' },
        { what: 'p50 of connect', value: microseconds(theirs), unit: 'us', peer },
      ],
    };
  },
};
