import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../api-error.ts';
import type { JsonObject } from '../object.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { applyStrategicMerge } from './strategic-merge.ts';

test('a JSON patch adds, replaces, moves, copies and removes without touching its target', () => {
  const target = { a: [1, 3], b: { c: 'x' } };
  const patched = applyJsonPatch(target, [
    { op: 'add', path: '/a/1', value: 2 },
    { op: 'add', path: '/a/-', value: 4 },
    { op: 'replace', path: '/b/c', value: 'y' },
    { op: 'copy', from: '/b', path: '/d' },
    { op: 'move', from: '/b/c', path: '/e~1f' },
    { op: 'test', path: '/d/c', value: 'y' },
  ]);
  assert.deepEqual(patched, { a: [1, 2, 3, 4], b: {}, d: { c: 'y' }, 'e/f': 'y' });
  assert.deepEqual(target, { a: [1, 3], b: { c: 'x' } });
});

test('a JSON patch whose test fails, or whose path is not there, is refused with 422', () => {
  const codeOf = (patch: object[]) => {
    try {
      applyJsonPatch({ a: 1 }, patch);
    } catch (error) {
      return error instanceof ApiError ? error.code : error;
    }
    return 'applied';
  };
  assert.equal(codeOf([{ op: 'test', path: '/a', value: 2 }]), 422);
  assert.equal(codeOf([{ op: 'remove', path: '/b' }]), 422);
  assert.equal(codeOf([{ op: 'add', path: '/b/c', value: 1 }]), 422);
  assert.equal(codeOf([{ op: 'jump', path: '/a' }]), 400);
});

test('a JSON patch cannot reach prototypes', () => {
  assert.throws(() => applyJsonPatch({}, [{ op: 'add', path: '/__proto__/polluted', value: true }]), ApiError);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test('a merge patch merges objects, deletes with null and replaces lists', () => {
  const patched = applyMergePatch({ a: { b: 1, c: 2 }, list: [1, 2] }, { a: { b: null, d: 3 }, list: [9] });
  assert.deepEqual(patched, { a: { c: 2, d: 3 }, list: [9] });
});

const pod = {
  metadata: { name: 'p', finalizers: ['a/b'] },
  spec: {
    containers: [
      { name: 'web', image: 'web:1', ports: [{ containerPort: 80 }] },
      { name: 'log', image: 'log:1' },
    ],
  },
};

test('a strategic patch finds list elements by their merge key', () => {
  const patched = applyStrategicMerge('core.v1.Pod', pod, { spec: { containers: [{ name: 'web', image: 'web:2' }] } });
  assert.deepEqual(patched.spec, {
    containers: [
      { name: 'web', image: 'web:2', ports: [{ containerPort: 80 }] },
      { name: 'log', image: 'log:1' },
    ],
  });
});

test('a strategic patch deletes elements, unites lists of scalars and sets the order', () => {
  const patched = applyStrategicMerge('core.v1.Pod', pod, {
    metadata: { finalizers: ['c/d'] },
    spec: {
      '$setElementOrder/containers': [{ name: 'new' }, { name: 'web' }],
      containers: [
        { name: 'log', $patch: 'delete' },
        { name: 'new', image: 'new:1' },
      ],
    },
  });
  assert.deepEqual(patched.metadata, { name: 'p', finalizers: ['a/b', 'c/d'] });
  const { containers } = patched.spec as { containers: { name: string }[] };
  assert.deepEqual(
    containers.map(({ name }) => name),
    ['new', 'web'],
  );
});

test('a strategic patch replaces a map or a list that says so, and keeps only the keys of retainKeys', () => {
  const deployment = {
    spec: {
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
      selector: { matchLabels: { a: 'b' } },
    },
  };
  const patched = applyStrategicMerge('apps.v1.Deployment', deployment, {
    spec: {
      strategy: { $retainKeys: ['type'], type: 'Recreate' },
      selector: { $patch: 'replace', matchLabels: { c: 'd' } },
    },
  });
  assert.deepEqual(patched.spec, { strategy: { type: 'Recreate' }, selector: { matchLabels: { c: 'd' } } });
});

test('elements that only the server knows keep their place in a new order', () => {
  const containers = (names: string) => [...names].map((name) => ({ name }));
  const ordered = (before: string, order: string, patch: object[] = []) => {
    const patched = applyStrategicMerge(
      'core.v1.PodSpec',
      { containers: containers(before) },
      { '$setElementOrder/containers': containers(order), containers: patch as JsonObject[] },
    );
    return (patched.containers as { name: string }[]).map(({ name }) => name).join('');
  };
  assert.equal(ordered('aSb', 'ab'), 'aSb');
  assert.equal(ordered('Sab', 'ba'), 'Sba');
  assert.equal(ordered('abS', 'ba'), 'baS');
  assert.equal(ordered('aSb', 'cab', [{ name: 'c' }]), 'caSb');
  assert.equal(ordered('aSb', 'b', [{ name: 'a', $patch: 'delete' }]), 'Sb');
});

test('directives are taken out where there is nothing to merge with', () => {
  const patch = {
    spec: {
      containers: [
        {
          name: 'web',
          env: [
            { name: 'GONE', $patch: 'delete' },
            { name: 'A', value: null, valueFrom: {} },
          ],
        },
      ],
      securityContext: { $retainKeys: ['runAsUser'], runAsUser: 1 },
    },
  };
  const patched = applyStrategicMerge('core.v1.Pod', {}, patch);
  assert.deepEqual(patched.spec, {
    containers: [{ name: 'web', env: [{ name: 'A', valueFrom: {} }] }],
    securityContext: { runAsUser: 1 },
  });
});

test('scalars are taken out of a list by name; maps and elements are replaced or deleted as a whole', () => {
  const finalizers = (patch: JsonObject) =>
    (applyStrategicMerge('core.v1.Pod', pod, { metadata: patch }).metadata as JsonObject).finalizers;
  assert.deepEqual(finalizers({ '$deleteFromPrimitiveList/finalizers': ['a/b'] }), []);
  const both = { '$deleteFromPrimitiveList/finalizers': ['a/b'], finalizers: ['c/d'] };
  assert.deepEqual(finalizers({ ...both, '$setElementOrder/finalizers': ['c/d'] }), ['c/d']);
  const replaced = applyStrategicMerge('core.v1.Pod', pod, {
    spec: { containers: [{ $patch: 'replace' }, { name: 'only', image: 'only:1' }] },
  });
  assert.deepEqual(replaced.spec, { containers: [{ name: 'only', image: 'only:1' }] });
  const labels = { metadata: { labels: { a: '1', b: '2' } } };
  const cleared = applyStrategicMerge('core.v1.Pod', labels, { metadata: { labels: { $patch: 'delete' } } });
  assert.deepEqual(cleared.metadata, { labels: {} });
});

test('a strategic patch that is none is refused', () => {
  const refused = (patch: JsonObject, why: RegExp) =>
    assert.throws(() => applyStrategicMerge('core.v1.Pod', pod, patch), why);
  refused({ spec: { $patch: 'explode' } }, /unknown patch type "explode"/);
  refused({ spec: { $explode: [] } }, /unknown patch type "\$explode"/);
  refused({ spec: { containers: [{ image: 'x' }] } }, /does not contain declared merge key: name/);
  refused({ spec: { containers: ['x'] } }, /holds objects only/);
  refused({ spec: { $retainKeys: ['a'], b: 1 } }, /field b is in the patch and not in the list/);
});
