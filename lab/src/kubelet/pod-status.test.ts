import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerStatus } from '../apiserver/index.ts';
import { type PodObservation, podStatus } from './pod-status.ts';

const running: ContainerStatus = {
  name: 'c',
  image: 'i',
  imageID: 'i',
  ready: true,
  restartCount: 0,
  state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
};

function observed(changes: Partial<PodObservation>): PodObservation {
  return {
    hostAddresses: ['10.0.0.1'],
    podAddresses: ['10.244.0.5', 'fd00::5'],
    containers: [running],
    finalExitCodes: [undefined],
    startTime: '2026-01-01T00:00:00Z',
    isStopping: false,
    ...changes,
  };
}

const readyOf = (status: ReturnType<typeof podStatus>) => status.conditions?.find(({ type }) => type === 'Ready');

test('a pod whose containers are ready runs and is ready, with all its addresses', () => {
  const status = podStatus({}, observed({}));
  assert.equal(status.phase, 'Running');
  assert.equal(readyOf(status)?.status, 'True');
  assert.deepEqual(status.podIPs, [{ ip: '10.244.0.5' }, { ip: 'fd00::5' }]);
});

test('a pod of a node that goes down is not ready, whatever its containers are', () => {
  assert.equal(readyOf(podStatus({}, observed({ isStopping: true })))?.status, 'False');
});

test('a pod whose containers ended for good has succeeded only if all of them did', () => {
  const ended = { ...running, ready: false, state: { terminated: { exitCode: 0 } } };
  assert.equal(podStatus({}, observed({ containers: [ended], finalExitCodes: [0] })).phase, 'Succeeded');
  assert.equal(podStatus({}, observed({ containers: [ended, ended], finalExitCodes: [0, 3] })).phase, 'Failed');
});

test('a pod that waits for its first container is pending, one that starts it again is running', () => {
  const waiting = { ...running, ready: false, state: { waiting: { reason: 'CreateContainerError' } } };
  assert.equal(podStatus({}, observed({ containers: [waiting] })).phase, 'Pending');
  assert.equal(podStatus({}, observed({ containers: [{ ...waiting, restartCount: 2 }] })).phase, 'Running');
});

test('the time of a condition changes with its status only', () => {
  const since = '2025-12-31T00:00:00Z';
  const previous = { conditions: [{ type: 'Ready', status: 'True' as const, lastTransitionTime: since }] };
  assert.equal(readyOf(podStatus(previous, observed({})))?.lastTransitionTime, since);
  assert.notEqual(readyOf(podStatus(previous, observed({ isStopping: true })))?.lastTransitionTime, since);
});
