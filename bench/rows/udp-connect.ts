import { benchCluster, measuredService } from '../environment/cluster.ts';
import { udpConnects, untilAnswered } from '../environment/load.ts';
import { inTurn, ratios } from '../pairs.ts';
import { type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const services = 200;
const pairs = 15;

export const udpConnect: Row = {
  name: 'udp-connect',
  sentence:
    'connect() of fresh UDP sockets in a pod to a ClusterIP, translated and its reverse kept, and to the pod behind it without our hooks',
  goal: 'connect <= 1.25 of that without hooks',
  async run({ quick, progress }) {
    await using cluster = await benchCluster({ services });
    const [node] = cluster.nodes;
    if (!node) throw new Error('the cluster has no node');
    const { pod: server, direct } = await cluster.serve(node, 'a');
    await cluster.expose(server);
    const hooked = await node.pod('client');
    /** The same pod, by a process outside the node's cgroup. */
    const bare = { netns: hooked.netns };
    await untilAnswered(hooked, measuredService);
    progress('measuring');
    const count = quick ? 20_000 : 40_000;
    const [translated = [], passing = [], free = []] = await inTurn(quick ? 5 : pairs, [
      () => udpConnects(hooked, measuredService, count),
      () => udpConnects(hooked, direct, count),
      () => udpConnects(bare, direct, count),
    ]);
    const connect = estimate(ratios(translated, free, (one) => one.connectNs));
    const again = estimate(ratios(translated, free, (one) => one.connectAgainNs));
    const whole = estimate(ratios(translated, free, (one) => one.socketConnectCloseNs));
    const passed = estimate(ratios(passing, free, (one) => one.connectNs));
    const nanoseconds = (results: readonly { connectNs: number }[]) => median(results.map((one) => one.connectNs));
    return {
      figures: [
        ratio('connect to the ClusterIP, of one without hooks', connect, { goal: { atMost: 1.25 } }),
        ratio('the same socket once more, of the same without hooks', again),
        ratio('socket, connect and close, of the same without hooks', whole),
        ratio('connect to what is no service, of one without hooks', passed),
        { what: 'connect to the ClusterIP', value: nanoseconds(translated), unit: 'ns' },
        { what: 'connect', value: nanoseconds(free), unit: 'ns', peer: 'direct path, no hooks' },
      ],
      notes: [
        'For the way back a fresh socket takes one of the places that are there from the start; one whose place another socket has gets a storage of its own, which takes longer.',
      ],
    };
  },
};
