import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeMap } from '@sluice/bpf';
import { backendsMap, FrontendFlag, frontendsMap, maglevMap, slotsMap, sourceRangesMap } from '@sluice/datapath';
import { parseAddress, parsePrefix } from '@sluice/net';
import type { DesiredBackend, DesiredFrontend } from './frontend.ts';
import { KernelServices, type ServiceMaps } from './kernel-services.ts';

const GRACE_MS = 1_000;
const maglev = { tableSize: 4093, seed: 0x24b7_ef82 };

function kernel() {
  const maps = {
    frontends: createFakeMap(frontendsMap),
    slots: createFakeMap(slotsMap),
    backends: createFakeMap(backendsMap),
    sourceRanges: createFakeMap(sourceRangesMap),
    maglev: createFakeMap(maglevMap),
  } satisfies ServiceMaps;
  const time = { ms: 0 };
  const start = () => new KernelServices({ maps, maglev, nowMs: () => time.ms, graceMs: GRACE_MS });
  return { maps, time, start, services: start() };
}

function backend(last: number, more: Partial<DesiredBackend> = {}): DesiredBackend {
  const address = parseAddress(`10.244.1.${last}`);
  return {
    key: `${address}:8080/TCP`,
    address,
    port: 8080,
    protocol: 'TCP',
    nodeName: undefined,
    zone: undefined,
    state: 'active',
    ...more,
  };
}

function frontend(
  last: number,
  backends: readonly DesiredBackend[],
  more: Partial<DesiredFrontend> = {},
): DesiredFrontend {
  const address = parseAddress(`10.96.0.${last}`);
  const identity = { key: `${address}:80/TCP`, address, port: 80, protocol: 'TCP', type: 'ClusterIP' } as const;
  const forWhom = { scope: 'internal', isExternal: false, isElsewhere: false, algorithm: 'random' } as const;
  const clients = { sourceRanges: undefined, isNodeAllowed: true } as const;
  return {
    ...identity,
    ...forWhom,
    ...clients,
    service: 'shop/web',
    portName: '',
    affinitySeconds: 0,
    forwarding: undefined,
    ...{ policy: 'Cluster', unused: undefined },
    backends,
    ...more,
  };
}

/** What a packet to the frontend may meet: the backends' addresses, in slot order. */
function walk(maps: ServiceMaps, last: number): (string | undefined)[] | undefined {
  const value = maps.frontends.lookup({ address: parseAddress(`10.96.0.${last}`), port: 80, protocol: 6, scope: 0 });
  if (value === undefined) return undefined;
  return Array.from({ length: value.backendCount }, (_, slot) => {
    const found = maps.slots.lookup({ serviceId: value.serviceId, generation: value.generation, slot });
    assert.ok(found, `slot ${slot} exists`);
    return maps.backends.lookup(found.backendId)?.address;
  });
}

const counts = (maps: ServiceMaps): number[] => [maps.frontends, maps.slots, maps.backends].map((map) => map.count());

test('a packet to a frontend finds its backends', () => {
  const { maps, services } = kernel();
  services.update(frontend(5, [backend(2), backend(3)]));
  assert.deepEqual(walk(maps, 5), ['10.244.1.2', '10.244.1.3']);
});

test('an equal update writes nothing', () => {
  const { maps, services } = kernel();
  services.update(frontend(5, [backend(2)]));
  const before = [...maps.frontends.entries()];
  services.update(frontend(5, [backend(2)]));
  assert.deepEqual([...maps.frontends.entries()], before);
});

test('the old generation is whole until its grace has passed, then it is gone', () => {
  const { maps, time, services } = kernel();
  services.update(frontend(5, [backend(2), backend(3)]));
  services.update(frontend(5, [backend(4)]));
  assert.deepEqual(counts(maps), [2, 3, 3]);
  time.ms = GRACE_MS;
  services.collect();
  assert.equal(services.nextCollectionMs, undefined);
  assert.deepEqual(counts(maps), [2, 1, 1]);
  assert.deepEqual(walk(maps, 5), ['10.244.1.4']);
});

