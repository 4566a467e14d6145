import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf } from '../../lab/test/process-cost.ts';
import type { BenchAgent } from '../environment/agent.ts';
import { isInStep, mapWrites } from '../environment/agent-metrics.ts';
import { type BenchCluster, type BenchNode, benchCluster, frontendRows } from '../environment/cluster.ts';
import { configurationMapNames, configurationRows, differingRows } from '../environment/configuration-rows.ts';
import { assertFillers, frontendCount } from '../environment/full-maps.ts';
import { type MapFloor, mapFloor } from '../environment/map-floor.ts';
import { type Figure, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const large = { services: 10_000, endpointsPerService: 25 };
const small = { services: 1_000, endpointsPerService: 25 };
const timeoutMs = 120_000;

/** An agent that finds nothing in the kernel. */
interface Sync {
  readonly listedToFullS: number;
  readonly startToFullS: number;
  readonly peakMiB: number;
  readonly cpuS: number;
  /** Rows, by the map's name. */
  readonly writes: ReadonlyMap<string, number>;
}

/** The next one, which finds everything as it should be. */
interface Restart {
  readonly readyS: number;
  readonly inStepS: number;
  readonly peakMiB: number;
  readonly writes: ReadonlyMap<string, number>;
  readonly differing: number;
}

export const fullSync: Row = {
  name: 'full-sync',
  sentence:
    'A fresh agent in a cluster of 10,000 services with 25 endpoints each, from its first request for a list until the kernel has everything; then it is killed with -9 and started again',
  goal: '<= 4 s, <= 16 of the floor, peak <= 450 MiB; again: ready <= 5 s, no row written',
  async run({ quick, progress }) {
    const size = quick ? small : large;
    const [syncs, floors, restarts]: [Sync[], MapFloor[], Restart[]] = [[], [], []];
    for (let left = quick ? 1 : 3; left > 0; left -= 1) {
      progress('making the cluster');
      await using cluster = await benchCluster({ ...size, startAgents: false });
      const [node] = cluster.nodes;
      if (!node) throw new Error('the cluster has no node');
      progress('the agent starts');
      const sync = await measureSync(cluster, node, size.services);
      progress('comparing every service, slot and backend');
      assertFillers(node.bpffs, size);
      const floor = mapFloor(node.bpffs);
      assert.ok(configurationWrites(sync) >= floor.rows, 'the agent does not count all rows that it writes');
      syncs.push(sync);
      floors.push(floor);
      if (left > 1) continue;
      progress('the agent starts again');
      restarts.push(await measureRestart(node, size.services));
    }
    return {
      figures: [...syncFigures(syncs, floors), ...restarts.flatMap(restartFigures)],
      notes: [
        `${numberText(size.services)} services, ${numberText(size.services * size.endpointsPerService)} endpoints, all compared with what the API server has; median of ${syncs.length}.`,
        `Floor: ${numberText(floors[0]?.rows ?? 0)} rows, as many as the sync writes, in batches into empty maps of the same sizes, and nothing else.`,
        'Until the first lists are in the kernel the heap may grow fourfold between two collections: as V8 does for a small heap, garbage collection was half of the CPU time.',
        'Written is what the agent counts itself, each row of a batch; a row that was written as it was is in it. The rows of other maps are those by which agents know that they take over, and what is to be told of drops.',
        'What kube-proxy’s rule sets need to load 10,000 services with 2 endpoints each is in the row kube-proxy.',
      ],
    };
  },
};

async function measureSync({ api }: BenchCluster, { agent, bpffs }: BenchNode, services: number): Promise<Sync> {
  const began = process.hrtime.bigint();
  await agent.start();
  const fullNs = await untilFull({ agent, bpffs }, frontendRows(services));
  const [peakMiB, cpuS] = [peakMiBOf(agent.pid()), cpuSecondsOf(agent.pid())];
  const listedNs = BigInt(await api.ask('/listed/endpointslices'));
  return {
    listedToFullS: Number(fullNs - listedNs) / 1e9,
    startToFullS: Number(fullNs - began) / 1e9,
    peakMiB,
    cpuS,
    writes: await mapWrites(agent),
  };
}

async function measureRestart({ agent, bpffs }: BenchNode, services: number): Promise<Restart> {
  const before = configurationRows(bpffs);
  await agent.kill();
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  await agent.start();
  const readyS = seconds();
  await untilInStep(agent, services);
  const inStepS = seconds();
  const [peakMiB, writes] = [peakMiBOf(agent.pid()), await mapWrites(agent)];
  return { readyS, inStepS, peakMiB, writes, differing: differingRows(before, configurationRows(bpffs)) };
}

function syncFigures(syncs: readonly Sync[], floors: readonly MapFloor[]): Figure[] {
  const middle = (of: (sync: Sync) => number) => median(syncs.map(of));
  const ofFloor = syncs.map(({ listedToFullS }, round) => listedToFullS / (floors[round]?.seconds ?? Number.NaN));
  const [what, floor] = ['from the first list to all in the maps', median(floors.map(({ seconds }) => seconds))];
  return [
    { what, value: middle((one) => one.listedToFullS), unit: 's', goal: { atMost: 4 } },
    ratio(`${what}, of the floor`, estimate(ofFloor), { goal: { atMost: 16 } }),
    { what: 'as many rows into the maps', value: floor, unit: 's', peer: 'floor' },
    {
      what: 'peak of resident memory',
      value: Math.max(...syncs.map((one) => one.peakMiB)),
      unit: 'MiB',
      goal: { atMost: 450 },
    },
    { what: 'from the agent’s start', value: middle((one) => one.startToFullS), unit: 's' },
    { what: 'CPU time of the agent by then', value: middle((one) => one.cpuS), unit: 's' },
  ];
}

function restartFigures(restart: Restart): Figure[] {
  const written = configurationWrites(restart);
  const others = [...restart.writes.values()].reduce((sum, rows) => sum + rows, 0) - written;
  const rows = 'rows of services, nodes and pods';
  return [
    { what: 'again: start to ready', value: restart.readyS, unit: 's', goal: { atMost: 5 } },
    { what: 'again: until every service is compared', value: restart.inStepS, unit: 's' },
    { what: `again: ${rows} written or deleted`, value: written, unit: '', goal: { atMost: 0 } },
    { what: `again: ${rows} that differ afterwards`, value: restart.differing, unit: '', goal: { atMost: 0 } },
    { what: 'again: rows of other maps written or deleted', value: others, unit: '' },
    { what: 'again: peak of resident memory', value: restart.peakMiB, unit: 'MiB', goal: { atMost: 450 } },
  ];
}

function configurationWrites({ writes }: Pick<Sync, 'writes'>): number {
  return configurationMapNames.reduce((sum, name) => sum + (writes.get(name) ?? 0), 0);
}

/** A frontend is written when all that it leads to is there: their number says it all, and costs little to ask. */
async function untilFull({ bpffs, agent }: Pick<BenchNode, 'bpffs' | 'agent'>, frontends: number): Promise<bigint> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; await delay(20)) {
    if (frontendCount(bpffs) >= frontends) return process.hrtime.bigint();
    if (agent.hasEnded()) throw new Error('the agent has ended before all was in the maps');
  }
  throw new Error(`${frontendCount(bpffs)} of ${frontends} frontends are there after ${timeoutMs / 1000} s`);
}

async function untilInStep(agent: BenchAgent, services: number): Promise<void> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; await delay(250)) {
    if (await isInStep(agent, services)) return;
  }
  throw new Error(`the agent has not compared all services after ${timeoutMs / 1000} s`);
}

function numberText(value: number): string {
  return value.toLocaleString('en-US');
}

function peakMiBOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
