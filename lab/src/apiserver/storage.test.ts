import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesObject } from './object.ts';
import { type Change, Storage } from './storage.ts';

function object(name: string, extra: object = {}): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'a', uid: name, resourceVersion: '', creationTimestamp: '', ...extra },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('every write gets the next version, of all resources together', () => {
  const storage = new Storage();
  assert.equal(storage.put('configmaps', object('x')).metadata.resourceVersion, '2');
  assert.equal(storage.put('secrets', object('y')).metadata.resourceVersion, '3');
  storage.remove('configmaps', { namespace: 'a', name: 'x' });
  assert.equal(storage.version, 4);
});

test('stored objects cannot be changed by who reads them', () => {
  const storage = new Storage();
  const stored = storage.put('configmaps', object('x', { labels: { a: 'b' } }));
  assert.throws(() => Object.assign(stored.metadata.labels ?? {}, { a: 'c' }), TypeError);
});

test('a listener hears changes after the write, in order, and nothing from before', async () => {
  const storage = new Storage();
  storage.put('configmaps', object('before'));
  const heard: string[] = [];
  const watch = storage.watch('configmaps', ({ type, object: { metadata } }) => heard.push(`${type} ${metadata.name}`));
  storage.put('configmaps', object('x'));
  storage.put('configmaps', object('x'));
  storage.remove('configmaps', { namespace: 'a', name: 'x' });
  assert.deepEqual(heard, []);
  await settled();
  assert.deepEqual(heard, ['ADDED x', 'MODIFIED x', 'DELETED x']);
  watch[Symbol.dispose]();
  storage.put('configmaps', object('z'));
  await settled();
  assert.equal(heard.length, 3);
});

test('the history gives the changes since a version until it is forgotten', () => {
  const storage = new Storage({ historyMax: 4 });
  for (let i = 0; i < 4; i++) storage.put('configmaps', object(`x${i}`));
  assert.deepEqual(
    storage.changesSince('configmaps', 3)?.map(({ version }) => version),
    [4, 5],
  );
  storage.put('configmaps', object('x4'));
  assert.equal(storage.changesSince('configmaps', 2), undefined);
  assert.equal(storage.compactedVersion('configmaps'), 3);
});

test('a list of the past is what it was then', () => {
  const storage = new Storage();
  storage.put('configmaps', object('kept'));
  storage.put('configmaps', object('gone'));
  const then = storage.version;
  storage.put('configmaps', object('new'));
  storage.remove('configmaps', { namespace: 'a', name: 'gone' });
  storage.put('configmaps', object('kept', { labels: { later: 'yes' } }));
  const names = storage.objectsAt('configmaps', then)?.map(({ metadata }) => [metadata.name, metadata.labels]);
  assert.deepEqual(names?.sort(), [
    ['gone', undefined],
    ['kept', undefined],
  ]);
});

test('what names an owner is found by the uid of the owner', () => {
  const storage = new Storage();
  const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'o', uid: 'o' };
  storage.put('configmaps', object('d', { ownerReferences: [owner] }));
  assert.deepEqual(
    storage.ownedBy('o').map(({ metadata }) => metadata.name),
    ['d'],
  );
  storage.put('configmaps', object('d'));
  assert.deepEqual(storage.ownedBy('o'), []);
});

test('a listener that writes and one that throws do not disturb the others', async (t) => {
  const storage = new Storage();
  const heard: Change[] = [];
  const warn = t.mock.method(process, 'emitWarning', () => undefined);
  storage.watch('configmaps', ({ object: { metadata } }) => {
    if (metadata.name === 'first') storage.put('configmaps', object('second'));
    throw new Error('a listener failed');
  });
  storage.watch('configmaps', (change) => heard.push(change));
  storage.put('configmaps', object('first'));
  await settled();
  assert.deepEqual(
    heard.map((change) => change.object.metadata.name),
    ['first', 'second'],
  );
  assert.equal(warn.mock.callCount(), 2);
});