test('a backend that two frontends share stays until the second is gone', () => {
  const { maps, time, services } = kernel();
  services.update(frontend(5, [backend(2)]));
  services.update(frontend(6, [backend(2)]));
  services.delete('10.96.0.5:80/TCP');
  time.ms = GRACE_MS;
  services.collect();
  assert.deepEqual(walk(maps, 6), ['10.244.1.2']);
  services.delete('10.96.0.6:80/TCP');
  time.ms = 2 * GRACE_MS;
  services.collect();
  assert.deepEqual(counts(maps), [0, 0, 0]);
});

test('an address is known to belong to services as long as a frontend stands there', () => {
  const { maps, services } = kernel();
  const mark = { address: parseAddress('10.96.0.5'), port: 0, protocol: 0, scope: 0 };
  services.update(frontend(5, []));
  services.update(frontend(5, [], { key: '10.96.0.5:81/TCP', port: 81 }));
  services.delete('10.96.0.5:80/TCP');
  assert.ok(maps.frontends.lookup(mark));
  maps.frontends.delete(mark);
  assert.equal(services.compare().count, 1);
  assert.ok(maps.frontends.lookup(mark));
  services.delete('10.96.0.5:81/TCP');
  assert.equal(maps.frontends.count(), 0);
});

test('the mark of an address says whether clients outside are served there, and whether somebody else may have it', () => {
  const { maps, services } = kernel();
  const flags = () =>
    maps.frontends.lookup({ address: parseAddress('10.96.0.5'), port: 0, protocol: 0, scope: 0 })?.flags;
  const [first, second] = [{}, { key: '10.96.0.5:81/TCP', port: 81 }];
  services.update(frontend(5, [], { ...first, type: 'ExternalIP', isExternal: true }));
  assert.equal(flags(), FrontendFlag.External | FrontendFlag.Shared);
  services.update(frontend(5, [], { ...second, type: 'LoadBalancer' }));
  assert.equal(flags(), FrontendFlag.External);
  services.update(frontend(5, [], { ...first, type: 'ExternalIP', isExternal: false }));
  assert.equal(flags(), 0);
  services.delete('10.96.0.5:81/TCP');
  assert.equal(flags(), FrontendFlag.Shared);
  assert.equal(services.compare().count, 0);
  services.delete('10.96.0.5:80/TCP');
  assert.equal(flags(), undefined);
});

test('a frontend without backends is there and has none', () => {
  const { maps, services } = kernel();
  services.update(frontend(5, []));
  assert.deepEqual(walk(maps, 5), []);
});

test('an agent that starts again takes everything over and writes nothing', () => {
  const { maps, start, services } = kernel();
  services.update(frontend(5, [backend(2), backend(3)], { affinitySeconds: 60 }));
  services.update(frontend(6, [backend(3)]));
  const before = [maps.frontends, maps.slots, maps.backends].map((map) => [...map.entries()]);
  const again = start();
  again.update(frontend(6, [backend(3)]));
  again.update(frontend(5, [backend(2), backend(3)], { affinitySeconds: 60 }));
  assert.equal(again.compare().count, 0);
  assert.deepEqual(
    [maps.frontends, maps.slots, maps.backends].map((map) => [...map.entries()]),
    before,
  );
});

test('ids of an earlier agent are not given to somebody else', () => {
  const { maps, start, services } = kernel();
  services.update(frontend(5, [backend(2)]));
  start().update(frontend(6, [backend(3)]));
  assert.deepEqual([walk(maps, 5), walk(maps, 6)], [['10.244.1.2'], ['10.244.1.3']]);
});

test('what was damaged or left in the maps is found, counted and put right', () => {
  const { maps, services } = kernel();
  const wanted = frontend(5, [backend(2), backend(3)]);
  services.update(wanted);
  maps.slots.delete({ serviceId: 1, generation: 1, slot: 1 });
  maps.backends.update(77, { address: parseAddress('10.244.1.99'), port: 1, protocol: 6, state: 0 });
  // The frontend, the backend that only the lost slot named, and the stray one.
  assert.equal(services.compare().count, 3);
  services.update(wanted);
  assert.deepEqual(walk(maps, 5), ['10.244.1.2', '10.244.1.3']);
  assert.equal(maps.backends.lookup(77), undefined);
});

