import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readReport } from './report.ts';

const spec = (more: object) => ({
  LeafNodeType: 'It',
  LeafNodeText: 'should answer',
  ContainerHierarchyTexts: ['[sig-network] Services'],
  State: 'passed',
  RunTime: 1.5e9,
  ...more,
});
const read = (...specs: readonly object[]) => readReport(JSON.stringify([{ SpecReports: specs }]));

test('what passed and what failed is told by its whole name', () => {
  const { results } = read(
    spec({}),
    spec({ LeafNodeText: 'should end', State: 'timedout', Failure: { Message: 'late' } }),
  );
  assert.deepEqual(results, [
    { name: '[sig-network] Services should answer', status: 'passed', seconds: 1.5, reason: '' },
    { name: '[sig-network] Services should end', status: 'failed', seconds: 1.5, reason: 'late' },
  ]);
});

test('a case that our patterns leave out has a name and no result', () => {
  const { names, results } = read(spec({ State: 'skipped' }));
  assert.deepEqual([names, results], [['[sig-network] Services should answer'], []]);
});

test('a case that does not want to run here is skipped with its reason', () => {
  const { results } = read(spec({ State: 'skipped', Failure: { Message: 'needs a cloud' } }));
  assert.deepEqual(
    results.map(({ status, reason }) => [status, reason]),
    [['skipped', 'needs a cloud']],
  );
});

test('a suite that could not be prepared is a failure, although no case is', () => {
  const prepared = { LeafNodeType: 'SynchronizedBeforeSuite', LeafNodeText: '', ContainerHierarchyTexts: null };
  const { results, failedNodes } = read(spec({ ...prepared, State: 'failed', Failure: { Message: 'no node' } }));
  assert.deepEqual(results, []);
  assert.deepEqual(
    failedNodes.map(({ name, reason }) => [name, reason]),
    [['[SynchronizedBeforeSuite]', 'no node']],
  );
});
