import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeClock } from '@sluice/runtime';
import { createKubeClient, eventRecorder } from './index.ts';
import { FakeApi, sendStatus } from './testing/index.ts';
import { hurriedClock, impatientClock } from './testing/reflected-services.ts';

const object = { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: 'u' };
const warning = (message: string) => ({ object, type: 'Warning' as const, reason: 'InvalidPort', message });

const countsOf = (api: FakeApi) =>
  api.store
    .list('events')
    .map(({ count }) => Number(count))
    .sort((a, b) => a - b);

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
  for (let index = 0; index < 30; index++) recorder.record(warning('port 0'));
  assert.equal(recorder.dropped, 5);
  clock.advance(300_000);
  assert.equal(recorder.offer(warning('port 0')), true);
  assert.equal(recorder.offer(warning('port 0')), false);
  await recorder.flush();
  assert.equal(recorder.dropped, 5, 'what is only offered is not dropped');
  assert.deepEqual(countsOf(api), [26]);
});

test('of more than ten messages for one reason the rest become one event', async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const recorder = eventRecorder({ client, component: 'c', host: 'h' });
  for (let index = 0; index < 15; index++) recorder.record(warning(`port ${index}`));
  await recorder.flush();
  const events = api.store.list('events') as unknown as { count: number; message: string }[];
  assert.equal(events.length, 11);
  const combined = events.filter(({ message }) => message.startsWith('(combined from similar events): '));
  assert.deepEqual(
    combined.map(({ message, count }) => [message, count]),
    [['(combined from similar events): port 14', 5]],
  );
});

test('a cause that concerns everything writes a hundred events, then one a second', async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const clock = fakeClock();
  const recorder = eventRecorder({ client, component: 'c', host: 'h', clock });
  const about = (index: number) => recorder.offer({ ...warning('full'), object: { ...object, name: `s${index}` } });
  const taken = Array.from({ length: 150 }, (_, index) => about(index));
  assert.equal(taken.filter(Boolean).length, 100);
  clock.advance(3_000);
  assert.deepEqual([150, 151, 152, 153].map(about), [true, true, true, false]);
  await recorder.flush();
  assert.equal(api.store.list('events').length, 103);
});

test('a new process raises the count of what the earlier one has written', async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  for (let process = 0; process < 3; process++) {
    const recorder = eventRecorder({ client, component: 'c', host: 'h' });
    recorder.record(warning('port 0'));
    recorder.record(warning('port 0'));
    await recorder.flush();
    await recorder.stop();
  }
  assert.deepEqual(countsOf(api), [6]);
  const other = eventRecorder({ client, component: 'c', host: 'another' });
  other.record(warning('port 0'));
  await other.flush();
  assert.deepEqual(countsOf(api), [1, 6], 'each node has its own');
});

test('while the API server is away events wait, the same ones as one, and all are written when it is back', async () => {
  await using api = await FakeApi.start();
  api.fault = (_, response) => {
    sendStatus(response, 503, 'ServiceUnavailable', 'away');
    return true;
  };
  using client = createKubeClient({ servers: [api.url] });
  const recorder = eventRecorder({ client, component: 'c', host: 'h', clock: impatientClock });
  for (let index = 0; index < 4; index++) recorder.record(warning('port 0'));
  recorder.record(warning('port 1'));
  while (api.requests.length < 4) await new Promise((resolve) => setTimeout(resolve, 2));
  recorder.record(warning('port 0'));
  api.fault = undefined;
  await recorder.flush();
  assert.deepEqual(countsOf(api), [1, 5]);
  assert.equal(recorder.dropped, 0);
});

test('an event that nobody takes for an hour is given up', async () => {
  await using api = await FakeApi.start();
  api.fault = (_, response) => {
    sendStatus(response, 500, 'InternalError', 'away');
    return true;
  };
  using client = createKubeClient({ servers: [api.url] });
  const clock = hurriedClock(20_000);
  const recorder = eventRecorder({ client, component: 'c', host: 'h', clock });
  recorder.record(warning('port 0'));
  // An hour of this clock is 180 ms.
  await recorder.flush();
  assert.equal(recorder.dropped, 1);
});

test('a right that is lacked is told until it is given, or for ten minutes; a namespace on its way out is nobody’s fault', async () => {
  await using api = await FakeApi.start();
  let refusal = 'namespaces "shop" is forbidden: it is being terminated';
  api.fault = (_, response) => {
    if (refusal !== '') sendStatus(response, 403, 'Forbidden', refusal);
    return refusal !== '';
  };
  using client = createKubeClient({ servers: [api.url] });
  const clock = fakeClock();
  const recorder = eventRecorder({ client, component: 'c', host: 'h', clock });
  const written = async (message: string) => {
    recorder.record(warning(message));
    await recorder.flush();
    return recorder.problem;
  };
  assert.equal(await written('a'), undefined);
  refusal = 'events is forbidden: cannot create';
  assert.match((await written('b')) ?? '', /events is forbidden: cannot create/);
  clock.advance(600_000);
  assert.equal(recorder.problem, undefined);
  assert.match((await written('c')) ?? '', /cannot create/);
  refusal = '';
  assert.equal(await written('d'), undefined);
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
