import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeClock } from '@sluice/runtime';
import { createKubeClient, eventRecorder } from './index.ts';
import { FakeApi, sendStatus } from './testing/index.ts';

const object = { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: 'u' };
const warning = (message: string) => ({ object, type: 'Warning' as const, reason: 'InvalidPort', message });

test('the same event again raises its count, another one is new', async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const recorder = eventRecorder({ client, component: 'sluice-agent', host: 'n1' });
  recorder.record(warning('port 0'));
  recorder.record(warning('port 0'));
  recorder.record(warning('port 1'));
  await recorder.flush();
  const events = api.store.list('events') as {
    count: number;
    message: string;
    involvedObject: object;
    source: object;
  }[];
  assert.deepEqual(events.map(({ message, count }) => `${message}: ${count}`).sort(), ['port 0: 2', 'port 1: 1']);
  assert.deepEqual(events[0]?.involvedObject, object);
  assert.deepEqual(events[0]?.source, { component: 'sluice-agent', host: 'n1' });
});

test('an event whose first one has expired is written anew', async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const recorder = eventRecorder({ client, component: 'c', host: 'h' });
  recorder.record(warning('a'));
  await recorder.flush();
  const { name } = (api.store.list('events')[0]?.metadata ?? {}) as { name: string };
  api.store.remove('events', `shop/${name}`);
  recorder.record(warning('a'));
  await recorder.flush();
  assert.equal(api.store.list('events').length, 1);
});

test('an object gets 25 events at once, then one in five minutes', async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const clock = fakeClock();
  const recorder = eventRecorder({ client, component: 'c', host: 'h', clock });
  for (let index = 0; index < 30; index++) recorder.record(warning(`m${index}`));
  assert.equal(recorder.dropped, 5);
  clock.advance(300_000);
  recorder.record(warning('later'));
  recorder.record(warning('too much'));
  await recorder.flush();
  assert.equal(recorder.dropped, 6);
  assert.equal(api.store.list('events').length, 26);
});

test('a refused event is dropped, and stopping does not wait for the rest', async () => {
  await using api = await FakeApi.start();
  api.fault = (_, response) => {
    sendStatus(response, 403, 'Forbidden', 'no');
    return true;
  };
  using client = createKubeClient({ servers: [api.url] });
  const recorder = eventRecorder({ client, component: 'c', host: 'h' });
  recorder.record(warning('a'));
  await recorder.flush();
  assert.equal(recorder.dropped, 1);
  api.fault = () => new Promise<boolean>(() => undefined);
  recorder.record(warning('b'));
  recorder.record(warning('c'));
  await recorder.stop();
  assert.equal(recorder.dropped, 3);
  recorder.record(warning('d'));
  assert.equal(recorder.dropped, 4);
});
