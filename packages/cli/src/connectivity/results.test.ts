import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resultData, resultLine, summary } from './results.ts';
import type { CaseResult } from './run.ts';

const passed: CaseResult = {
  name: 'pod-to-pod/same-node/tcp/ipv4',
  from: 'client',
  command: 'client tcp 10.244.0.3 8080',
  ms: 2.71456,
  failure: undefined,
  tries: 1,
};
const failed: CaseResult = { ...passed, failure: 'nobody answers' };

test('data of a case says whether it passed, and hundredths of milliseconds', () => {
  assert.deepEqual([resultData(passed).ok, resultData(passed).ms], [true, 2.71]);
  assert.deepEqual([resultData(failed).ok, resultData(failed).failure], [false, 'nobody answers']);
});

test('the last line says that the namespace stays and how to have it deleted, unless it is', () => {
  const kept = summary([passed, failed], 'sluice-test');
  assert.equal(kept, '1 passed, 1 failed\nnamespace sluice-test stays, for the next run; --cleanup deletes it\n');
  assert.equal(summary([passed], undefined), '1 passed, 0 failed\n');
});

test('a failed case shows the command that tells the failure', () => {
  assert.match(
    resultLine(failed, false),
    /^FAIL pod-to-pod\S+ \(1 try\)\n +nobody answers\n +in pod client: client tcp 10\.244\.0\.3 8080$/,
  );
});
