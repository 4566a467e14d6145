// The API server ends, stays away, and comes back. Run by `npm run test:kubernetes`.
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, kubectl, start, stop } from '../cluster.ts';
import { tablesEqualApi } from './tables.ts';
import { startTraffic } from './traffic.ts';
import { testNamespace, web } from './workload.ts';

/** `AWAY_SECONDS=300` for the long form. */
const awayMs = Number(process.env.AWAY_SECONDS ?? 30) * 1000;
const ready = () => eventually(60, () => kubectl('get', '--raw', '/readyz'));

test('the API server is restarted under changes: the tables equal it afterwards, deletions included', async () => {
  await using namespace = await testNamespace('story-api-server');
  for (const name of ['kept', 'scaled', 'deleted']) await web({ namespace: namespace.name, name, replicas: 2 });
  for (const name of ['kept', 'scaled', 'deleted'])
    await namespace.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=150s');
  await tablesEqualApi();
  await stop('cp', 'kube-apiserver', 'KILL');
  await start('cp', 'kube-apiserver');
  await ready();
  // At once, while the agents are still coming back.
  await namespace.kubectl('delete', 'service', 'deleted');
  await namespace.kubectl('scale', 'deployment/scaled', '--replicas=1');
  await web({ namespace: namespace.name, name: 'new', replicas: 2 });
  await namespace.kubectl('rollout', 'status', 'deployment/new', '--timeout=150s');
  await namespace.kubectl('rollout', 'status', 'deployment/scaled', '--timeout=150s');
  await tablesEqualApi();
});

test('services and traffic go on while the API server is away; then the tables equal it', async () => {
  await using namespace = await testNamespace('story-api-away');
  await web({ namespace: namespace.name, name: 'web', replicas: 3 });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=150s');
  const url = 'http://web.story-api-away.svc.cluster.local/hostname';
  const traffic = await startTraffic(namespace, { name: 'client', node: 'n1', url });
  await tablesEqualApi();
  await stop('cp', 'kube-apiserver', 'KILL');
  await delay(awayMs);
  await start('cp', 'kube-apiserver');
  await ready();
  await traffic.mustBeWhole();
  await namespace.kubectl('scale', 'deployment/web', '--replicas=2');
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=150s');
  await tablesEqualApi();
});
