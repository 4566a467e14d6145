import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NodeObject, parseNode } from '@sluice/kube';
import { type FrontendRow, Lag } from '@sluice/loadbalancer';
import { fakeClock, silentLogger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { Healthz } from './healthz.ts';

function node() {
  const clock = fakeClock();
  const nodes = new Table<NodeObject>({ name: 'nodes', key: (row) => row.name, columns: {}, sources: ['api'] });
  const frontends = new Table<FrontendRow>({ name: 'f', key: (row) => row.key, columns: {}, sources: ['kubernetes'] });
  const lag = new Lag(clock);
  const healthz = new Healthz({
    address: { host: '', port: 0 },
    nodeName: 'n1',
    nodes,
    loadBalancer: () => ({ frontends, lag }),
    clock,
    log: silentLogger,
  });
  const become = (metadata: object, spec: object = {}) =>
    nodes.upsert(parseNode({ metadata: { name: 'n1', ...metadata }, spec }));
  return { clock, nodes, frontends, lag, become, ask: (path = '/healthz') => healthz.answer(path)?.status, healthz };
}

test('/healthz is good once all services are known, and while the kernel keeps up with them', () => {
  const { clock, frontends, lag, ask, healthz } = node();
  assert.deepEqual([ask(), ask('/livez')], [503, 503]);
  frontends.markInitialized('kubernetes');
  assert.deepEqual([ask(), ask('/livez')], [200, 200]);
  const before = clock.now();
  lag.note('10.96.0.1:80/TCP', false);
  clock.advance(59_000);
  assert.equal(ask(), 200);
  clock.advance(1_000);
  assert.deepEqual([ask(), ask('/livez')], [503, 503]);
  const times = { lastUpdated: new Date(before).toISOString(), currentTime: new Date(clock.now()).toISOString() };
  assert.deepEqual(healthz.answer('/healthz')?.body, { ...times, nodeEligible: true });
  lag.note('10.96.0.1:80/TCP', true);
  assert.deepEqual([ask(), healthz.answer('/livez')?.body.lastUpdated], [200, times.currentTime]);
});

test('/healthz sends balancers away from a node that is to go; /livez does not', () => {
  const { nodes, frontends, become, ask } = node();
  frontends.markInitialized('kubernetes');
  become({});
  assert.equal(ask(), 200);
  become({}, { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] });
  assert.deepEqual([ask(), ask('/livez')], [503, 200]);
  become({ deletionTimestamp: '2026-01-01T00:00:00Z' });
  assert.equal(ask(), 503);
  become({}, { taints: [{ key: 'other', effect: 'NoSchedule' }] });
  assert.equal(ask(), 200);
  nodes.markInitialized('api');
  nodes.delete('n1');
  assert.deepEqual([ask(), ask('/livez')], [503, 200]);
});

test('there is nothing at other paths', () => {
  assert.equal(node().ask('/metrics'), undefined);
});
