import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { maglevTable, permutationOf } from '@sluice/loadbalancer';
import { parseAddress } from '@sluice/net';
import {
  addresses,
  firstNodePort,
  type LocalServices,
  localServices,
  maglevSettings,
} from '../environment/local-services.ts';
import { inTurn, ratios } from '../pairs.ts';
import { permutationTable } from '../peers/permutation-table.ts';
import { type Figure, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const { tableSize: size, seed } = maglevSettings;

export const maglev: Row = {
  name: 'maglev',
  sentence: `Maglev tables of ${size} entries: to make one, to follow a change of one endpoint, and 1,000 services at once`,
  goal: '1,000 backends <= 1 ms, 87 <= 0.3 ms',
  async run({ quick, progress }) {
    progress('making tables');
    const tables = [
      ...(await tableFigures(87, 0.3, quick ? 5 : 51)),
      ...(await tableFigures(1_000, 1, quick ? 5 : 51)),
    ];
    progress('changing an endpoint');
    const changes = [...(await changeFigures(100, quick ? 5 : 51)), ...(await changeFigures(1_000, quick ? 5 : 51))];
    progress('1,000 services');
    return {
      figures: [...tables, ...changes, ...(await startFigures(quick ? 100 : 1_000))],
      notes: [
        'Each table that is measured has every backend equally often, and equals that of the peer entry by entry; each change is walked in the kernel’s maps, and less than 5 % of the entries of the other endpoints move.',
        'The peer writes every backend’s whole order of entries into memory first, as the paper’s pseudo code and the incumbent have it, in TypeScript on one CPU as ours is. The incumbent’s own, in Go on all CPUs of another machine, has been measured by others at 3.30 ms for 1,000 backends.',
        'A change: a slice of the table of EndpointSlices is replaced, until the maps have it, NodePort and ClusterIP; the reconciler’s turn and pause are in it.',
      ],
    };
  },
};

function names(count: number): string[] {
  return addresses(0, count)
    .map((address) => `${address}:8080/TCP`)
    .sort();
}

async function tableFigures(count: number, goalMs: number, rounds: number): Promise<Figure[]> {
  const all = names(count);
  const ours = () => maglevTable(all, { size, seed });
  // Hashing is in our time and not in the peer's.
  const orders = all.map((name) => permutationOf(name, size, seed));
  const room = new Uint32Array(count * size);
  const theirs = () => permutationTable(orders, size, room);
  assert.deepEqual(ours(), theirs());
  assertEven(ours(), count);
  const timed = (make: () => unknown) => async () => {
    const began = performance.now();
    make();
    return performance.now() - began;
  };
  for (let warm = 0; warm < 10; warm += 1) [ours, theirs].map((make) => make());
  const [mine = [], other = []] = await inTurn(rounds, [timed(ours), timed(theirs)]);
  return [
    { what: `table of ${count} backends`, ...estimate(mine), unit: 'ms', goal: { atMost: goalMs } },
    { what: `table of ${count} backends`, value: median(other), unit: 'ms', peer: 'permutations in memory' },
    ratio(`table of ${count} backends, of the peer’s`, estimate(ratios(mine, other, (ms) => ms))),
  ];
}

function assertEven(table: Uint16Array, count: number): void {
  const taken = Array.from({ length: count }, () => 0);
  for (const backend of table) taken[backend] = (taken[backend] ?? 0) + 1;
  assert.ok(Math.max(...taken) - Math.min(...taken) <= 1, `entries: ${Math.min(...taken)} to ${Math.max(...taken)}`);
}

/** One of so many endpoints gives way to another. */
async function changeFigures(count: number, rounds: number): Promise<Figure[]> {
  await using byTable = localServices('maglev');
  await using atRandom = localServices('random');
  const endpoints = addresses(0, count + 1);
  for (const local of [byTable, atRandom]) await local.fill(1, count);
  const change = (local: LocalServices) => {
    let round = 0;
    return async () => {
      round += 1;
      const gone = endpoints[(round * 7) % count];
      const before = local === byTable ? walk(local) : [];
      const began = performance.now();
      await local.change(
        0,
        endpoints.filter((address) => address !== gone),
      );
      const tookMs = performance.now() - began;
      if (local === byTable) assertFewMoved(before, walk(local), endpoints.length - 1);
      return tookMs;
    };
  };
  const [mine = [], random = []] = await inTurn(rounds, [change(byTable), change(atRandom)]);
  return [
    { what: `another of ${count} endpoints`, ...estimate(mine), unit: 'ms' },
    { what: `another of ${count} endpoints`, value: median(random), unit: 'ms', peer: 'Sluice, at random' },
  ];
}

/** Whose each entry of the NodePort's table is, by the way that the programs go. */
function walk({ maps }: LocalServices, service = 0): string[] {
  const key = { address: parseAddress('0.0.0.0'), port: firstNodePort + service, protocol: 6, scope: 0 };
  const { serviceId, generation, maglevSize } = maps.frontends.lookup(key) ?? assert.fail('no frontend');
  assert.equal(maglevSize, size);
  const entries: number[] = [];
  for (let chunk = 0; entries.length < maglevSize; chunk += 1)
    entries.push(...(maps.maglev.lookup({ serviceId, generation, chunk }) ?? assert.fail('no chunk')).slots);
  const addressOf = new Map<number, string>();
  return entries.slice(0, maglevSize).map((slot) => {
    const known = addressOf.get(slot);
    if (known !== undefined) return known;
    const id = maps.slots.lookup({ serviceId, generation, slot })?.backendId ?? 0;
    const address = maps.backends.lookup(id)?.address ?? assert.fail(`slot ${slot} leads nowhere`);
    addressOf.set(slot, address);
    return address;
  });
}

function assertFewMoved(before: readonly string[], after: readonly string[], count: number): void {
  const left = new Set(after);
  assert.equal(left.size, count, 'every endpoint has entries');
  const own = before.flatMap((address, entry) => (left.has(address) ? [entry] : []));
  const moved = own.filter((entry) => before[entry] !== after[entry]);
  assert.ok(moved.length <= own.length / 20, `${moved.length} of ${own.length} entries of others moved`);
}

/** What the list of a cluster in which every service has three endpoints makes of the process. */
async function startFigures(count: number): Promise<Figure[]> {
  await using local = localServices('maglev');
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const began = performance.now();
  await local.fill(count, 3);
  const tookMs = performance.now() - began;
  delays.disable();
  assert.equal(local.maps.maglev.count(), count * 9);
  for (const service of [0, count - 1]) assert.equal(new Set(walk(local, service)).size, 3);
  return [
    { what: `${count} services with 3 endpoints each, until all have tables`, value: tookMs / 1_000, unit: 's' },
    { what: 'the longest that nothing else could run meanwhile', value: delays.max / 1e6, unit: 'ms' },
  ];
}
