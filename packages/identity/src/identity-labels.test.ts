import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityLabels, type LabelledPod } from './identity-labels.ts';
import { LabelFilter } from './label-filter.ts';

const pod = { namespace: 'shop', labels: { app: 'cart' }, serviceAccount: 'cart' };
const namespaceLabels = { 'kubernetes.io/metadata.name': 'shop', team: 'sales' };

function labelsOf(more: Partial<LabelledPod> = {}, patterns: string[] = []) {
  return identityLabels({ ...pod, ...more }, namespaceLabels, {
    cluster: 'homelab',
    filter: new LabelFilter(patterns),
  });
}

test("labels of the pod and its namespace, service account and cluster, under the incumbent's names", () => {
  assert.deepEqual(labelsOf(), [
    'k8s:app=cart',
    'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop',
    'k8s:io.cilium.k8s.namespace.labels.team=sales',
    'k8s:io.cilium.k8s.policy.cluster=homelab',
    'k8s:io.cilium.k8s.policy.serviceaccount=cart',
    'k8s:io.kubernetes.pod.namespace=shop',
  ]);
});

test('labels that differ from pod to pod make no identity of its own', () => {
  const noise = {
    'pod-template-hash': '5d8f',
    'controller-revision-hash': 'x',
    'statefulset.kubernetes.io/pod-name': 'cart-0',
    'apps.kubernetes.io/pod-index': '0',
    'batch.kubernetes.io/job-completion-index': '3',
    'batch.kubernetes.io/controller-uid': 'u',
    'controller-uid': 'u',
  };
  assert.deepEqual(labelsOf({ labels: { app: 'cart', ...noise } }), labelsOf());
  const named = labelsOf({ labels: { 'app.kubernetes.io/name': 'cart', 'kubernetes.io/arch': 'amd64' } });
  assert.deepEqual(named.slice(0, 1), ['k8s:app.kubernetes.io/name=cart']);
  assert.ok(!named.some((label) => label.includes('arch')));
});

test('a pod cannot pass for one of another namespace, service account or cluster', () => {
  const forged = {
    app: 'cart',
    'io.kubernetes.pod.namespace': 'kube-system',
    'io.cilium.k8s.namespace.labels.team': 'admins',
    'io.cilium.k8s.policy.serviceaccount': 'root',
    'io.cilium.k8s.policy.cluster': 'other',
  };
  assert.deepEqual(labelsOf({ labels: forged }), labelsOf());
});

test('a pattern that includes leaves only what it and the standard ones name', () => {
  const labels = { app: 'cart', env: 'prod', 'k8s-app-team': 'x', 'app.kubernetes.io/name': 'cart' };
  assert.deepEqual(
    labelsOf({ labels }, ['k8s:k8s-app', 'k8s:app']).filter((label) => !label.startsWith('k8s:io.')),
    ['k8s:app.kubernetes.io/name=cart', 'k8s:app=cart', 'k8s:k8s-app-team=x'],
  );
});

test('a pattern that excludes takes away what it names, but for what a longer one includes', () => {
  assert.ok(!labelsOf({ labels: { 'job-name': 'x' } }, ['k8s:!job-name']).includes('k8s:job-name=x'));
  const filter = new LabelFilter(['!foo', 'foo\\.bar']);
  assert.deepEqual(
    ['foo', 'foo.bar', 'foo.baz', 'other'].map((key) => filter.accepts(key)),
    [false, true, false, false],
  );
  assert.equal(new LabelFilter(['container:!app']).accepts('app'), true, 'about another source');
});

test('a pattern that cannot be read is refused by its text', () => {
  for (const pattern of ['k8s:', '!', 'k8s:(']) assert.throws(() => new LabelFilter([pattern]), TypeError);
});
