import assert from 'node:assert/strict';
import { test } from 'node:test';
import { junitXml } from './junit.ts';
import { progressLine } from './progress.ts';
import { notRunLines, resultData, resultLines, summary } from './results.ts';
import type { CaseResult } from './run.ts';

const text = { name: 'pod-to-pod/same-node/tcp/ipv4', summary: 'a pod asks a pod' };
const passed: CaseResult = { ...text, status: 'passed', ms: 2.71456, tries: 1 };
const failed: CaseResult = {
  ...text,
  status: 'failed',
  ms: 2000,
  tries: 1,
  failure: {
    from: 'pod client',
    command: 'client tcp 10.244.0.3 8080',
    wanted: 'an answer',
    came: 'failed <&> "timed out"',
    hint: 'sluice node list',
  },
};
const notRun: CaseResult = { ...text, status: 'not-run', why: 'only one node is Ready' };

test('data of a case says whether it passed, and hundredths of milliseconds', () => {
  const [first, second, third] = [passed, failed, notRun].map(resultData);
  assert.deepEqual(first, { ...text, status: 'passed', ms: 2.71, tries: 1, ok: true });
  assert.deepEqual([second?.ok, third?.ok], [false, false]);
});

test('a failed case tells what it tries, what ran, what was wanted and came, and where to look next', () => {
  const lines = resultLines(failed, false).split('\n');
  assert.deepEqual(lines, [
    'FAIL pod-to-pod/same-node/tcp/ipv4 (1 try)',
    '     tries:  a pod asks a pod',
    '     ran:    in pod client: client tcp 10.244.0.3 8080',
    '     wanted: an answer',
    '     came:   failed <&> "timed out"',
    '     next:   sluice node list',
    '',
  ]);
});

test('only a terminal gets colours', () => {
  assert.equal(resultLines(passed, false), 'ok   pod-to-pod/same-node/tcp/ipv4 (3 ms)\n');
  assert.ok(resultLines(passed, true).startsWith('\u001b[32mok  \u001b[0m '));
});

test('cases that were not run are told by their reason, and are not counted as passed', () => {
  assert.equal(notRunLines([passed, notRun, notRun]), '--   not run, 2 cases: only one node is Ready\n');
  assert.equal(summary([passed, failed, notRun], 6.21), '1 passed, 1 failed, 1 not run (6.2 s)\n');
  assert.equal(summary([passed], 1), '1 passed, 0 failed (1.0 s)\n');
});

test('JUnit counts failures and skipped cases, and escapes what XML would take for markup', () => {
  const xml = junitXml([passed, failed, notRun], { seconds: 6.21, at: new Date(Date.UTC(2026, 0, 1, 12)) });
  assert.match(
    xml,
    /<testsuite name="[^"]+" tests="3" failures="1" errors="0" skipped="1" time="6.210" timestamp="2026-01-01T12:00:00">/,
  );
  assert.match(xml, /<testcase classname="pod-to-pod" name="same-node\/tcp\/ipv4" time="0.003"\/>/);
  assert.match(
    xml,
    /<failure message="failed &lt;&amp;&gt; &quot;timed out&quot;">a pod asks a pod\nran in pod client: /,
  );
  assert.match(xml, /<skipped message="only one node is Ready"\/>/);
  const odd = junitXml([{ ...notRun, why: 'a\u0001b' }], { seconds: 0, at: new Date(0) });
  assert.match(odd, /message="a\?b"/, 'no control character, not even escaped');
});

test('a progress line is written over on a terminal, cut to its width, and is nowhere else', () => {
  const written: string[] = [];
  const progress = { done: 3, failed: 1, running: ['pod-to-pod/same-node/tcp/ipv4'] };
  const line = progressLine({ write: (text) => written.push(text), isTTY: true, columns: 30 });
  line.show(progress, 280);
  line.clear();
  line.clear();
  assert.deepEqual(written, ['\r\u001b[K[3/280, 1 failed] pod-to-pod/', '\r\u001b[K']);
  const log: string[] = [];
  const nowhere = progressLine({ write: (text) => log.push(text) });
  nowhere.show(progress, 280);
  nowhere.clear();
  assert.deepEqual(log, []);
});
