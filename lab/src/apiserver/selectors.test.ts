import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from './api-error.ts';
import type { KubernetesObject } from './object.ts';
import { labelsMatch, parseFieldSelector, parseLabelSelector } from './selectors.ts';

const matches = (text: string, labels: Record<string, string>) => labelsMatch(parseLabelSelector(text), labels);

test('label selectors compare, list, and ask for presence', () => {
  const labels = { app: 'web', tier: 'front' };
  for (const text of [
    'app=web',
    'app==web',
    'app!=db',
    'app in (web, db)',
    'tier notin (back)',
    'app',
    '!old',
    'app=web,tier=front',
    '',
  ])
    assert.equal(matches(text, labels), true, text);
  for (const text of ['app=db', 'app!=web', 'app in (db)', 'app notin (web)', 'old', '!app', 'app=web,tier=back'])
    assert.equal(matches(text, labels), false, text);
});

test('an unreadable label selector is a bad request that shows the term', () => {
  assert.throws(
    () => parseLabelSelector('a=b=c'),
    (error) => error instanceof ApiError && error.code === 400 && error.message.includes('a=b=c'),
  );
});

test('field selectors know only the fields of the resource', () => {
  const fieldsOf = (object: KubernetesObject) => ({ 'metadata.name': object.metadata.name });
  const object: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'x', uid: '', resourceVersion: '', creationTimestamp: '' },
  };
  assert.equal(parseFieldSelector('metadata.name=x', fieldsOf)(object), true);
  assert.equal(parseFieldSelector('metadata.name!=x', fieldsOf)(object), false);
  assert.throws(() => parseFieldSelector('spec.bogus=x', fieldsOf), /field label not supported: spec.bogus/);
});
