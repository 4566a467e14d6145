// Needs root and a kernel that Sluice runs on; takes 1.3 GiB of memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { testLab } from './test-lab.ts';

test('twenty nodes come up, and each reaches all', async () => {
  await using lab = testLab();
  const shown = await lab.must('up', '--nodes', '20');
  assert.match(shown, /nodes ready: 20 of 20/);
  assert.ok(shown.split('\n').length < 20, 'it does not tell of each');
  const { nodes } = JSON.parse(await lab.must('status', '-o', 'json'));
  assert.equal(new Set(nodes.map(({ podCidrs }: { podCidrs: string[] }) => podCidrs.join())).size, 20);
  await lab.must('kubectl', 'create', 'deployment', 'web', '--image=sluice-lab/echo', '--replicas=40');
  // Available it is with three quarters of them.
  await lab.must('kubectl', 'wait', '--for=jsonpath={.status.readyReplicas}=40', 'deployment/web', '--timeout=200s');
  await lab.must('kubectl', 'expose', 'deployment', 'web', '--port=80', '--target-port=8080');
  const service = await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  // The node learns of the last ones a moment after the API server. Chosen at random: that one of 40 is never chosen in 800
  // times happens once in 15,000,000.
  await until('40 pods answer', async () => {
    const asked = await lab.must('exec', 'k8s-cp20', '--', 'client', 'tcp', service, '80', '--count', '800', '--quiet');
    assert.match(asked, /sent=800 answered=800 failed=0/);
    return { holds: asked.match(/web-\S+=\d+/g)?.length === 40, shown: asked };
  });
  // Agents ask each other once in a while; the first time is seconds after their start.
  await until('all nodes are reachable', async () => {
    // Its exit status is 1 for as long as one is not.
    const { stdout: shown } = await lab.run('exec', 'k8s-cp20', '--', 'sluice', 'status');
    return { holds: /Cluster health: .*20\/20 reachable/.test(shown), shown };
  });
});

const untilMs = 120_000;

/** Leaves the processors to those that are waited for in between. */
async function until(
  what: string,
  ask: () => Promise<{ readonly holds: boolean; readonly shown: string }>,
): Promise<void> {
  for (const deadline = performance.now() + untilMs; ; await sleep(1_000)) {
    const { holds, shown } = await ask();
    if (holds) return;
    assert.ok(performance.now() < deadline, `${what}: not within ${untilMs / 1000} s: ${shown}`);
  }
}
