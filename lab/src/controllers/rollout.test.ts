import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deployment, ReplicaSet } from '../apiserver/index.ts';
import { planRollout, rollingBounds } from './rollout.ts';

const metadata = { name: 'x', uid: 'x', resourceVersion: '1', creationTimestamp: '' };
const template = { spec: { containers: [] } };

function deployment(
  replicas: number,
  strategy: Deployment['spec']['strategy'] = { type: 'RollingUpdate' },
): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: { replicas, selector: {}, template, strategy },
    status: {},
  };
}

function set(replicas: number, availableReplicas = replicas): ReplicaSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata,
    spec: { replicas, selector: {}, template },
    status: { replicas, availableReplicas },
  };
}

function plan(of: Deployment, current: ReplicaSet, old: ReplicaSet[], oldPodsLeft = true): number[] {
  return planRollout(of, { current, old, oldPodsLeft }).map(({ replicas }) => replicas);
}

test('percentages round up for the surge and down for what may be missing, never both to zero', () => {
  assert.deepEqual(rollingBounds(deployment(3)), { surge: 1, unavailable: 0 });
  assert.deepEqual(rollingBounds(deployment(10)), { surge: 3, unavailable: 2 });
  const none = { type: 'RollingUpdate' as const, rollingUpdate: { maxSurge: '0%', maxUnavailable: '1%' } };
  assert.deepEqual(rollingBounds(deployment(3, none)), { surge: 0, unavailable: 1 });
});

test('a new deployment starts all its replicas', () => {
  assert.deepEqual(plan(deployment(3), set(0), []), [3]);
});

test('a rollout goes up by the surge and takes an old pod only for an available new one', () => {
  assert.deepEqual(plan(deployment(3), set(0), [set(3)]), [1, 3]);
  assert.deepEqual(plan(deployment(3), set(1, 0), [set(3)]), [1, 3]);
  assert.deepEqual(plan(deployment(3), set(1), [set(3)]), [1, 2]);
  assert.deepEqual(plan(deployment(3), set(2), [set(2)]), [2, 1]);
  assert.deepEqual(plan(deployment(3), set(3), [set(1)]), [3, 0]);
});

test('old pods that are not available go first and need no replacement', () => {
  assert.deepEqual(plan(deployment(3), set(1, 0), [set(3, 0)]), [1, 3]);
  const bounds = { type: 'RollingUpdate' as const, rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } };
  assert.deepEqual(plan(deployment(3, bounds), set(1, 0), [set(3, 2)]), [1, 2]);
});

test('recreate waits until the last old pod is gone', () => {
  const recreate = deployment(2, { type: 'Recreate' });
  assert.deepEqual(plan(recreate, set(0), [set(2)], true), [0]);
  assert.deepEqual(plan(recreate, set(0), [set(0)], false), [0, 2]);
});
