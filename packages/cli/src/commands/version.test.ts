import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { agent, sluice } from '../test-agent.ts';
import { podObject, testCluster } from '../test-cluster.ts';

const lines = (text: string) => text.split('\n').map((line) => line.replace(/ {3,}/g, ' | '));

test('without a cluster the command and the agent of this node are compared', async () => {
  using same = await agent({ '/version': { version: '0.1.0' } });
  const well = await sluice(['version', '--socket', same.socket]);
  assert.deepEqual(lines(well.out), ['PROGRAM | VERSION', 'client | 0.1.0', 'agent | 0.1.0', '']);
  using newer = await agent({ '/version': { version: '0.2.0' } });
  const { out, exitCode } = await sluice(['version', '--socket', newer.socket]);
  assert.match(out, /^out of step: this command is 0\.1\.0, the newest here is 0\.2\.0/m);
  assert.equal(exitCode, 0);
});

test('without an agent it says why there is none', async () => {
  const { out } = await sluice(['version', '--socket', '/nowhere/sluice.sock']);
  assert.match(out, /^agent {5}none \(.*\/nowhere\/sluice\.sock/m);
});

test('with a cluster all agents, the operator and the chart are in the table, and what is out of step below', async () => {
  await using cluster = await testCluster(['n1', 'n2']);
  cluster.api.store.put('pods', podObject('agent', 'n2', { image: 'localhost/sluice:0.0.9', ready: false }));
  const args = ['version', '--socket', '/nowhere/s.sock'];
  const { out, exitCode } = await sluice(args, { KUBECONFIG: cluster.kubeconfig });
  assert.deepEqual(lines(out), [
    'PROGRAM | NODE | VERSION | IMAGE',
    'client | 0.1.0',
    'chart | 0.1.0',
    'agent | n1 | 0.1.0 | localhost/sluice:0.1.0',
    'agent | n2 | 0.0.9 | localhost/sluice:0.0.9 | not ready: ImagePullBackOff: no such image',
    'operator | n1 | 0.1.0 | localhost/sluice:0.1.0',
    'out of step: agent on n2 is 0.0.9, the newest here is 0.1.0: helm upgrade, or see whether its roll goes on',
    'out of step: agent on n2 runs localhost/sluice:0.0.9, its DaemonSet names localhost/sluice:0.1.0: kubectl -n kube-system rollout status daemonset/sluice',
    '',
  ]);
  assert.equal(exitCode, 0);
  const json = await sluice([...args, '-o', 'json', '--kubeconfig', cluster.kubeconfig]);
  const { client, outOfStep } = JSON.parse(json.out) as { client: string; outOfStep: string[] };
  assert.deepEqual([client, outOfStep.length], ['0.1.0', 2]);
});

test('a right that is missing is said in one line', async () => {
  await using cluster = await testCluster(['n1']);
  cluster.api.fault = (request, response) => {
    if (!request.path.includes('pods')) return false;
    response.statusCode = 403;
    response.end(JSON.stringify({ kind: 'Status', message: 'pods is forbidden: User "me" cannot list' }));
    return true;
  };
  const { err, exitCode } = await sluice(['version', '--kubeconfig', cluster.kubeconfig]);
  assert.match(err, /^sluice: .*pods is forbidden: User "me" cannot list.*\n$/);
  assert.equal(exitCode, 1);
});

test('a context of the kubeconfig can be chosen; one that is none, or of no kubeconfig, is told', async () => {
  await using cluster = await testCluster(['n1']);
  const file = JSON.parse(readFileSync(cluster.kubeconfig, 'utf8'));
  file.contexts.push({ name: 'elsewhere', context: { cluster: 'c', user: 'u' } });
  writeFileSync(cluster.kubeconfig, JSON.stringify({ ...file, 'current-context': 'nowhere' }));
  const ask = (...more: string[]) => sluice(['version', '--kubeconfig', cluster.kubeconfig, ...more]);
  assert.equal((await ask('--context', 'elsewhere')).exitCode, 0);
  const wrong = await ask('--context', 'nosuch');
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.err, /no entry "nosuch" in contexts; it has c, elsewhere/);
  const bare = await sluice(['version', '--context', 'elsewhere']);
  assert.deepEqual([bare.exitCode, /of which kubeconfig\?/.test(bare.err)], [2, true]);
});
