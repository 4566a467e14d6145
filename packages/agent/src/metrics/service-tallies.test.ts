import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceObject } from '@sluice/kube';
import type { FrontendRow } from '@sluice/loadbalancer';
import { fakeClock } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { countServices, measureFrontends } from './service-tallies.ts';
import { Tallies } from './tallies.ts';

function frontend(id: number, state: FrontendRow['state']): FrontendRow {
  const rest = { type: 'ClusterIP', service: 'shop/web', portName: '', backends: [], algorithm: 'random' } as const;
  return {
    key: '10.96.0.1:80/TCP',
    id,
    state,
    ...rest,
    sourceRanges: undefined,
    isNodeAllowed: true,
    whyRandom: undefined,
    forwarding: undefined,
    ...{ policy: 'Cluster', affinitySeconds: 0, unused: undefined },
    reason: undefined,
  };
}

function frontends() {
  return new Table<FrontendRow>({ name: 'frontends', key: ({ key }) => key, columns: {} });
}

test('a delay is measured from being to change to being in the kernel, failures on the way included', () => {
  const [clock, tallies, table] = [fakeClock(), new Tallies(), frontends()];
  using _measuring = measureFrontends(table, { tallies, clock });
  const after = (ms: number, row: FrontendRow) => {
    clock.advance(ms);
    table.upsert(row);
  };
  after(0, frontend(0, 'pending'));
  after(20, frontend(1, 'done'));
  after(1_000, frontend(1, 'pending'));
  after(100, frontend(1, 'error'));
  after(200, frontend(1, 'pending'));
  after(300, frontend(1, 'done'));
  assert.deepEqual(
    [...tallies.serviceDelay.samples()].map(({ labels, sum, count }) => [labels, count, Number(sum.toFixed(6))]),
    [
      [['add'], 1, 0.02],
      [['update'], 1, 0.6],
    ],
  );
});

test('a frontend that goes before it was ever served is no delay, nor is one that comes again', () => {
  const [clock, tallies, table] = [fakeClock(), new Tallies(), frontends()];
  using _measuring = measureFrontends(table, { tallies, clock });
  table.upsert(frontend(0, 'pending'));
  clock.advance(5_000);
  table.delete('10.96.0.1:80/TCP');
  table.upsert(frontend(0, 'pending'));
  clock.advance(10);
  table.upsert(frontend(1, 'done'));
  assert.deepEqual(
    [...tallies.serviceDelay.samples()].map(({ labels, sum }) => [labels, Number(sum.toFixed(6))]),
    [[['add'], 0.01]],
  );
});

test('services that come, change and go are counted', () => {
  const tallies = new Tallies();
  const services = new Table<ServiceObject>({ name: 'services', key: ({ name }) => name, columns: {} });
  using _counting = countServices(services, tallies);
  const service = { name: 'web', type: 'ClusterIP' } as ServiceObject;
  services.upsert(service);
  services.upsert({ ...service, type: 'NodePort' });
  services.delete('web');
  assert.deepEqual(
    [...tallies.serviceEvents.rows()],
    [
      ['add', 1],
      ['update', 1],
      ['delete', 1],
    ],
  );
});
