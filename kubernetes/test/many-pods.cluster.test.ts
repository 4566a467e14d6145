// 110 pods on one node at once. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nothingIsLeft, podsOf, tracesOfPods } from './tables.ts';
import { testNamespace, web } from './workload.ts';

const count = 110;

test(`${count} pods are made on a node at once and deleted at once: each is reached, nothing is left`, async () => {
  const before = await tracesOfPods('n1');
  {
    await using namespace = await testNamespace('story-many');
    await web({ namespace: namespace.name, name: 'many', replicas: count, node: 'n1' });
    await namespace.kubectl('rollout', 'status', 'deployment/many', '--timeout=300s');
    assert.ok((await podsOf('n1')).length >= count);
    await nothingIsLeft();
    await namespace.kubectl('delete', 'pods', '--all', '--wait=false');
    await namespace.kubectl('delete', 'deployment', 'many', '--wait');
  }
  await nothingIsLeft();
  assert.deepEqual(await tracesOfPods('n1'), before);
});
