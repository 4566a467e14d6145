import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeMap } from '@sluice/bpf';
import { backendsMap, frontendsMap, maglevMap, slotsMap, sourceRangesMap } from '@sluice/datapath';
import { parseAddress } from '@sluice/net';
import fc from 'fast-check';
import type { DesiredBackend, DesiredFrontend } from './frontend.ts';
import { KernelServices, type ServiceMaps } from './kernel-services.ts';
import { maglevTable } from './maglev-table.ts';

const GRACE_MS = 1_000;
const settings = { tableSize: 4093, seed: 0x24b7_ef82 };
const CHUNKS = 3;

function kernel(given: Partial<ServiceMaps> = {}) {
  const maps = {
    frontends: createFakeMap(frontendsMap),
    slots: createFakeMap(slotsMap),
    backends: createFakeMap(backendsMap),
    sourceRanges: createFakeMap(sourceRangesMap),
    maglev: createFakeMap(maglevMap),
    ...given,
  } satisfies ServiceMaps;
  const time = { ms: 0 };
  const start = (maglev = settings) => new KernelServices({ maps, maglev, nowMs: () => time.ms, graceMs: GRACE_MS });
  const pass = (services: KernelServices) => {
    time.ms += GRACE_MS;
    services.collect();
  };
  return { maps, start, pass, services: start() };
}

function backend(last: number): DesiredBackend {
  const address = parseAddress(`10.244.1.${last}`);
  const key = `${address}:8080/TCP`;
  return { key, address, port: 8080, protocol: 'TCP', nodeName: undefined, zone: undefined, state: 'active' };
}

function frontend(last: number, backends: readonly number[], more: Partial<DesiredFrontend> = {}): DesiredFrontend {
  const address = parseAddress(`203.0.113.${last}`);
  const key = `${address}:80/TCP`;
  return {
    ...{ key, address, port: 80, protocol: 'TCP', type: 'LoadBalancer', service: 'shop/web', portName: '' },
    ...{ scope: 'internal', isExternal: true, isElsewhere: false, sourceRanges: undefined, isNodeAllowed: true },
    affinitySeconds: 0,
    algorithm: 'maglev',
    forwarding: undefined,
    ...{ policy: 'Cluster', unused: undefined },
    backends: backends.map(backend).sort((a, b) => (a.key < b.key ? -1 : 1)),
    ...more,
  };
}

function rowOf(maps: ServiceMaps, last: number) {
  return maps.frontends.lookup({ address: parseAddress(`203.0.113.${last}`), port: 80, protocol: 6, scope: 0 });
}

/** Whom each entry of a frontend's present table leads to, by the way that the programs go; undefined: it has none. */
function walk(maps: ServiceMaps, last: number): (string | undefined)[] | undefined {
  const row = rowOf(maps, last);
  if (row === undefined || row.maglevSize === 0) return undefined;
  const { serviceId, generation } = row;
  const count = Math.ceil(row.maglevSize / 2_000);
  const chunks = Array.from({ length: count }, (_, chunk) => maps.maglev.lookup({ serviceId, generation, chunk }));
  const entries = chunks.flatMap((chunk) => [...(chunk ?? assert.fail('a chunk is missing')).slots]);
  return entries.slice(0, row.maglevSize).map((slot) => {
    const id = maps.slots.lookup({ serviceId, generation, slot })?.backendId ?? 0;
    return maps.backends.lookup(id)?.address;
  });
}

/** What it should be. */
function wanted(lasts: readonly number[], size = settings.tableSize): (string | undefined)[] {
  const all = frontend(5, lasts).backends;
  const table = maglevTable(
    all.map(({ key }) => key),
    { size, seed: settings.seed },
  );
  return Array.from(table, (slot) => all[slot]?.address);
}

