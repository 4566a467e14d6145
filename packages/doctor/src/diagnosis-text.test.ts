import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnosisLines, diagnosisText, hasErrors } from './diagnosis-text.ts';
import { type Finding, mergeDiagnoses } from './finding.ts';

const finding = (severity: Finding['severity'], what: string): Finding => {
  return { check: 'clock', severity, what, meaning: 'leases end early', remedy: 'timedatectl set-ntp true' };
};
const diagnosis = mergeDiagnoses([
  { findings: [finding('note', 'a'), finding('warning', 'b')], well: ['mtu'] },
  { findings: [finding('error', 'c')], well: ['ipvs'] },
]);

test('the worst stands first, each with what comes of it and what to do', () => {
  const text = diagnosisText(diagnosis);
  assert.deepEqual(
    [...text.matchAll(/^(error|warning|note) +(\w)/gm)].map(([, severity, what]) => [severity, what]),
    [
      ['error', 'c'],
      ['warning', 'b'],
      ['note', 'a'],
    ],
  );
  assert.match(text, /^error {4}c {3}\[clock\]\n {9}leases end early\n {9}-> timedatectl set-ntp true$/m);
  assert.match(text, /^1 error, 1 warning, 1 note; 2 checks found nothing$/m);
  assert.equal(hasErrors(diagnosis), true);
});

test('in brief there is a line for each error and warning, and none for notes', () => {
  assert.deepEqual(diagnosisLines(diagnosis), [
    'error: c: timedatectl set-ntp true',
    'warning: b: timedatectl set-ntp true',
  ]);
  assert.equal(hasErrors({ findings: [finding('warning', 'b')], well: [] }), false);
});
