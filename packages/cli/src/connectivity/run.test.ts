import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, fakeClock } from '@sluice/runtime';
import { CommandError } from '../command-error.ts';
import { type Case, defineCase, type Step } from './case.ts';
import { type CaseResult, type Progress, type RunOptions, runCases } from './run.ts';
import type { Outcome } from './verdict.ts';

const ok: Outcome = { exitCode: 0, stdout: 'ok 1 answer: host=web peer=1.1.1.1:1 \n', stderr: '' };
const timedOut: Outcome = { exitCode: 1, stdout: 'failed 1 after 2000 ms: connect: timed out\n', stderr: '' };

const step = (from: string, more: Partial<Step> = {}): Step => ({
  from,
  command: ['client', 'tcp', from],
  expected: { outcome: 'answered', by: 'host=web', seen: undefined, peer: undefined },
  ...more,
});

function cases(...names: readonly string[]): Case[] {
  return names.map((name) => defineCase({ name, summary: `tries ${name}`, hint: 'look there' }, () => [step(name)]));
}

/** Time passes only while somebody waits. */
function hurried(): Clock {
  const clock = fakeClock();
  const setTimeout: Clock['setTimeout'] = (callback, delayMs) => {
    const timer = clock.setTimeout(callback, delayMs);
    queueMicrotask(() => clock.advance(delayMs));
    return timer;
  };
  return { now: clock.now, monotonicNs: clock.monotonicNs, setTimeout };
}

function options(overrides: Partial<RunOptions> = {}): RunOptions {
  return {
    concurrency: 2,
    clock: hurried(),
    signal: new AbortController().signal,
    execute: async () => ok,
    onProgress: () => undefined,
    onResult: () => undefined,
    ...overrides,
  };
}

const statuses = (results: readonly CaseResult[]) => results.map(({ name, status }) => `${name} ${status}`);

test('cases that are answered pass at the first try', async () => {
  const results = await runCases(cases('a', 'b'), options());
  assert.deepEqual(statuses(results), ['a passed', 'b passed']);
  assert.ok(results.every((result) => result.status === 'passed' && result.tries === 1));
});

test('cases run at the same time as far as allowed, and are told in their order', async () => {
  const gates = new Map<string, () => void>();
  const told: string[] = [];
  const execute: RunOptions['execute'] = (from) => new Promise((resolve) => gates.set(from, () => resolve(ok)));
  const running = runCases(cases('a', 'b', 'c'), options({ execute, onResult: ({ name }) => told.push(name) }));
  await Promise.resolve();
  assert.deepEqual([...gates.keys()], ['a', 'b']);
  gates.get('b')?.();
  await new Promise(setImmediate);
  assert.deepEqual([...gates.keys()], ['a', 'b', 'c']);
  assert.deepEqual(told, []);
  gates.get('a')?.();
  gates.get('c')?.();
  await running;
  assert.deepEqual(told, ['a', 'b', 'c']);
});

test('progress counts what is done and failed, and names what runs', async () => {
  const seen: Progress[] = [];
  const execute: RunOptions['execute'] = async (from) => (from === 'b' ? timedOut : ok);
  await runCases(cases('a', 'b'), options({ concurrency: 1, execute, onProgress: (progress) => seen.push(progress) }));
  assert.deepEqual(seen.at(0), { done: 0, failed: 0, running: ['a'] });
  assert.deepEqual(seen.at(-1), { done: 2, failed: 1, running: [] });
});

test('a case that works once the tables have arrived passes, and says how often it was tried', async () => {
  let runs = 0;
  const execute: RunOptions['execute'] = async () => (++runs <= 2 ? timedOut : ok);
  const [result] = await runCases(cases('a'), options({ execute }));
  assert.deepEqual([result?.status, runs], ['passed', 3]);
});

test('a case that fails tells what ran where, what was wanted, what came and where to look', async () => {
  const [result] = await runCases(cases('a'), options({ execute: async () => timedOut }));
  assert.ok(result?.status === 'failed');
  assert.ok(result.tries > 10, 'until the tables must have arrived');
  assert.deepEqual(result.failure, {
    from: 'pod a',
    command: 'client tcp a',
    wanted: 'an answer by host=web',
    came: 'failed 1 after 2000 ms: connect: timed out',
    hint: 'look there',
  });
});

test('an exec that breaks fails its case, and the others go on', async () => {
  const execute: RunOptions['execute'] = async (from) => {
    if (from === 'a') throw new CommandError('exec in pod sluice-test/a: connect ECONNREFUSED');
    return ok;
  };
  const results = await runCases(cases('a', 'b'), options({ execute }));
  assert.deepEqual(statuses(results), ['a failed', 'b passed']);
  assert.ok(results[0]?.status === 'failed' && /ECONNREFUSED/.test(results[0].failure.came));
});

test('the first step that fails ends its case; one beside it fails it, too', async () => {
  const ran: string[] = [];
  const execute: RunOptions['execute'] = async (from) => {
    ran.push(from);
    return from === 'second' ? timedOut : ok;
  };
  const text = { name: 'steps', summary: '', hint: '' };
  const later = options().clock;
  const entry = defineCase(text, () => [step('first', { beside: step('second') }), step('third')]);
  const [result] = await runCases([entry], options({ execute, clock: later }));
  assert.ok(result?.status === 'failed');
  assert.equal(result.failure.from, 'pod second');
  assert.ok(!ran.includes('third'));
});

test('steps that must reach the same host fail when another one answers', async () => {
  const hosts = ['web', 'other'];
  let runs = 0;
  const execute: RunOptions['execute'] = async () => {
    const stdout = `ok 1 answer: host=web peer= \nsent=1 answered=1 failed=0 hosts: ${hosts[runs++ % 2]}=1\n`;
    return { exitCode: 0, stdout, stderr: '' };
  };
  const text = { name: 'same', summary: '', hint: '', isSameHost: true };
  const [result] = await runCases([defineCase(text, () => [step('a'), step('a')])], options({ execute }));
  assert.ok(result?.status === 'failed' && /web.*other|other.*web/.test(result.failure.came));
});

test('a case that cannot be tried is told with the reason and runs nothing', async () => {
  const entry: Case = { ...(cases('a')[0] as Case), steps: [], notRun: 'only one node is Ready' };
  const execute: RunOptions['execute'] = () => assert.fail('nothing is run');
  assert.deepEqual(await runCases([entry], options({ execute })), [
    { name: 'a', summary: 'tries a', status: 'not-run', why: 'only one node is Ready' },
  ]);
});

test('an interrupted test begins no further case', async () => {
  const stop = new AbortController();
  const ran: string[] = [];
  const execute: RunOptions['execute'] = async (from) => {
    ran.push(from);
    stop.abort();
    return timedOut;
  };
  const interrupted = runCases(cases('a', 'b', 'c'), options({ concurrency: 1, execute, signal: stop.signal }));
  await assert.rejects(interrupted, { name: 'AbortError' });
  assert.deepEqual(ran, ['a']);
});
