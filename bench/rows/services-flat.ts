import { benchCluster, measuredService } from '../environment/cluster.ts';
import { shortConnections, udpConnects, untilAnswered } from '../environment/load.ts';
import { inTurn, ratios } from '../pairs.ts';
import { type Figure, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const counts = [1, 200, 10_000, 30_000];
/** The rate of many short runs varies less than that of few long ones: other work comes in bursts. */
const tcpRounds = 61;
const udpRounds = 31;

export const servicesFlat: Row = {
  name: 'services-flat',
  sentence:
    'Short connections and UDP connects by a ClusterIP among 200, 10,000 and 30,000 services, of those with 1 service',
  goal: 'within 2 %',
  async run({ quick, progress }) {
    await using stack = new AsyncDisposableStack();
    const clients = [];
    for (const count of quick ? [1, 1_000] : counts) {
      progress(`${count} services: a node learns them`);
      const cluster = stack.use(await benchCluster({ services: count - 1 }));
      const [node] = cluster.nodes;
      if (!node) throw new Error('the cluster has no node');
      const { pod } = await cluster.serve(node, 'a');
      await cluster.expose(pod);
      const client = await node.pod('client');
      await untilAnswered(client, measuredService);
      clients.push({ count, client });
    }
    progress('measuring TCP');
    const tcp = await inTurn(
      quick ? 3 : tcpRounds,
      clients.map(
        ({ client }) =>
          () =>
            shortConnections(client, measuredService, quick ? 1_000 : 2_000),
      ),
    );
    progress('measuring UDP');
    const udp = await inTurn(
      quick ? 3 : udpRounds,
      clients.map(
        ({ client }) =>
          () =>
            udpConnects(client, measuredService, quick ? 10_000 : 50_000),
      ),
    );
    const figures = clients.flatMap(({ count }, index): Figure[] => {
      const [connections = [], connects = []] = [tcp[index], udp[index]];
      const microseconds = median(connections.map((one) => one.connectP50Ns)) / 1000;
      const p50: Figure = { what: `${count} services: p50 of connect`, value: microseconds, unit: 'us' };
      if (index === 0) return [p50];
      const rate = estimate(ratios(connections, tcp[0] ?? [], (one) => one.rate));
      const connect = estimate(ratios(connections, tcp[0] ?? [], (one) => one.connectP50Ns));
      const udpConnect = estimate(ratios(connects, udp[0] ?? [], (one) => one.connectNs));
      return [
        ratio(`${count} services: rate, of 1 service`, rate, { goal: { atLeast: 0.98 } }),
        ratio(`${count} services: p50 of connect, of 1 service`, connect, { goal: { atMost: 1.02 } }),
        ratio(`${count} services: UDP connect, of 1 service`, udpConnect, { goal: { atMost: 1.02 } }),
        p50,
      ];
    });
    return {
      figures,
      notes: ['Each number of services has a node of its own; all are there at the same time and take turns.'],
    };
  },
};
