// Needs root and a kernel that Sluice runs on; takes 1.3 GiB of memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testLab } from './test-lab.ts';

test('twenty nodes come up, and each reaches all', async () => {
  await using lab = testLab();
  const shown = await lab.must('up', '--nodes', '20');
  assert.match(shown, /nodes ready: 20 of 20/);
  assert.ok(shown.split('\n').length < 20, 'it does not tell of each');
  const { nodes } = JSON.parse(await lab.must('status', '-o', 'json'));
  assert.equal(new Set(nodes.map(({ podCidrs }: { podCidrs: string[] }) => podCidrs.join())).size, 20);
  await lab.must('kubectl', 'create', 'deployment', 'web', '--image=sluice-lab/echo', '--replicas=40');
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
  await lab.must('kubectl', 'expose', 'deployment', 'web', '--port=80', '--target-port=8080');
  const service = await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  const asked = await lab.must('exec', 'k8s-cp20', '--', 'client', 'tcp', service, '80', '--count', '800', '--quiet');
  assert.match(asked, /sent=800 answered=800 failed=0/);
  // Chosen at random: that one of 40 is never chosen in 800 times happens once in 15,000,000.
  assert.equal(asked.match(/web-\S+=\d+/g)?.length, 40);
  // Agents ask each other once in a while; the first time is seconds after their start.
  const deadline = performance.now() + 60_000;
  let health = '';
  while (!health.includes('20/20') && performance.now() < deadline) {
    const status = await lab.must('exec', 'k8s-cp20', '--', 'sluice', 'status');
    health = /Cluster health: .*/.exec(status)?.[0] ?? '';
  }
  assert.match(health, /20\/20 reachable/);
});
