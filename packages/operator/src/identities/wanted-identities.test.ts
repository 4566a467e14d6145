import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabelFilter, LabelSets, podLabels } from '@sluice/identity';
import { type NamespaceObject, objectKey } from '@sluice/kube';
import { Table } from '@sluice/state';
import { type LabelledPod, labelledPodTable, parseLabelledPod } from './labelled-pod.ts';
import { WantedIdentities } from './wanted-identities.ts';

const rules = { cluster: 'homelab', filter: new LabelFilter() };

function laboratory() {
  const labelSets = new LabelSets();
  const pods = labelledPodTable();
  const namespaces = new Table<NamespaceObject>({ name: 'namespaces', key: (row) => row.name, columns: {} });
  const wanted = new WantedIdentities({ pods, namespaces, labelSets, rules });
  const fresh: string[] = [];
  const short = (label: string) => label.replace(/^k8s:(io\.cilium\.k8s\.namespace\.labels\.)?/, '');
  const text = (set: Parameters<typeof labelSets.labelsOf>[0]) =>
    labelSets
      .labelsOf(set)
      .map(short)
      .filter((label) => !label.startsWith('io.'))
      .join();
  wanted.subscribe((sets) => fresh.push(...sets.map(text)));
  const row = (name: string, app: string, namespace = 'shop'): LabelledPod => {
    const labels = labelSets.of(podLabels({ namespace, labels: { app }, serviceAccount: '' }, rules));
    return { namespace, name, labels, agent: undefined, problems: [] };
  };
  return {
    pods,
    fresh,
    row,
    sets: () => [...wanted.sets()].map(text).sort(),
    namespace: (name: string, labels: Record<string, string>) =>
      namespaces.upsert({ name, uid: name, labels, problems: [] }),
  };
}

test('pods with the same labels want one identity, until the last of them is gone', () => {
  const lab = laboratory();
  lab.namespace('shop', { team: 'a' });
  for (const name of ['one', 'two']) lab.pods.upsert(lab.row(name, 'cart'));
  lab.pods.upsert(lab.row('three', 'web'));
  assert.deepEqual(lab.sets(), ['app=cart,team=a', 'app=web,team=a']);
  lab.pods.delete('shop/one');
  assert.equal(lab.sets().length, 2);
  lab.pods.delete('shop/two');
  assert.deepEqual(lab.sets(), ['app=web,team=a']);
  assert.deepEqual(lab.fresh, ['app=cart,team=a', 'app=web,team=a']);
});

test('nothing is wanted for a pod whose namespace is not known yet', () => {
  const lab = laboratory();
  lab.pods.upsert(lab.row('one', 'cart'));
  assert.deepEqual(lab.sets(), []);
  lab.namespace('shop', { team: 'a' });
  assert.deepEqual([lab.sets(), lab.fresh], [['app=cart,team=a'], ['app=cart,team=a']]);
});

test('a change of labels, of the pod or of its namespace, is another identity', () => {
  const lab = laboratory();
  lab.namespace('shop', { team: 'a' });
  lab.namespace('other', { team: 'a' });
  lab.pods.upsert(lab.row('one', 'cart'));
  lab.pods.upsert(lab.row('one', 'web'));
  assert.deepEqual(lab.sets(), ['app=web,team=a']);
  lab.pods.upsert(lab.row('two', 'web', 'other'));
  lab.namespace('shop', { team: 'b' });
  assert.deepEqual(lab.sets(), ['app=web,team=a', 'app=web,team=b']);
});

test('a pod needs an identity from the moment it has a node until it is done, and none on the host network', () => {
  const labelSets = new LabelSets();
  const parse = parseLabelledPod(labelSets, rules, 'kube-system');
  const needs = (spec: object, status: object = {}) =>
    parse({ metadata: { name: 'p', namespace: 'n' }, spec, status }).labels !== undefined;
  assert.equal(needs({}), false);
  assert.equal(needs({ nodeName: 'a' }), true);
  assert.equal(needs({ nodeName: 'a', hostNetwork: true }), false);
  assert.equal(needs({ nodeName: 'a' }, { phase: 'Running' }), true);
  for (const phase of ['Succeeded', 'Failed']) assert.equal(needs({ nodeName: 'a' }, { phase }), false);
  assert.equal(objectKey(parse({ metadata: { name: 'p', namespace: 'n' } })), 'n/p');
});