test('a full map refuses the new service with an error and leaves the others whole', () => {
  const full = createFakeMap({ ...backendsMap, maxEntries: 2 });
  const maps = { ...kernel().maps, backends: full };
  const services = new KernelServices({ maps, maglev, nowMs: () => 0 });
  services.update(frontend(5, [backend(2)]));
  assert.throws(() => services.update(frontend(6, [backend(3), backend(4)])), /E2BIG/);
  assert.deepEqual([walk(maps, 5), walk(maps, 6)], [['10.244.1.2'], undefined]);
  services.update(frontend(6, [backend(3)]));
  assert.deepEqual(walk(maps, 6), ['10.244.1.3']);
});

test('a frontend for whose address there is no room leaves nothing behind', () => {
  for (const maxEntries of [2, 3]) {
    const maps = { ...kernel().maps, frontends: createFakeMap({ ...frontendsMap, maxEntries }) };
    const services = new KernelServices({ maps, maglev, nowMs: () => 0 });
    services.update(frontend(5, [backend(2)]));
    const before = counts(maps);
    assert.throws(() => services.update(frontend(6, [backend(3)])), /E2BIG/);
    assert.deepEqual(counts(maps), before, `with room for ${maxEntries} rows`);
  }
});

test('what could not be deleted after its grace is removed by the comparison', () => {
  const failing = { now: false };
  const slots = createFakeMap(slotsMap, {
    faults: (operation) => (failing.now && operation === 'delete' ? 'ENOMEM' : undefined),
  });
  const maps = { ...kernel().maps, slots };
  const time = { ms: 0 };
  const services = new KernelServices({ maps, maglev, nowMs: () => time.ms, graceMs: GRACE_MS });
  services.update(frontend(5, [backend(2)]));
  services.update(frontend(5, [backend(3)]));
  [time.ms, failing.now] = [GRACE_MS, true];
  assert.throws(() => services.collect(), /ENOMEM/);
  failing.now = false;
  assert.deepEqual(counts(maps), [2, 2, 2]);
  services.compare();
  assert.deepEqual([counts(maps), walk(maps, 5)], [[2, 1, 1], ['10.244.1.3']]);
});

/** Of the frontend's present generation. */
function ranges(maps: ServiceMaps, last: number): string[] {
  const value = maps.frontends.lookup({ address: parseAddress(`10.96.0.${last}`), port: 80, protocol: 6, scope: 0 });
  return [...maps.sourceRanges.entries()]
    .filter(([key]) => key.serviceId === value?.serviceId && key.generation === value.generation)
    .map(([key]) => `${key.address}/${key.prefixLength - 160}`);
}

test('source ranges change with the slots, and the old ones go after the grace', () => {
  const { maps, time, services } = kernel();
  const only = (...texts: string[]) =>
    services.update(frontend(5, [backend(2)], { sourceRanges: texts.map((text) => parsePrefix(text)) }));
  only('10.0.0.0/8', '192.0.2.0/24');
  only('192.0.2.0/24', '10.0.0.0/8', '10.0.0.0/8');
  assert.deepEqual([ranges(maps, 5), maps.sourceRanges.count()], [['10.0.0.0/8', '192.0.2.0/24'], 2]);
  only('198.51.100.0/24');
  assert.deepEqual([ranges(maps, 5), maps.sourceRanges.count()], [['198.51.100.0/24'], 3]);
  time.ms += GRACE_MS;
  services.collect();
  assert.deepEqual([ranges(maps, 5), maps.sourceRanges.count()], [['198.51.100.0/24'], 1]);
  services.update(frontend(5, [backend(2)]));
  const flags = [...maps.frontends.entries()].map(([, value]) => value.flags & FrontendFlag.SourceRanges);
  assert.deepEqual([ranges(maps, 5), ...new Set(flags)], [[], 0]);
});

test('whether the node itself is of the ranges stands in the row, and is written when it changes', () => {
  const { maps, services } = kernel();
  const flags = () => [...maps.frontends.entries()].find(([key]) => key.port === 80)?.[1].flags;
  const sourceRanges = [parsePrefix('10.0.0.0/8')];
  for (const [isNodeAllowed, expected] of [
    [true, FrontendFlag.SourceRanges | FrontendFlag.NodeAllowed],
    [false, FrontendFlag.SourceRanges],
  ] as const) {
    services.update(frontend(5, [backend(2)], { sourceRanges, isNodeAllowed }));
    assert.equal(flags(), expected);
  }
  services.update(frontend(5, [backend(2)]));
  assert.equal(flags(), 0);
});

