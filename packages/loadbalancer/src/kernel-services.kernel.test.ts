// Needs root; at a size where maps in memory are slow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import { backendsMap, frontendsMap, maglevMap, slotsMap, sourceRangesMap } from '@sluice/datapath';
import { parseAddress } from '@sluice/net';
import type { DesiredBackend, DesiredFrontend } from './frontend.ts';
import { KernelServices } from './kernel-services.ts';

const endpointCount = 250_000;
const maglev = { tableSize: 16_381, seed: 0x24b7_ef82 };

function backend(index: number, port: number): DesiredBackend {
  const address = parseAddress(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
  return {
    key: `${address}:${port}/TCP`,
    address,
    port,
    protocol: 'TCP',
    nodeName: undefined,
    zone: undefined,
    state: 'active',
  };
}

function frontend(last: number, backends: readonly DesiredBackend[]): DesiredFrontend {
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
  };
}

test('a service of 250,000 endpoints is served whole, and one more for which there is no room is refused', () => {
  using stack = new DisposableStack();
  const create = <Key, Value>(descriptor: MapDescriptor<Key, Value>) => {
    const sizes = { keySize: descriptor.key.size, valueSize: descriptor.value.size };
    return openMap(stack.use(BpfMap.create({ ...descriptor, ...sizes })), descriptor);
  };
  const maps = {
    frontends: create(frontendsMap),
    slots: create(slotsMap),
    backends: create(backendsMap),
    sourceRanges: create(sourceRangesMap),
    maglev: create(maglevMap),
  };
  const time = { ms: 0 };
  const services = new KernelServices({ maps, maglev, nowMs: () => time.ms, graceMs: 1 });
  const counts = () => [maps.frontends, maps.slots, maps.backends].map((map) => map.count());
  const all = Array.from({ length: endpointCount }, (_, index) => backend(index, 8080));
  services.update(frontend(5, all));
  const addressRow = 1;
  assert.deepEqual(counts(), [1 + addressRow, endpointCount, endpointCount]);
  const served = new Set(
    [...maps.slots.entries()].map(([, { backendId }]) => maps.backends.lookup(backendId)?.address),
  );
  assert.equal(served.size, endpointCount);
  const more = Array.from({ length: 20_000 }, (_, index) => backend(index, 8081));
  assert.throws(() => services.update(frontend(6, more)), /E2BIG/);
  assert.deepEqual(counts(), [1 + addressRow, endpointCount, endpointCount], 'what had found room has gone again');
  services.update(frontend(5, all.slice(0, 3)));
  time.ms = 1;
  services.collect();
  assert.deepEqual(counts(), [1 + addressRow, 3, 3]);
});
