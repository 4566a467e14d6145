import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { MapUsage } from '@sluice/agent';
import { installationRoot } from '@sluice/runtime';
import { otherLayouts, otherVersion, seededRandom } from '@sluice/testing';
import { type BenchCluster, type BenchNode, benchCluster, measuredService } from '../environment/cluster.ts';
import { type Crowd, type CrowdWindow, failureNotes, startCrowd, total } from '../environment/crowd.ts';
import { ip } from '../environment/inside.ts';
import { untilAnyAnswers } from '../environment/load.ts';
import { putService } from '../environment/services.ts';
import { interrupted } from '../interruption.ts';
import { inTurn, ratios } from '../pairs.ts';
import { type Figure, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const seed = 1;
const nodePort = 30_080;
/** Of both crowds together. */
const flows = 2_000;
const rate = 3_000;
const flowIntervalUs = 1_000_000;
/** Of the clients outside: one alone would use its ports again within ten seconds, which no client does. */
const clientAddresses = Array.from({ length: 16 }, (_, index) => `10.10.30.${201 + index}`);
/** About what a start takes, the look at the maps and programs of another version included. */
const startMs = 800;

/** What may happen to the agent in a round. */
interface Way {
  readonly name: string;
  run(windowMs: number): Promise<void>;
}

/** From a pod by the ClusterIP, and from outside by the NodePort. */
type Window = readonly [inside: CrowdWindow, outside: CrowdWindow];

export const agentDeath: Row = {
  name: 'agent-death',
  sentence: `The agent killed with -9 and started again, replaced by a build with other map layouts and by this one again, or absent, under ${flows} TCP flows and ${rate} new connections a second: half from a pod by a ClusterIP, half from outside by a NodePort`,
  goal: 'no reset, no time-out; p99 of connect <= 1.05 of that beside an agent that is left alone',
  async run({ quick, long, progress }) {
    progress('another version is built');
    using other = await otherVersion(installationRoot(), otherLayouts, { bundles: true });
    await using cluster = await benchCluster({ services: 200, nodes: 2 });
    const [node] = cluster.nodes;
    assert.ok(node);
    await using stack = new AsyncDisposableStack();
    const crowds = await startBoth(cluster, node, stack);
    const ways = waysOf(node, other.root);
    progress(`the crowds are there; seed ${seed}`);
    const windowMs = quick ? 1_500 : 2_500;
    // Between rounds as well: an agent may be late with its start.
    const all: Window[] = [];
    let [round, fullest] = [0, 0];
    const watch = async (ms: number, way: Way): Promise<Window> => {
      round += 1;
      all.push(await look(crowds));
      const ended = way.run(ms);
      await delay(ms, undefined, { signal: interrupted });
      const window = await look(crowds);
      all.push(window);
      await ended;
      const rest = await look(crowds);
      all.push(rest);
      const failed = [...window, ...rest].reduce((sum, one) => sum + failuresOf(one), 0);
      const fill = await conntrackFill(node);
      fullest = Math.max(fullest, fill);
      if (failed > 0)
        progress(
          `round ${round}, agent ${way.name}: ${failed} failures; conntrack is ${(100 * fill).toFixed(0)} % full`,
        );
      return window;
    };
    const windows = await inTurn(
      quick ? 2 : long ? 250 : 11,
      ways.map((way) => () => watch(windowMs, way)),
    );
    const absentSeconds = quick ? 3 : long ? 1_800 : 30;
    progress(`the agent is absent for ${absentSeconds} s`);
    const absent = ways.at(-1);
    assert.ok(absent);
    await watch(absentSeconds * 1_000, absent);
    const [alone = [], ...others] = windows;
    return {
      figures: [
        ...failureFigures(all.flat()),
        ...others.flatMap((of, index) => connectFigures(ways[index + 1]?.name ?? '', of, alone)),
        { what: 'the slowest connect of all', value: Math.max(...all.flat().map(slowestMs)), unit: 'ms' },
        { what: 'conntrack, the fullest that it was', value: 100 * fullest, unit: '%' },
        { what: 'new connections, made', value: madeRate(windows.flat()), unit: '/s' },
      ],
      notes: [
        `${alone.length} rounds of ${windowMs} ms each, the ways in turn; then ${absentSeconds} s without an agent. In the rounds it dies at instants of seed ${seed}, when it is replaced also in the middle of the start.`,
        ...failureNotes('In all rounds', all.flat()),
        `Each flow asks once a second, and each answer must be the question byte by byte. New connections are a byte each way, then the server ends them; those from outside come from ${clientAddresses.length} addresses. They begin at their instants, whether those before them are done or not.`,
        'What a starting agent takes of the two CPUs is in the times of its rounds.',
      ],
    };
  },
};

function waysOf({ agent }: BenchNode, otherRoot: string): readonly Way[] {
  const random = seededRandom(seed);
  let isOther = false;
  const start = () => agent.start(isOther ? otherRoot : undefined);
  return [
    { name: 'left alone', run: async () => undefined },
    {
      name: 'killed and started again',
      async run(windowMs) {
        await delay((random() * windowMs) / 4);
        await agent.kill();
        await start();
      },
    },
    {
      name: 'replaced by another version',
      async run() {
        isOther = !isOther;
        await agent.kill();
        await agent.startAndKill(random() * startMs, isOther ? otherRoot : undefined);
        await start();
      },
    },
    {
      name: 'absent',
      async run(windowMs) {
        await agent.kill();
        await delay(windowMs);
        await start();
      },
    },
  ];
}

/** A backend is on each node. */
async function startBoth(
  cluster: BenchCluster,
  node: BenchNode,
  stack: AsyncDisposableStack,
): Promise<readonly [Crowd, Crowd]> {
  const servers = await Promise.all(cluster.nodes.map((each, index) => cluster.serveMany(each, 'ab'[index] ?? '')));
  await putService(cluster.api, { name: 'measured', ...measuredService, nodePort });
  await cluster.expose(...servers.map(({ pod }) => pod));
  const client = await node.pod('client');
  const outside = { netns: cluster.outside.netns };
  const byNodePort = { address: node.address, port: nodePort };
  await untilAnyAnswers(client, measuredService);
  await untilAnyAnswers(outside, byNodePort);
  ip(outside.netns, ...clientAddresses.map((address) => `address add ${address}/24 dev switch`));
  const sources = { first: clientAddresses[0] ?? '', count: clientAddresses.length };
  const half = { kept: flows / 2, rate: rate / 2, intervalUs: flowIntervalUs };
  return [
    stack.use(await startCrowd(client, measuredService, half)),
    stack.use(await startCrowd(outside, byNodePort, { ...half, sources })),
  ];
}

/** Of the table that refuses what is too much, 0 to 1. */
async function conntrackFill({ agent }: BenchNode): Promise<number> {
  const maps = await agent.get<MapUsage[]>('/maps');
  const { entries = 0, maxEntries } = maps.find(({ name }) => name === 'conntrack') ?? { maxEntries: Number.NaN };
  return entries / maxEntries;
}

function look([inside, outside]: readonly [Crowd, Crowd]): Promise<Window> {
  return Promise.all([inside.look(), outside.look()]);
}

function failuresOf({ failedKept, failedNew }: CrowdWindow): number {
  return total(failedKept) + total(failedNew);
}

function failureFigures(windows: readonly CrowdWindow[]): Figure[] {
  const sumOf = (count: (window: CrowdWindow) => number) => windows.reduce((sum, window) => sum + count(window), 0);
  const asked = sumOf((window) => window.asked);
  const begun = sumOf((window) => window.begun);
  const goal = { atMost: 0 };
  return [
    {
      what: `flows that broke, of ${flows} with ${asked} questions`,
      value: sumOf(({ failedKept }) => total(failedKept)),
      unit: '',
      goal,
    },
    {
      what: `of ${begun} new connections: refused or reset`,
      value: sumOf(({ failedNew }) => total(failedNew) - failedNew.timeout),
      unit: '',
      goal,
    },
    { what: 'and timed out', value: sumOf(({ failedNew }) => failedNew.timeout), unit: '', goal },
  ];
}

function connectFigures(name: string, windows: readonly Window[], alone: readonly Window[]): Figure[] {
  return (['ClusterIP', 'NodePort'] as const).map((way, index) => {
    const p99 = (window: Window) => window[index]?.connectP99Ns ?? Number.NaN;
    return ratio(`${name}: p99 of connect by the ${way}`, estimate(ratios(windows, alone, p99)), {
      goal: { atMost: 1.05 },
    });
  });
}

function slowestMs({ connectMaxNs = 0 }: CrowdWindow): number {
  return connectMaxNs / 1e6;
}

function madeRate(windows: readonly Window[]): number {
  const rates = windows.map((window) =>
    window.reduce((sum, { answers, late, seconds }) => sum + (total(answers) + late) / seconds, 0),
  );
  return median(rates);
}