test('a restart leaves source ranges as they are, and removes those of nobody', () => {
  const { maps, start, services } = kernel();
  const wanted = frontend(5, [backend(2)], {
    sourceRanges: ['0.0.0.0/0', '10.0.0.0/8'].map((text) => parsePrefix(text)),
  });
  services.update(wanted);
  const before = [...maps.frontends.entries()];
  maps.sourceRanges.update({ prefixLength: 168, serviceId: 9, generation: 9, address: parseAddress('11.0.0.0') }, 1);
  const restarted = start();
  restarted.update(wanted);
  assert.deepEqual([...maps.frontends.entries()], before);
  assert.deepEqual([restarted.compare().count, maps.sourceRanges.count()], [1, 2]);
});

const affinityOf = (maps: ServiceMaps, last: number) =>
  maps.frontends.lookup({ address: parseAddress(`10.96.0.${last}`), port: 80, protocol: 6, scope: 0 })?.affinityId;

test("all frontends of a service's port share one affinity, and none with another's, over restarts as well", () => {
  const { maps, start, services } = kernel();
  const [web, https] = [{ affinitySeconds: 60 }, { affinitySeconds: 60, portName: 'https' }] as const;
  services.update(frontend(5, [backend(2)], web));
  services.update(frontend(6, [backend(2)], web));
  services.update(frontend(7, [backend(2)], https));
  services.update(frontend(8, [backend(2)]));
  const [five, six, seven, eight] = [5, 6, 7, 8].map((last) => affinityOf(maps, last));
  assert.deepEqual([five === six, five === seven, eight], [true, false, 0]);
  const ids = [...maps.frontends.entries()].map(([, { serviceId }]) => serviceId);
  assert.ok(![five, seven].some((id) => ids.includes(id ?? 0)), 'no frontend has the number');
  const restarted = start();
  const before = [...maps.frontends.entries()];
  restarted.update(frontend(7, [backend(2)], https));
  restarted.update(frontend(6, [backend(2)], web));
  restarted.update(frontend(5, [backend(2)], web));
  restarted.update(frontend(9, [backend(2)], web));
  assert.deepEqual([...maps.frontends.entries()].slice(0, before.length), before);
  assert.equal(affinityOf(maps, 9), five);
});

test('affinity switched off gives its number back, and a frontend that moves to another service takes none along', () => {
  const { maps, services } = kernel();
  services.update(frontend(5, [backend(2)], { affinitySeconds: 60 }));
  const first = affinityOf(maps, 5);
  services.update(frontend(5, [backend(2)], { affinitySeconds: 60, service: 'shop/other' }));
  services.update(frontend(6, [backend(2)], { affinitySeconds: 60 }));
  assert.notEqual(affinityOf(maps, 5), affinityOf(maps, 6));
  services.update(frontend(5, [backend(2)]));
  services.update(frontend(6, [backend(2)]));
  assert.deepEqual([affinityOf(maps, 5), affinityOf(maps, 6)], [0, 0]);
  services.update(frontend(7, [backend(2)], { affinitySeconds: 60 }));
  assert.ok((affinityOf(maps, 7) ?? 99) <= (first ?? 0) + 3, 'numbers are used again');
});

test('no two generations of any frontends have one number', () => {
  const { maps, start, services } = kernel();
  services.update(frontend(5, [backend(2)]));
  services.update(frontend(5, [backend(3)]));
  const restarted = start();
  restarted.update(frontend(6, [backend(2)]));
  restarted.update(frontend(5, [backend(2)]));
  const generations = [...maps.slots.entries()].map(([{ generation }]) => generation);
  assert.deepEqual(generations, [...new Set(generations)]);
});

test('who answers clients outside stands in the row, and changes with it', () => {
  const { maps, services } = kernel();
  const isDsr = () => [...maps.frontends.entries()].some(([, value]) => (value.flags & FrontendFlag.Dsr) !== 0);
  for (const forwarding of ['dsr', 'snat', 'dsr', undefined] as const) {
    services.update(frontend(5, [backend(2)], { isExternal: true, forwarding }));
    assert.equal(isDsr(), forwarding === 'dsr');
  }
});
