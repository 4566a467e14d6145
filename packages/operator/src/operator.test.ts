import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabelFilter } from '@sluice/identity';
import { FakeApi, sendStatus } from '@sluice/kube/testing';
import { parsePrefix } from '@sluice/net';
import { silentLogger } from '@sluice/runtime';
import { type Operator, startOperator } from './index.ts';

const pools = [
  { prefix: parsePrefix('10.244.0.0/16'), nodeLength: 24 },
  { prefix: parsePrefix('fd00:10:244::/48'), nodeLength: 64 },
];

function start(api: FakeApi): Operator {
  return startOperator({
    kube: { servers: [api.url] },
    pools,
    families: [4, 6],
    labels: { cluster: 'homelab', filter: new LabelFilter() },
    identityGarbage: { intervalMs: 0, graceMs: 0 },
    namespace: 'kube-system',
    host: 'k8s-cp1',
    log: silentLogger,
    lan: () => [],
  });
}

function putNode(api: FakeApi, name: string, address: string): void {
  const status = { addresses: [{ type: 'InternalIP', address }] };
  api.store.put('nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {}, status });
}

function podCidrs(api: FakeApi, name: string): unknown {
  return (api.store.get('nodes', name)?.spec as { podCIDRs?: unknown } | undefined)?.podCIDRs;
}

/** Resolves as soon as the store looks as wanted. */
function untilStore(api: FakeApi, isWanted: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const watching = api.store.onChange(look);
    look();
    function look(): void {
      if (!isWanted()) return;
      queueMicrotask(() => watching[Symbol.dispose]());
      resolve();
    }
  });
}

test('nodes get pod CIDRs of both families, those that come later, too', async () => {
  await using api = await FakeApi.start();
  putNode(api, 'a', '10.10.30.101');
  const operator = start(api);
  await untilStore(api, () => podCidrs(api, 'a') !== undefined);
  putNode(api, 'b', '10.10.30.102');
  await untilStore(api, () => podCidrs(api, 'b') !== undefined);
  assert.deepEqual(podCidrs(api, 'a'), ['10.244.0.0/24', 'fd00:10:244::/64']);
  assert.deepEqual(podCidrs(api, 'b'), ['10.244.1.0/24', 'fd00:10:244:1::/64']);
  assert.equal(operator.status().leading, true);
  await operator.stop();
});

test('a pool that overlaps the services gives nothing, and an Event tells each node why', async () => {
  await using api = await FakeApi.start();
  const serviceCidr = { metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.244.128.0/20'] } };
  api.store.put('servicecidrs', { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', ...serviceCidr });
  putNode(api, 'a', '10.10.30.101');
  const operator = start(api);
  await untilStore(api, () => api.store.list('events').length > 0);
  const [event] = api.store.list('events');
  assert.equal(event?.reason, 'PodCIDRNotAvailable');
  assert.match(JSON.stringify(event), /10\.244\.0\.0\/16 overlaps 10\.244\.128\.0\/20, the services of ServiceCIDR/);
  assert.equal(podCidrs(api, 'a'), undefined);
  assert.equal(operator.status().plan?.refusals.length, 1);
  await operator.stop();
});

test('an API server that refuses and comes back is survived', async () => {
  await using api = await FakeApi.start();
  putNode(api, 'a', '10.10.30.101');
  let refusals = 0;
  api.fault = (request, response) => {
    if (request.method !== 'PATCH' || refusals === 2) return false;
    refusals += 1;
    sendStatus(response, 500, 'InternalError', 'etcdserver: request timed out');
    return true;
  };
  const operator = start(api);
  await untilStore(api, () => podCidrs(api, 'a') !== undefined);
  assert.equal(refusals, 2);
  await operator.stop();
});
