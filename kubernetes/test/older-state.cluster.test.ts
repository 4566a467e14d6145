// The API server comes back with the state of an earlier time, as from a backup. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, kubectl, kubectlRun, must, nodeNames, runFolder, start, stop } from '../cluster.ts';
import { untilReady } from '../install.ts';
import { frontendsOfApi, tablesEqualApi } from './tables.ts';
import { startTraffic } from './traffic.ts';
import { testNamespace, web } from './workload.ts';

const state = join(runFolder, 'cp/etcd');

test('an API server with an older state, watch history gone: the tables equal it, traffic goes on', async () => {
  await using namespace = await testNamespace('story-older');
  for (const name of ['kept', 'later-deleted']) await web({ namespace: namespace.name, name, replicas: 2 });
  for (const name of ['kept', 'later-deleted'])
    await namespace.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=150s');
  const url = 'http://kept.story-older.svc.cluster.local/hostname';
  const traffic = await startTraffic(namespace, { name: 'client', node: 'n1', url });
  await tablesEqualApi();
  await whileStopped(() => must('cp', ['-a', state, `${state}.backup`]));

  await namespace.kubectl('delete', 'service,deployment', 'later-deleted');
  await web({ namespace: namespace.name, name: 'later-made', replicas: 2 });
  await namespace.kubectl('rollout', 'status', 'deployment/later-made', '--timeout=150s');
  await tablesEqualApi();
  const before = Object.keys(await frontendsOfApi());

  await whileStopped(() => must('sh', ['-c', `rm -rf '${state}' && mv '${state}.backup' '${state}'`]));
  // A kubelet waits for events of versions that are still to come, until it is restarted; Sluice must not.
  for (const node of nodeNames) {
    await stop(node, 'kubelet');
    await start(node, 'kubelet');
  }
  const after = Object.keys(await frontendsOfApi());
  assert.notDeepEqual(after, before, 'the older state has other services');
  const { status } = await kubectlRun('--namespace', namespace.name, 'get', 'service', 'later-made');
  assert.equal(status, 1, 'what was made later is gone');
  await tablesEqualApi(180);
  await traffic.mustBeWhole();
  await untilReady();
});

async function whileStopped(act: () => Promise<unknown>): Promise<void> {
  const components = ['kube-controller-manager', 'kube-scheduler', 'kube-apiserver', 'etcd'];
  // etcd hears TERM and does not end of it here; what it has written, the machine has.
  for (const component of components) await stop('cp', component, 'KILL');
  await act();
  for (const component of components.toReversed()) await start('cp', component);
  await eventually(60, () => kubectl('get', '--raw', '/readyz'));
}