test('a service by Maglev has a table of its backends, a service at random none', () => {
  const { maps, services } = kernel();
  services.update(frontend(5, [2, 3, 4]));
  services.update(frontend(6, [2, 3], { algorithm: 'random' }));
  assert.deepEqual([rowOf(maps, 5)?.maglevSize, rowOf(maps, 6)?.maglevSize, maps.maglev.count()], [4093, 0, CHUNKS]);
  assert.deepEqual(walk(maps, 5), wanted([2, 3, 4]));
});

test('of one backend, or none, there is nothing to choose, and no table', () => {
  const { maps, services } = kernel();
  services.update(frontend(5, [2]));
  services.update(frontend(6, []));
  assert.deepEqual([walk(maps, 5), walk(maps, 6), maps.maglev.count()], [undefined, undefined, 0]);
  assert.equal(services.whyRandom(frontend(5, [2])), undefined);
});

test('the old table is whole until its grace has passed, then it is gone', () => {
  const { maps, pass, services } = kernel();
  services.update(frontend(5, [2, 3, 4]));
  const before = rowOf(maps, 5);
  services.update(frontend(5, [2, 4]));
  assert.equal(maps.maglev.count(), 2 * CHUNKS);
  assert.notEqual(rowOf(maps, 5)?.generation, before?.generation);
  assert.deepEqual(walk(maps, 5), wanted([2, 4]));
  pass(services);
  assert.equal(maps.maglev.count(), CHUNKS);
  assert.deepEqual(walk(maps, 5), wanted([2, 4]));
  services.delete(frontend(5, []).key);
  pass(services);
  assert.equal(maps.maglev.count(), 0);
});

test('every entry that a packet can find is written before the frontend leads to it', () => {
  const frontends = createFakeMap(frontendsMap, {
    faults: (operation) => {
      if (operation === 'update') seen.push(maps.maglev.count());
      return undefined;
    },
  });
  const seen: number[] = [];
  const { maps, services } = kernel({ frontends });
  services.update(frontend(5, [2, 3]));
  services.update(frontend(5, [2, 4]));
  // The mark of the address, and the frontend itself; then the flip.
  assert.deepEqual(seen, [CHUNKS, CHUNKS, 2 * CHUNKS]);
});

test('switching between the algorithms is a generation like any other', () => {
  const { maps, pass, services } = kernel();
  services.update(frontend(5, [2, 3]));
  services.update(frontend(5, [2, 3], { algorithm: 'random' }));
  assert.equal(walk(maps, 5), undefined);
  pass(services);
  assert.equal(maps.maglev.count(), 0);
  services.update(frontend(5, [2, 3]));
  assert.deepEqual(walk(maps, 5), wanted([2, 3]));
});

test('a restart writes nothing', () => {
  const { maps, start, services } = kernel();
  services.update(frontend(5, [2, 3, 4]));
  services.update(frontend(6, [2, 3], { algorithm: 'random' }));
  const before = [maps.frontends, maps.maglev].map((map) => [...map.entries()]);
  const restarted = start();
  restarted.update(frontend(6, [2, 3], { algorithm: 'random' }));
  restarted.update(frontend(5, [2, 3, 4]));
  assert.deepEqual([restarted.compare().count, restarted.nextCollectionMs], [0, undefined]);
  assert.deepEqual(
    [maps.frontends, maps.maglev].map((map) => [...map.entries()]),
    before,
  );
});

test('another seed or size makes other tables after a restart', () => {
  for (const other of [
    { ...settings, seed: 1 },
    { ...settings, tableSize: 2039 },
  ]) {
    const { maps, start, pass, services } = kernel();
    services.update(frontend(5, [2, 3]));
    const before = rowOf(maps, 5);
    const restarted = start(other);
    restarted.update(frontend(5, [2, 3]));
    pass(restarted);
    const after = rowOf(maps, 5);
    assert.notEqual(after?.generation, before?.generation);
    assert.deepEqual([after?.maglevSize, maps.maglev.count()], [other.tableSize, Math.ceil(other.tableSize / 2_000)]);
  }
});

