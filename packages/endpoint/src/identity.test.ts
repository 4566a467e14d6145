import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityCandidate, identityLabels, identityOf } from './identity.ts';

test('pods of one deployment share an identity, whatever their template hash', () => {
  const one = identityOf('shop', { app: 'cart', 'pod-template-hash': 'abc' });
  assert.equal(one, identityOf('shop', { 'pod-template-hash': 'def', app: 'cart' }));
  assert.notEqual(one, identityOf('other', { app: 'cart' }));
});

test('a label cannot pass for a namespace', () => {
  const forged = identityLabels('a', { 'io.kubernetes.pod.namespace': 'kube-system' });
  assert.notDeepEqual(forged, identityLabels('kube-system', {}));
});

test('candidates fit into 24 bits above the reserved ones, and unknown labels are init', () => {
  for (let index = 0; index < 1000; index += 1) {
    const identity = identityCandidate([`k8s:n=${index}`]);
    assert.ok(identity >= 256 && identity <= 0xffffff);
  }
  assert.equal(identityOf('shop', undefined), 5);
});
