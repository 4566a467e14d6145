import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeClock } from '@sluice/runtime';
import { Controllers } from '@sluice/state';
import { type EventRecorder, type RecordedEvent, type Trouble, tellTroubles } from './index.ts';

const trouble = (name: string, message = 'not served yet'): Trouble => ({
  object: { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name },
  reason: 'NotServed',
  message,
});

async function telling(t: { after(run: () => unknown): void }, takes: () => boolean = () => true) {
  const clock = fakeClock();
  const told: string[] = [];
  const recorder: EventRecorder = {
    offer: ({ object, type, message }: RecordedEvent) => {
      if (!takes()) return false;
      told.push(`${type} ${object.name}: ${message}`);
      return true;
    },
    record: () => assert.fail('troubles can wait'),
    dropped: 0,
    problem: undefined,
    flush: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
  const troubles: Trouble[] = [];
  const controllers = new Controllers(clock);
  const controller = tellTroubles({ name: 'object-events', find: () => troubles, recorder, controllers, clock });
  t.after(() => controller.stop());
  return { clock, told, troubles, controllers };
}

test('a trouble is told once, and every half hour as long as it lasts', async (t) => {
  const { clock, told, troubles } = await telling(t);
  troubles.push(trouble('web'));
  await clock.advanceAsync(60_000);
  assert.deepEqual(told, ['Warning web: not served yet']);
  await clock.advanceAsync(1_800_000);
  assert.equal(told.length, 2);
  troubles.length = 0;
  await clock.advanceAsync(3_600_000);
  assert.equal(told.length, 2);
});

test('a trouble that comes and goes is told as often as one that stays; another message is another trouble', async (t) => {
  const { clock, told, troubles } = await telling(t);
  for (let round = 0; round < 20; round++) {
    troubles.push(trouble('web'));
    await clock.advanceAsync(5_000);
    troubles.length = 0;
    await clock.advanceAsync(5_000);
  }
  assert.equal(told.length, 1);
  troubles.push(trouble('web', 'port 0'));
  await clock.advanceAsync(5_000);
  assert.equal(told.length, 2);
});

test('what the recorder does not take is told later, and does not stand before others', async (t) => {
  let takes = false;
  const { clock, told, troubles } = await telling(t, () => {
    takes = !takes;
    return !takes;
  });
  troubles.push(trouble('a'), trouble('b'));
  await clock.advanceAsync(20_000);
  assert.deepEqual(told.sort(), ['Warning a: not served yet', 'Warning b: not served yet']);
});

test('a look that fails is counted, and the next one comes', async (t) => {
  const clock = fakeClock();
  const controllers = new Controllers(clock);
  const recorder = { offer: () => true } as unknown as EventRecorder;
  let looks = 0;
  const find = () => {
    if (++looks === 1) throw new Error('boom');
    return [];
  };
  const controller = tellTroubles({ name: 'object-events', find, recorder, controllers, clock });
  t.after(() => controller.stop());
  await clock.advanceAsync(20_000);
  const [status] = controllers.list();
  assert.deepEqual([status?.lastError, status?.consecutiveFailures], ['boom', 0]);
});
