import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff, clockApart, fakeClock, sleep, systemClock } from './index.ts';

test('timers of a fake clock fire in order of their time, and see that time', () => {
  const clock = fakeClock(0);
  const fired: string[] = [];
  clock.setTimeout(() => fired.push(`b ${clock.now()}`), 20);
  clock.setTimeout(() => {
    fired.push(`a ${clock.now()}`);
    clock.setTimeout(() => fired.push(`c ${clock.now()}`), 5);
  }, 10);
  clock.setTimeout(() => fired.push('never'), 15).cancel();
  clock.advance(30);
  assert.deepEqual(fired, ['a 10', 'c 15', 'b 20']);
  assert.deepEqual([clock.now(), clock.pendingTimers], [30, 0]);
});

test('advanceAsync lets promises run between timers', async () => {
  const clock = fakeClock();
  const steps: number[] = [];
  const run = async () => {
    for (let step = 0; step < 3; step++) {
      await sleep(clock, 10);
      steps.push(step);
    }
  };
  const done = run();
  await clock.advanceAsync(30);
  assert.deepEqual(steps, [0, 1, 2]);
  await done;
});

test('sleep ends early when its signal is aborted, and leaves no timer', async () => {
  const clock = fakeClock();
  const aborter = new AbortController();
  const slept = sleep(clock, 60_000, aborter.signal);
  assert.equal(clock.pendingTimers, 1);
  aborter.abort();
  await slept;
  assert.equal(clock.pendingTimers, 0);
  await sleep(clock, 60_000, AbortSignal.abort());
});

test('a delay longer than Node can count does not fire at once', () => {
  let fired = false;
  using _ = systemClock.setTimeout(() => {
    fired = true;
  }, 2 ** 40);
  assert.equal(fired, false);
});

test('without a delay it fires in this turn of the event loop, unless it is cancelled', async () => {
  const fired: string[] = [];
  systemClock.setTimeout(() => fired.push('timer'), 0);
  systemClock.setTimeout(() => fired.push('never'), 0).cancel();
  setImmediate(() => fired.push('immediate'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(fired, ['timer', 'immediate']);
});

test('backoff grows to its maximum and begins anew', () => {
  const delays = backoff({ minMs: 100, maxMs: 1_000, jitter: 0 });
  assert.deepEqual(
    [delays.next(), delays.next(), delays.next(), delays.next(), delays.next()],
    [100, 200, 400, 800, 1000],
  );
  assert.equal(delays.attempts, 5);
  delays.reset();
  assert.equal(delays.next(), 100);
  for (let attempt = 0; attempt < 5_000; attempt++) delays.next();
  assert.equal(delays.next(), 1_000, 'also after so many attempts that the power overflows');
});

test('jitter takes away up to its share', () => {
  assert.equal(backoff({ minMs: 100, jitter: 0.5, random: () => 0 }).next(), 100);
  assert.equal(backoff({ minMs: 100, jitter: 0.5, random: () => 1 }).next(), 50);
});

test('clocks are apart from five seconds on, which of them is ahead is told', () => {
  assert.deepEqual([61_400, -7_000, 4_999, 0].map(clockApart), ['61 s ahead of', '7 s behind', undefined, undefined]);
});
