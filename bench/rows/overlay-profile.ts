import type { ProgramUsage } from '@sluice/agent';
import { type BenchNode, benchCluster } from '../environment/cluster.ts';
import { type ShortConnections, shortConnections, stream } from '../environment/load.ts';
import { inTurn, ratios } from '../pairs.ts';
import { type BareWay, bareWays } from '../peers/bare-overlay.ts';
import { kernelOverlay } from '../peers/kernel-overlay.ts';
import { type Figure, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const rounds = 9;
const measuredSeconds = 2;
const programs = ['pod_from_pod', 'netdev_to_network', 'netdev_from_network', 'overlay_from_overlay'];

export const overlayProfile: Row = {
  name: 'overlay-profile',
  sentence:
    'Where the time between two nodes goes: ways with next to nothing on them, and what our programs take of live traffic',
  goal: 'only told: the bound of what the row overlay wants',
  onRequest: true,
  async run({ quick, progress }) {
    await using cluster = await benchCluster({ nodes: 2 });
    const [near, far] = cluster.nodes;
    if (!near || !far) throw new Error('the cluster has not two nodes');
    const { direct } = await cluster.serve(far, 'a');
    await using stack = new AsyncDisposableStack();
    const kernel = await kernelOverlay(cluster.network, stack);
    const ours = { name: 'Sluice', client: await near.pod('client'), target: direct };
    const ways: BareWay[] = [ours, ...(await bareWays(cluster.network, stack))];
    const all = [{ name: 'kernel', ...kernel }, ...ways];
    const [count, streamMs] = quick ? [1_000, 300] : [4_000, 1_000];
    progress('short connections');
    const [theirShort = [], ...short] = await inTurn(
      quick ? 3 : rounds,
      all.map(
        ({ client, target }) =>
          () =>
            shortConnections(client, target, count),
      ),
    );
    progress('streams');
    const [theirStream = [], ...streams] = await inTurn(
      quick ? 3 : rounds,
      all.map(
        ({ client, target }) =>
          () =>
            stream(client, target, streamMs),
      ),
    );
    const compared = ways.flatMap(({ name }, index) =>
      compare(name, { short: short[index] ?? [], theirShort, streams: streams[index] ?? [], theirStream }),
    );
    progress('programs');
    const load = {
      short: () => shortConnections(ours.client, ours.target, 30_000),
      stream: () => stream(ours.client, ours.target, 4_000),
    };
    return {
      figures: [
        ...compared,
        ...(await programFigures('short connections', [near, far], load.short)),
        ...(await programFigures('a stream', [near, far], load.stream)),
      ],
      notes: [
        'Ratios are of the kernel’s vxlan, bridge and conntrack, measured in turn with all of them.',
        'Programs: `GET /programs?measure`, both nodes, a run; the kernel’s own clock for it is some 20 ns of each.',
      ],
    };
  },
};

interface Measured {
  readonly short: readonly ShortConnections[];
  readonly theirShort: readonly ShortConnections[];
  readonly streams: readonly number[];
  readonly theirStream: readonly number[];
}

function compare(name: string, { short, theirShort, streams, theirStream }: Measured): Figure[] {
  const whose = name !== 'Sluice' && { peer: name };
  const connectUs = median(short.map((one) => one.connectP50Ns)) / 1000;
  return [
    ratio('short connections, of the kernel’s', estimate(ratios(short, theirShort, (one) => one.rate)), { ...whose }),
    ratio('stream, of the kernel’s', estimate(ratios(streams, theirStream, (one) => one)), { ...whose }),
    { what: 'p50 of connect', value: connectUs, unit: 'us', ...whose },
  ];
}

/** A mean over both nodes' runs while the load lasts. */
async function programFigures(
  what: string,
  nodes: readonly BenchNode[],
  load: () => Promise<unknown>,
): Promise<Figure[]> {
  const under = load();
  const usages = await Promise.all(
    nodes.map(({ agent }) => agent.get<ProgramUsage[]>(`/programs?measure=${measuredSeconds}`)),
  );
  await under;
  return programs.map((name) => {
    const ran = usages.flat().filter((program) => program.name === name && (program.runCount ?? 0) > 0);
    const runs = ran.reduce((sum, { runCount = 0 }) => sum + runCount, 0);
    if (runs === 0) throw new Error(`${what}: no packet has met ${name}`);
    const ns = ran.reduce((sum, { runCount = 0, averageNs = 0 }) => sum + runCount * averageNs, 0);
    return { what: `${name}, ${what}`, value: ns / runs, unit: 'ns' };
  });
}
