import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeClock, lifecycle, recordingLogger } from './index.ts';

function subject() {
  const log = recordingLogger();
  const clock = fakeClock();
  const events: string[] = [];
  const life = lifecycle({ log, clock, stopTimeoutMs: 1_000 });
  const add = (name: string, more: { start?: () => Promise<void> | void; stop?: () => Promise<void> | void } = {}) =>
    life.add({
      name,
      start: () => {
        events.push(`start ${name}`);
        return more.start?.();
      },
      stop: () => {
        events.push(`stop ${name}`);
        return more.stop?.();
      },
    });
  return { log, clock, events, life, add };
}

test('parts start in order and stop in reverse, once', async () => {
  const { life, add, events } = subject();
  for (const name of ['a', 'b', 'c']) add(name);
  await life.start();
  assert.deepEqual(life.running, ['a', 'b', 'c']);
  await Promise.all([life.stop(), life.stop()]);
  assert.deepEqual(events, ['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
});

test('when a part fails to start, the error names it and those before it are stopped', async () => {
  const { life, add, events } = subject();
  add('a');
  add('b', { start: () => Promise.reject(new Error('no device')) });
  add('c');
  await assert.rejects(life.start(), /^Error: start b: no device$/);
  assert.deepEqual(events, ['start a', 'start b', 'stop a']);
});

test('a part that fails to stop does not keep the others from it', async () => {
  const { life, add, events, log } = subject();
  add('a');
  add('b', {
    stop: () => {
      throw new Error('busy');
    },
  });
  await life.start();
  await life.stop();
  assert.deepEqual(events.slice(-2), ['stop b', 'stop a']);
  assert.ok(log.lines.some(({ level, fields }) => level === 'error' && fields.part === 'b'));
});

test('a part that never stops is left behind', async () => {
  const { life, add, events, clock, log } = subject();
  add('a');
  add('b', { stop: () => new Promise(() => undefined) });
  await life.start();
  const stopped = life.stop();
  await clock.advanceAsync(1_000);
  await stopped;
  assert.equal(events.at(-1), 'stop a');
  assert.ok(log.lines.some(({ message }) => /did not stop in time/.test(message)));
  assert.equal(clock.pendingTimers, 0);
});

test('stopping while a part is starting stops that one, too, and starts no more', async () => {
  const { life, add, events } = subject();
  const gate = Promise.withResolvers<void>();
  add('a', { start: () => gate.promise });
  add('b');
  const started = life.start();
  await life.stop();
  gate.resolve();
  await started;
  assert.deepEqual(events, ['start a', 'stop a']);
});