test('a chunk that is missing or damaged is found by the comparison, and the table made anew', () => {
  for (const harm of ['missing', 'damaged'] as const) {
    const { maps, pass, services } = kernel();
    services.update(frontend(5, [2, 3]));
    const [[key, chunk] = assert.fail('no chunk')] = [...maps.maglev.entries()];
    if (harm === 'missing') maps.maglev.delete(key);
    else maps.maglev.update(key, { ...chunk, slots: chunk.slots.map((slot) => 1 - slot) });
    assert.equal(services.compare().count, 1, harm);
    services.update(frontend(5, [2, 3]));
    pass(services);
    assert.deepEqual([walk(maps, 5), maps.maglev.count()], [wanted([2, 3]), CHUNKS]);
    assert.equal(services.compare().count, 0);
  }
});

test('chunks of nobody are removed by the comparison', () => {
  const { maps, services } = kernel();
  services.update(frontend(5, [2, 3]));
  const [[, chunk] = assert.fail('no chunk')] = [...maps.maglev.entries()];
  maps.maglev.update({ serviceId: 9, generation: 9, chunk: 0 }, chunk);
  assert.deepEqual([services.compare().count, maps.maglev.count()], [1, CHUNKS]);
});

test('a table that finds no room is done without, which is said, and made when there is room', () => {
  const { maps, pass, services } = kernel({ maglev: createFakeMap({ ...maglevMap, maxEntries: 2 * CHUNKS - 1 }) });
  services.update(frontend(5, [2, 3]));
  services.update(frontend(6, [2, 3]));
  assert.deepEqual([walk(maps, 6), maps.maglev.count()], [undefined, CHUNKS]);
  assert.equal(rowOf(maps, 6)?.backendCount, 2, 'served all the same');
  assert.match(services.whyRandom(frontend(6, [2, 3])) ?? '', /no room/);
  services.delete(frontend(5, []).key);
  pass(services);
  services.update(frontend(6, [2, 3]));
  assert.deepEqual([walk(maps, 6), services.whyRandom(frontend(6, [2, 3]))], [wanted([2, 3]), undefined]);
});

test('more backends than entries are served at random, which is said', () => {
  const { maps, start } = kernel();
  const services = start({ ...settings, tableSize: 3 });
  const four = frontend(5, [2, 3, 4, 5]);
  services.update(four);
  assert.equal(walk(maps, 5), undefined);
  assert.match(services.whyRandom(four) ?? '', /4 backends .* table of 3/);
});

test('nodes that came to a set of backends by different ways have the same table, bit by bit', () => {
  const set = fc.uniqueArray(fc.integer({ min: 2, max: 12 }), { minLength: 2, maxLength: 8 });
  const history = fc.array(fc.oneof(set, fc.constantFrom('restart' as const, 'other service' as const)), {
    maxLength: 6,
  });
  const small = { ...settings, tableSize: 251 };
  const live = (past: readonly (readonly number[] | string)[], last: readonly number[]) => {
    const { maps, start, pass } = kernel();
    let current = start(small);
    for (const event of past) {
      if (typeof event !== 'string') current.update(frontend(5, event));
      else if (event === 'restart') current = start(small);
      else current.update(frontend(6, [9, 3, 7]));
    }
    current.update(frontend(5, last));
    pass(current);
    const { serviceId = 0, generation = 0 } = rowOf(maps, 5) ?? {};
    const chunk = maps.maglev.lookup({ serviceId, generation, chunk: 0 });
    return { bits: chunk?.slots, backends: walk(maps, 5) };
  };
  fc.assert(
    fc.property(set, history, history, (last, one, other) => {
      const [first, second] = [live(one, last), live(other, last.toReversed())];
      assert.deepEqual(first.bits, second.bits);
      assert.deepEqual(first.backends, wanted(last, small.tableSize));
      assert.deepEqual(second.backends, first.backends);
    }),
  );
});
