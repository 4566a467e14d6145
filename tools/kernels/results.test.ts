import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareReleases } from './images.ts';
import { collectResults } from './results.ts';
import { withTable } from './table.ts';

test('releases are compared by their numbers', () => {
  assert.ok(compareReleases('6.12.117+deb12-cloud-amd64', '6.12.9+deb12-cloud-amd64') > 0);
  assert.ok(compareReleases('6.1', '6.6') < 0);
  assert.ok(compareReleases('6.12', '6.6') > 0);
  assert.equal(compareReleases('6.12', '6.12'), 0);
});

test('what the machine says is put together: tests, instructions, and whether it came to its end', () => {
  const printed: string[] = [];
  const { line, results } = collectResults((text) => void printed.push(text));
  line('@@{"type":"kernel","release":"6.12.1"}');
  line('module x cannot be loaded');
  line('');
  line('@@{"type":"diagnostic","file":"a","text":"pod_from_pod           3984 / 10464"}');
  line('@@{"type":"diagnostic","file":"a","text":"16 configurations"}');
  line('@@{"type":"test","file":"a","name":"good"}');
  line('@@{"type":"test","file":"a","name":"not here","skipped":"no such device"}');
  line('@@{"type":"test","file":"a","name":"bad","error":"1 is not 2"}');
  assert.equal(results().ended, false);
  line('@@{"type":"end"}');
  const { programs, ...rest } = results();
  assert.deepEqual(rest, { release: '6.12.1', passed: 1, failed: 1, skipped: 1, ended: true });
  assert.deepEqual([...programs], [['pod_from_pod', { own: 3984, walked: 10464 }]]);
  assert.deepEqual(printed, [
    'module x cannot be loaded',
    'skipped: not here: no such device',
    'not ok: a bad\n1 is not 2',
  ]);
});

test('the table has a line for each program and takes the place of the one before', () => {
  const text =
    'before\n<!-- instructions: written by npm run test:kernels -->\nold\n<!-- end of instructions -->\nbehind\n';
  const common = { passed: 1, failed: 0, skipped: 0, ended: true };
  const programs = (own: number) => new Map([['pod_from_pod', { own, walked: own * 2 }]]);
  const results = [
    { ...common, release: '6.12.1+deb12-cloud-amd64', programs: programs(1) },
    { ...common, release: '6.18.2-x', programs: new Map([...programs(3), ['new_program', { own: 5, walked: 6 }]]) },
  ];
  const table = [
    '| program | 6.12.1 | verifier walked | 6.18.2 | verifier walked |',
    '| --- | --- | --- | --- | --- |',
    '| `pod_from_pod` | 1 | 2 | 3 | 6 |',
    '| `new_program` | – | – | 5 | 6 |',
  ].join('\n');
  const written = withTable(text, results);
  assert.equal(
    written,
    `before\n<!-- instructions: written by npm run test:kernels -->\n\n${table}\n\n<!-- end of instructions -->\nbehind\n`,
  );
  assert.equal(withTable(written, results), written);
  assert.throws(() => withTable('no place', results), /there is no "<!-- instructions/);
});
