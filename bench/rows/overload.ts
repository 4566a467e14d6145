import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { CtKind } from '@sluice/datapath';
import { type BenchCluster, type BenchNode, benchCluster, measuredService } from '../environment/cluster.ts';
import { type ConnectionTables, connectionTables, toldOfConntrack } from '../environment/connection-tables.ts';
import { type Crowd, type CrowdWindow, failureNotes, startCrowd, total } from '../environment/crowd.ts';
import { flood } from '../environment/flood.ts';
import { untilAnyAnswers } from '../environment/load.ts';
import { putService } from '../environment/services.ts';
import { interrupted } from '../interruption.ts';
import { inTurn, ratios } from '../pairs.ts';
import { type Figure, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const synsOfAll = 1_000_000;
const nodePort = 30_080;
/** Asked again as soon as they have answered. */
const busyFlows = 16;
/** Asked once a second, as most connections there are. */
const idleFlows = 1_000;
const newRate = 200;
/** The agent looks at its tables every ten seconds. */
const toldTimeoutMs = 60_000;
const collectedTimeoutMs = 45_000;

export const overload: Row = {
  name: 'overload',
  sentence: `The table of connections full, and ${synsOfAll.toLocaleString('en-US')} SYNs from clients that do not exist to a NodePort: what is left to connections that are there, and to new ones, of that beside no flood`,
  goal: 'requests over established connections >= 0.9; new ones >= 95 % answered; told before, and over afterwards',
  async run({ quick, progress }) {
    await using cluster = await benchCluster({ services: 200, nodes: 2 });
    const [node] = cluster.nodes;
    assert.ok(node);
    await using stack = new AsyncDisposableStack();
    const target = await serveByNodePort(cluster, node);
    const outside = { netns: cluster.outside.netns };
    const crowd = async (options: Partial<Parameters<typeof startCrowd>[2]>): Promise<Crowd> =>
      stack.use(await startCrowd(outside, target, { kept: 0, cpu: 1, ...options }));
    const idle = await crowd({ kept: idleFlows, intervalUs: 1_000_000 });
    const busy = await crowd({ kept: busyFlows });
    using tables = connectionTables(node);

    progress('the table fills');
    const told = await fillUp(node, tables);
    progress(`the table is full: ${told.why}`);
    const fresh = await crowd({ rate: newRate });
    await idle.look();
    const rounds = quick ? 2 : 11;
    const count = Math.ceil((quick ? 50_000 : synsOfAll) / rounds);
    const sent: number[] = [];
    const [quiet = [], flooded = []] = await inTurn(rounds, [
      () => windowOf([busy, fresh], () => delay(quick ? 500 : 1_500, undefined, { signal: interrupted })),
      () =>
        windowOf([busy, fresh], async () => {
          const { seconds } = await flood(outside, target, { count, seed: sent.length });
          sent.push(count / seconds);
        }),
    ]);
    assert.ok(tables.begun.count() > 0.9 * tables.begun.descriptor.maxEntries, 'the flood has met the programs');
    progress('it is over');
    const idleWindow = await idle.look();
    await busy[Symbol.asyncDispose]();
    await fresh[Symbol.asyncDispose]();
    const after = await freed(tables, () => crowd({ kept: 100, intervalUs: 100_000 }));
    const requests = ([{ asked, seconds }]: Window) => asked / seconds;
    const share = answeredShare(flooded.map(([, window]) => window));
    return {
      figures: [
        ratio(
          'requests over established connections, of those beside no flood',
          estimate(ratios(flooded, quiet, requests)),
          {
            goal: { atLeast: 0.9 },
          },
        ),
        {
          what: `new connections answered, of ${share.begun} beside the flood`,
          value: 100 * share.answered,
          unit: '%',
          goal: { atLeast: 95 },
        },
        brokenFigure([idleWindow, ...[...quiet, ...flooded].map(([window]) => window)]),
        {
          what: 'the gauge of the map’s fill, told while nothing was refused',
          value: told.gauge,
          unit: '',
          goal: { atMost: 0.95 },
        },
        {
          what: 'fill of the table when what had filled it was over',
          value: after.fill,
          unit: '',
          goal: { atMost: 0.1 },
        },
        {
          what: 'connections made then that the table does not have',
          value: after.missing,
          unit: '',
          goal: { atMost: 0 },
        },
        { what: 'SYNs', value: median(sent), unit: '/s' },
        { what: 'requests beside no flood', value: median(quiet.map(requests)), unit: '/s' },
      ],
      notes: [
        `${busyFlows} connections ask without a pause, ${idleFlows} once a second, ${newRate} new ones come each second, all from outside by the NodePort, to backends on two nodes (SNAT); every answer must be the question.`,
        ...failureNotes('Beside no flood', quiet.flat()),
        ...failureNotes('Beside the flood', flooded.flat()),
        'They and the servers are on CPU 1, the flood and what the kernel does with it on CPU 0, as a network card with two queues would have it.',
        'The table is filled with connections that are made up, written into the map; at 92 % the gauge and `sluice status` must tell, before anything is refused. What is begun in a full table stays in the one that a flood evicts from.',
      ],
    };
  },
};

/** A backend on each node. */
async function serveByNodePort(cluster: BenchCluster, node: BenchNode) {
  const servers = await Promise.all(cluster.nodes.map((each, index) => cluster.serveMany(each, 'ab'[index] ?? '')));
  await putService(cluster.api, { name: 'measured', ...measuredService, nodePort });
  await cluster.expose(...servers.map(({ pod }) => pod));
  const target = { address: node.address, port: nodePort };
  await untilAnyAnswers({ netns: cluster.outside.netns }, target);
  return target;
}

/** Nearly, until the agent has told; then wholly. */
async function fillUp(node: BenchNode, tables: ConnectionTables) {
  tables.fill(0.92);
  for (const end = performance.now() + toldTimeoutMs; ; await delay(250, undefined, { signal: interrupted })) {
    const told = await toldOfConntrack(node);
    if (told.gauge >= 0.9 && told.why !== '') {
      assert.doesNotMatch(told.why, /untracked/, 'it was told before anything was refused');
      tables.fill(1);
      return told;
    }
    if (performance.now() > end)
      throw new Error(`the agent does not tell that conntrack fills: ${JSON.stringify(told)}`);
  }
}

type Window = readonly [busy: CrowdWindow, fresh: CrowdWindow];

async function windowOf([busy, fresh]: readonly [Crowd, Crowd], run: () => Promise<unknown>): Promise<Window> {
  const look = () => Promise.all([busy.look(), fresh.look()]);
  await look();
  await run();
  return look();
}

function answeredShare(windows: readonly CrowdWindow[]): { readonly begun: number; readonly answered: number } {
  const answered = windows.reduce((sum, { answers, late }) => sum + total(answers) + late, 0);
  const failed = windows.reduce((sum, { failedNew }) => sum + total(failedNew), 0);
  return { begun: answered + failed, answered: answered / (answered + failed) };
}

function brokenFigure(windows: readonly CrowdWindow[]): Figure {
  const broken = windows.reduce((sum, { failedKept }) => sum + total(failedKept), 0);
  return { what: `of ${busyFlows + idleFlows} connections broken`, value: broken, unit: '', goal: { atMost: 0 } };
}

/** The agent collects what is over, and what is begun then gets its place. */
async function freed(tables: ConnectionTables, begin: () => Promise<Crowd>) {
  tables.endMadeUp();
  const { established } = tables;
  const fill = () => established.count() / established.descriptor.maxEntries;
  for (const end = performance.now() + collectedTimeoutMs; fill() > 0.1 && performance.now() < end; )
    await delay(500, undefined, { signal: interrupted });
  const left = fill();
  const beganNs = process.hrtime.bigint();
  const fresh = await begin();
  await delay(1_000);
  const known = [...established.entries()].filter(
    ([, { kind, createdNs }]) => kind === CtKind.Connection && createdNs >= beganNs,
  ).length;
  const { kept } = await fresh.look();
  return { fill: left, missing: Math.max(0, total(kept) - known) };
}
