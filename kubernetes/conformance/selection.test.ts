import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exclusions } from './exclusions.ts';
import { conformancePage } from './page.ts';
import { select } from './selection.ts';

test('what a rule matches does not run, and shows the first rule as its reason', () => {
  const rules = [
    { pattern: 'cloud', reason: 'no cloud' },
    { pattern: 'in a', reason: 'second' },
  ];
  assert.deepEqual(select(['in a cloud', 'here'], rules), {
    names: ['here'],
    excluded: [{ name: 'in a cloud', reason: 'no cloud' }],
    outOfDate: [],
  });
});

test('a rule that matches nothing is out of date', () => {
  assert.deepEqual(select(['here'], [{ pattern: 'gone', reason: '' }]).outOfDate, ['gone']);
});

test('the rules are expressions, and each has a reason', () => {
  for (const { pattern, reason } of exclusions) {
    assert.doesNotThrow(() => new RegExp(pattern), pattern);
    assert.match(reason, /\w{4,}/, pattern);
  }
});

test('the page counts what passed and failed, and groups what was left out by its reason', () => {
  const page = conformancePage({
    date: '2026-01-02',
    versions: ['Kubernetes v1.35.4'],
    results: [
      { name: '[sig-network] DNS should answer', status: 'passed', seconds: 1, reason: '' },
      { name: '[sig-network] DNS should end', status: 'failed', seconds: 1, reason: 'late\nmore' },
    ],
    excluded: [{ name: '[sig-network] Clouds', reason: 'no cloud' }],
  });
  assert.match(page, /\| passed \| 1 \|/);
  assert.match(page, /## Failed\n\n- `DNS should end: late`\n/);
  assert.match(page, /\*\*no cloud\*\* \(1\)\n\n- `Clouds`\n/);
});
