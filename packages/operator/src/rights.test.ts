import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabelFilter } from '@sluice/identity';
import { FakeApi } from '@sluice/kube/testing';
import { parsePrefix } from '@sluice/net';
import { silentLogger } from '@sluice/runtime';
import { chartRights } from '@sluice/testing';
import { startOperator } from './index.ts';

/** Something for each of its jobs to do. */
function populate(api: FakeApi): void {
  const { store } = api;
  const taints = [{ key: 'node.sluice.io/agent-not-ready', effect: 'NoSchedule' }];
  store.put('nodes', { metadata: { name: 'a' }, spec: { taints }, status: { addresses: [] } });
  store.put('namespaces', { metadata: { name: 'shop' } });
  store.put('pods', { metadata: { namespace: 'shop', name: 'web', labels: { app: 'web' } }, spec: { nodeName: 'a' } });
  store.put('pods', {
    metadata: { namespace: 'kube-system', name: 'sluice-a', labels: { 'app.kubernetes.io/name': 'sluice-agent' } },
    spec: { nodeName: 'a', hostNetwork: true },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  });
  store.put('services', {
    metadata: { namespace: 'shop', name: 'web', uid: 'u1' },
    spec: { clusterIP: '10.96.0.10', ports: [{ port: 80, protocol: 'SCTP' }] },
  });
  store.put('ciliumidentities', { metadata: { name: '5000' }, 'security-labels': { 'k8s:app': 'gone' } });
  const ownerReferences = [{ kind: 'Node', name: 'gone' }];
  store.put('ciliumendpointslices', { metadata: { name: 'gone.shop.0', ownerReferences }, endpoints: [] });
}

test('whatever the operator asks the API server for, the chart permits', async () => {
  await using api = await FakeApi.start();
  populate(api);
  const operator = startOperator({
    kube: { servers: [api.url] },
    pools: [{ prefix: parsePrefix('10.244.0.0/16'), nodeLength: 24 }],
    families: [4],
    labels: { cluster: 'homelab', filter: new LabelFilter() },
    identityGarbage: { intervalMs: 100, graceMs: 0 },
    namespace: 'kube-system',
    host: 'k8s-cp1',
    services: true,
    externalIps: false,
    nodePortRange: { first: 30_000, last: 32_767 },
    externalIpRules: { allowed: [], apiServers: [] },
    log: silentLogger,
    lan: () => [],
  });
  const rights = chartRights('operator');
  // A server of which sight was lost, a second Event on one thing, a stale Lease, a definition of an earlier release, two operators with one candidate and a
  // slice that is an orphan at two looks: seldom or slow, and tested where they are done.
  const seldom = [
    'get events',
    'patch events',
    'patch customresourcedefinitions',
    'delete ciliumendpointslices',
    'list leases',
  ];
  const rest = () => rights.unused(api.requests).filter((right) => !seldom.includes(right));
  for (let tries = 0; tries < 100 && rest().length > 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  await operator.stop();
  assert.deepEqual(rights.missing(api.requests), []);
  assert.deepEqual(rest(), []);
});
