import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeClock } from '@sluice/runtime';
import { Controllers } from './controllers.ts';

test('a job runs at once and then at its interval', async () => {
  const clock = fakeClock();
  const controllers = new Controllers(clock);
  let runs = 0;
  const job = controllers.start({ name: 'sync', run: () => void runs++, intervalMs: 1_000 });
  await clock.advanceAsync(0);
  assert.equal(runs, 1);
  await clock.advanceAsync(3_000);
  assert.equal(runs, 4);
  assert.equal(controllers.list()[0]?.successCount, 4);
  await job.stop();
  assert.equal(controllers.total, 0);
  assert.equal(clock.pendingTimers, 0);
});

test('a failing job, even one that throws at once, comes back with growing delays', async () => {
  const clock = fakeClock();
  const controllers = new Controllers(clock);
  let runs = 0;
  const run = () => {
    runs++;
    throw new Error('no route');
  };
  await using job = controllers.start({ name: 'sync', run, intervalMs: 60_000 });
  await clock.advanceAsync(10_000);
  assert.ok(runs >= 3, `${runs} runs`);
  const [status] = controllers.list();
  assert.deepEqual([status?.failureCount, status?.consecutiveFailures, status?.lastError], [runs, runs, 'no route']);
  assert.equal(controllers.healthy, 0);
  const before = runs;
  job.trigger();
  assert.equal(runs, before + 1);
});

test('a trigger during a run makes one more run', async () => {
  const clock = fakeClock();
  const controllers = new Controllers(clock);
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let runs = 0;
  const run = () => gates[runs++]?.promise ?? Promise.resolve();
  const job = controllers.start({ name: 'sync', run, intervalMs: 60_000 });
  job.trigger();
  job.trigger();
  gates[0]?.resolve();
  await clock.advanceAsync(0);
  assert.equal(runs, 2);
  gates[1]?.resolve();
  await clock.advanceAsync(59_000);
  assert.equal(runs, 2);
  await job.stop();
});

test('jobs without a loop of their own count themselves', () => {
  const controllers = new Controllers(fakeClock());
  controllers.success('cni');
  controllers.failure('ipam', new Error('pool is empty'));
  controllers.failure('ipam', 'text');
  controllers.success('ipam');
  assert.deepEqual(
    controllers
      .list()
      .map(({ name, successCount, failureCount, lastError }) => [name, successCount, failureCount, lastError]),
    [
      ['cni', 1, 0, undefined],
      ['ipam', 1, 2, 'text'],
    ],
  );
  assert.equal(controllers.healthy, 2);
});

test('a run that does not end counts as failing, and no more once it has ended', async () => {
  const clock = fakeClock();
  const controllers = new Controllers(clock);
  const stuck = Promise.withResolvers<void>();
  const job = controllers.start({ name: 'sync', run: () => stuck.promise, intervalMs: 1_000 });
  await clock.advanceAsync(119_000);
  assert.equal(controllers.healthy, 1);
  await clock.advanceAsync(2_000);
  assert.deepEqual(
    [controllers.healthy, controllers.list()[0]?.lastError],
    [0, 'its run does not end, for 121 s already'],
  );
  stuck.resolve();
  await clock.advanceAsync(0);
  assert.deepEqual([controllers.healthy, controllers.list()[0]?.lastError], [1, undefined]);
  await job.stop();
});
