import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { type Clock, fakeClock, sleep, systemClock } from '@sluice/runtime';
import { seededRandom } from '@sluice/testing';
import { FakeApi, FakeStore, type Fault, sendStatus } from './testing/index.ts';
import { hurriedClock, impatientClock, names, reflectServices, service } from './testing/reflected-services.ts';

/** The real client and the real reflector against a server that does whatever servers and what stands before them do. */

const list = (extra: object) => JSON.stringify({ kind: 'ServiceList', metadata: { resourceVersion: '900' }, ...extra });

/** Longer than any pause, so that recorded delays up to this are pauses. */
const pauseMsMax = 100_000;
/** A busy machine may take ten seconds for an answer, also where a second is a millisecond. */
const longMs = 10_000_000;
const longLimits = { connectMs: longMs, headerMs: longMs, bodyIdleMs: longMs, bodyMs: longMs, quietMs: longMs };

test('429: the status says so at once, and the server is left alone for as long as it asks', async (t) => {
  const delays: number[] = [];
  const clock = recording(impatientClock, delays);
  const api = await FakeApi.start();
  api.fault = (request, response) => {
    if (request.path === '/livez' || api.requests.length > 2) return false;
    response.setHeader('retry-after', '7');
    sendStatus(response, 429, 'TooManyRequests', 'slow down');
    return true;
  };
  const options = { apis: [api], names: ['a'], clock, random: () => 0.5, limits: longLimits };
  const { reflector, until } = await reflectServices(t, options);
  await until(() => reflector.status().state === 'waiting');
  assert.match(reflector.status().lastError ?? '', /429 TooManyRequests: slow down/);
  assert.equal(api.requests.length, 1, 'nobody asks again in the meantime');
  await reflector.synced();
  // What was asked for, and our own on top: 800 and 1600 ms, of which the half is random.
  assert.deepEqual(
    delays.filter((delayMs) => delayMs <= pauseMsMax),
    [7_600, 8_200],
  );
});

test('a busy server that names a date, and one that wants us away for a day', async (t) => {
  const headers = [new Date(Date.now() + 20_000).toUTCString(), '86400'];
  const delays: number[] = [];
  const api = await FakeApi.start();
  api.fault = (request, response) => {
    const header = request.path === '/livez' ? undefined : headers.shift();
    if (header === undefined) return false;
    response.setHeader('retry-after', header);
    sendStatus(response, 503, 'ServiceUnavailable', 'starting');
    return true;
  };
  const clock = recording(impatientClock, delays);
  const { reflector } = await reflectServices(t, { apis: [api], clock, limits: longLimits });
  await reflector.synced();
  const waited = delays.filter((delayMs) => delayMs <= pauseMsMax);
  assert.equal(waited.length, 2, delays.join());
  assert.ok(Number(waited[0]) > 18_000 && Number(waited[0]) < 21_000, 'the date');
  assert.ok(Number(waited[1]) > 60_000 && Number(waited[1]) < 62_000, 'a day is a minute at most');
});

test('500 after 500: the pauses grow to half a minute, and no two nodes have the same ones', async (t) => {
  const pausesOf = async (seed: number) => {
    const delays: number[] = [];
    const api = await FakeApi.start();
    api.fault = (_, response) => {
      sendStatus(response, 500, 'InternalError', 'etcd is away');
      return true;
    };
    const clock = recording(hurriedClock(1_000), delays);
    const { reflector, until } = await reflectServices(t, {
      apis: [api],
      clock,
      random: seededRandom(seed),
      limits: longLimits,
    });
    await until(() => reflector.status().failures >= 9);
    await reflector.stop();
    return delays.filter((delayMs) => delayMs <= pauseMsMax).slice(0, 9);
  };
  const [ours, theirs] = [await pausesOf(1), await pausesOf(2)];
  for (const [index, delayMs] of ours.entries()) {
    const fullMs = Math.min(30_000, 800 * 2 ** index);
    assert.ok(delayMs >= fullMs / 2 && delayMs <= fullMs, `pause ${index} is ${delayMs} of at most ${fullMs}`);
  }
  assert.notDeepEqual(ours, theirs);
});

const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'a page of HTML': (response) => void response.end('<!doctype html><html><body>502 Bad Gateway'),
  'nothing at all': (response) => void response.end(),
  'JSON that breaks off': (response) => void response.end(list({ items: [service('a')] }).slice(0, -20)),
  'a list of numbers': (response) => void response.end(list({ items: [1, 2, 3] })),
  'objects without names': (response) => void response.end(list({ items: [{ spec: {} }] })),
  'items of the wrong type': (response) => void response.end(list({ items: 'all' })),
  'a list without items': (response) => void response.end(list({})),
  'a list of another kind': (response) => void response.end(list({ kind: 'PodList', items: [service('x')] })),
  'a table': (response) => void response.end(list({ kind: 'Table', rows: [] })),
  'a Status with code 200': (response) => void response.end(list({ kind: 'Status', items: [] })),
  'a list without a version': (response) => void response.end('{"kind":"ServiceList","items":[]}'),
  'a version that is a number': (response) =>
    void response.end('{"kind":"ServiceList","metadata":{"resourceVersion":9},"items":[]}'),
  null: (response) => void response.end('null'),
  'bytes that are not gzip': (response) => {
    response.setHeader('content-encoding', 'gzip');
    response.end(list({ items: [] }));
  },
  'a body shorter than it says': (response) => {
    response.setHeader('content-length', '4000');
    response.write(list({ items: [] }));
    setTimeout(() => response.destroy(), 5);
  },
  'a redirect': (response) => {
    response.writeHead(302, { location: 'http://127.0.0.1:1/' });
    response.end();
  },
};

for (const [what, answer] of Object.entries(answers)) {
  test(`a list that is ${what} is told and deletes nothing`, async (t) => {
    const { api, table, reflector, until } = await reflectServices(t, { names: ['a', 'b'] });
    await reflector.synced();
    await api.watchesOpen();
    api.fault = ({ watch }, response) => {
      if (watch) sendStatus(response, 410, 'Expired', 'too old');
      else answer(response);
      return true;
    };
    api.cut();
    api.store.remove('services', 'default/b');
    await until(() => reflector.status().failures >= 3);
    assert.equal(names(table), 'a b');
    assert.notEqual(reflector.status().lastError, undefined);
    api.fault = undefined;
    await until(() => names(table) === 'a');
    assert.equal(reflector.status().lastError, undefined);
  });
}

const event = (type: unknown, object: unknown) => `${JSON.stringify({ type, object })}\n`;
const version = { resourceVersion: '900' };
const lines: Readonly<Record<string, string>> = {
  HTML: '<html>\n',
  'JSON that breaks off in a line': '{"type":"ADDED","object":{"metadata"\n',
  'a list': '[]\n',
  'an event without a type': event(undefined, service('c')),
  'an event of an unknown type': event('UPSERTED', service('c')),
  'an addition of nothing': event('ADDED', null),
  'an addition of a number': event('ADDED', 7),
  'an object without a name': event('MODIFIED', { metadata: { ...version, namespace: 'default' } }),
  'a deletion of nothing': event('DELETED', {}),
  'a deletion of another kind': event('DELETED', {
    kind: 'Pod',
    metadata: { ...version, namespace: 'default', name: 'a' },
  }),
  'an error without a status': event('ERROR', undefined),
};

for (const [what, line] of Object.entries(lines)) {
  test(`${what} in a watch is told, and no change around it is lost`, async (t) => {
    const { api, table, reflector, until } = await reflectServices(t, { names: ['a', 'b'] });
    await reflector.synced();
    await api.watchesOpen();
    api.store.put('services', service('c'));
    api.sendRaw(line);
    api.store.remove('services', 'default/b');
    await until(() => reflector.status().failures >= 1);
    await until(() => names(table) === 'a c' && reflector.status().lastError === undefined);
  });
}

test('a line without an end is cut off after a bounded number of bytes, and a list makes up for it', async (t) => {
  const limits = { watchEventBytes: 64 * 1024 };
  const { api, table, reflector, until } = await reflectServices(t, { names: ['a'], limits });
  await reflector.synced();
  await api.watchesOpen();
  const endless = endlessly('x'.repeat(16 * 1024), '{"type":"ADDED","object":{"metadata":{"name":"');
  api.fault = ({ watch }, response) => watch && endless.answer(response);
  api.cut();
  api.store.put('services', service('b'));
  await until(() => reflector.status().lists >= 2);
  assert.ok(endless.bytesTaken() < 16 * 1024 * 1024, `${endless.bytesTaken()} bytes were taken`);
  await until(() => names(table) === 'a b');
});

test('a list without an end is cut off, asked for again in ever smaller pages, then told', async (t) => {
  const api = await FakeApi.start();
  const endless = endlessly('x'.repeat(16 * 1024), '{"kind":"ServiceList","items":[{"metadata":{"name":"');
  api.fault = ({ path }, response) => path !== '/livez' && endless.answer(response);
  const limits = { listPageBytes: 64 * 1024, objectBytes: 64 * 1024 };
  const { reflector, until } = await reflectServices(t, { apis: [api], limits });
  await until(() => reflector.status().failures >= 1);
  assert.match(reflector.status().lastError ?? '', /larger than 65536 bytes/);
  const sizes = api.requests.filter(({ path }) => path !== '/livez').map(({ query }) => query.get('limit'));
  assert.deepEqual(sizes.slice(0, 5), ['100', '25', '7', '2', '1']);
});

test('pages are as large as the objects in them allow', async (t) => {
  const api = await FakeApi.start();
  const pad = (bytes: number) => ({ status: { pad: 'x'.repeat(bytes) } });
  for (let index = 0; index < 40; index++)
    api.store.put('services', { ...service(`s${index + 100}`), ...pad(index < 20 ? 100 : 20_000) });
  const limits = { listFirstPageItems: 10, listPageItems: 30, listPageBytes: 150_000, listPageBytesWanted: 60_000 };
  const { reflector, table } = await reflectServices(t, { apis: [api], limits });
  await reflector.synced();
  assert.equal(table.size, 40);
  const sizes = api.requests.filter(({ watch }) => !watch).map(({ query }) => query.get('limit'));
  // Ten small ones; twenty, of which ten are large, are too much; from then on by what the last page had.
  assert.deepEqual(sizes, ['10', '20', '5', '10', '5', '2', '2', '2', '2', '2']);
});

test('a list that goes on for ever, page after page without objects, is told', async (t) => {
  const api = await FakeApi.start();
  api.fault = ({ path }, response) => {
    if (path === '/livez') return false;
    const metadata = { resourceVersion: '9', continue: `page${api.requests.length}` };
    response.end(JSON.stringify({ kind: 'ServiceList', metadata, items: [] }));
    return true;
  };
  const { reflector, until } = await reflectServices(t, { apis: [api], limits: { listPages: 20 } });
  await until(() => reflector.status().failures >= 1);
  assert.match(reflector.status().lastError ?? '', /more than 20 pages/);
});

test('a body that drips and never ends is given up', async (t) => {
  const api = await FakeApi.start();
  api.fault = ({ path }, response) => path !== '/livez' && drip(response, ' ');
  const { reflector, until } = await reflectServices(t, { apis: [api], limits: { bodyMs: 50 } });
  await until(() => reflector.status().failures >= 1);
  assert.match(reflector.status().lastError ?? '', /did not end within 50 ms/);
});

test('a watch in which only empty lines come is ended when its time is over', async (t) => {
  const clock = hurriedClock(1_000);
  const limits = { connectMs: 60_000, headerMs: 120_000, bodyMs: 600_000, quietMs: 60_000, pulseMs: 60_000 };
  const { api, table, reflector, until } = await reflectServices(t, { names: ['a'], clock, limits });
  await reflector.synced();
  await api.watchesOpen();
  let dripped = 0;
  api.fault = ({ watch }, response) => {
    if (!watch || dripped++ > 0) return false;
    return drip(response, '\n');
  };
  api.cut();
  await until(() => dripped > 0);
  api.store.put('services', service('b'));
  await until(() => names(table) === 'a b');
  assert.equal(reflector.status().lists, 1);
});

test('a server that stalls shows within half a minute, keeps its rows, and loses nothing when it goes on', async (t) => {
  const clock = fakeClock();
  const { api, table, reflector } = await reflectServices(t, { names: ['a', 'b'], clock });
  const secondsUntil = async (condition: () => boolean) => {
    for (let seconds = 0; ; seconds++) {
      if (condition()) return seconds;
      await clock.advanceAsync(1_000);
      // What goes out has time to go, however busy the machine is: this one second takes as long as it must.
      await sleep(systemClock, 5);
    }
  };
  await reflector.synced();
  await api.watchesOpen();
  api.stall();
  api.store.remove('services', 'default/b');
  const seconds = await secondsUntil(() => reflector.status().lastError !== undefined);
  assert.match(reflector.status().lastError ?? '', /silent for \d+ s, and no answer to a question/);
  assert.ok(seconds >= 9 && seconds < 35, `it showed after ${seconds} s`);
  await secondsUntil(() => reflector.status().failures >= 3);
  assert.equal(names(table), 'a b');
  assert.notEqual(reflector.status().lastError, undefined, 'it still shows');
  api.store.put('services', service('c'));
  api.resume();
  await secondsUntil(() => names(table) === 'a c' && reflector.status().lastError === undefined);
});

test('a server that stalls before its first answer shows, too', async (t) => {
  const api = await FakeApi.start();
  api.stall();
  const { reflector, until } = await reflectServices(t, {
    ...{ apis: [api], names: ['a'], clock: hurriedClock(20) },
    // The connection comes about; only an answer does not.
    limits: { connectMs: longMs },
  });
  await until(() => reflector.status().failures >= 1);
  assert.equal(reflector.status().synced, false);
  assert.match(reflector.status().lastError ?? '', /no answer/);
  api.resume();
  await reflector.synced();
});

/** Long enough for a busy machine to answer, with a clock that goes twenty times as fast. */
const pulseMs = 60_000;

test('when the server that holds the watch stalls, the next one takes over', async (t) => {
  const store = new FakeStore();
  const [first, second] = [await FakeApi.start({ store }), await FakeApi.start({ store })];
  const options = {
    apis: [first, second],
    names: ['a'],
    clock: hurriedClock(20),
    limits: { probeMs: 10_000, pulseMs },
  };
  const { client, table, reflector, until } = await reflectServices(t, options);
  await reflector.synced();
  await first.watchesOpen();
  first.stall();
  store.put('services', service('b'));
  await until(() => names(table) === 'a b');
  assert.equal(second.watchCount, 1);
  assert.equal(reflector.status().lists, 1);
  assert.deepEqual(
    client.servers().map(({ usable }) => usable),
    [false, true],
  );
});

test('a quiet server is asked every ten seconds whether it is there, and its watch is left alone', async (t) => {
  const { api, reflector, until } = await reflectServices(t, {
    names: ['a'],
    clock: hurriedClock(20),
    limits: { pulseMs },
  });
  await reflector.synced();
  await api.watchesOpen();
  const questions = () => api.requests.filter(({ path }) => path === '/livez').length;
  const startedAt = performance.now();
  await until(() => questions() === 4);
  const seconds = ((performance.now() - startedAt) * 20) / 1000;
  assert.ok(seconds >= 38, `four questions within ${seconds} s`);
  assert.deepEqual([reflector.status().watches, reflector.status().failures], [1, 0]);
});

test('a watch that stands again clears the error, although nothing happens in it', async (t) => {
  const { api, reflector, until } = await reflectServices(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.fault = (_, response) => {
    sendStatus(response, 500, 'InternalError', 'etcd is away');
    return true;
  };
  api.cut();
  await until(() => reflector.status().failures >= 2);
  assert.match(reflector.status().lastError ?? '', /etcd is away/);
  api.fault = undefined;
  await until(() => reflector.status().lastError === undefined);
  assert.deepEqual([reflector.status().lists, reflector.status().events], [1, 0]);
});

test('a server too busy for watches is not asked for lists', async (t) => {
  const { api, reflector, until } = await reflectServices(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.fault = ({ watch }, response) => {
    if (watch) sendStatus(response, 429, 'TooManyRequests', 'slow down');
    return watch;
  };
  api.cut();
  await until(() => reflector.status().failures >= 6);
  assert.equal(reflector.status().lists, 1);
});

test('a server that ends each watch at once is told, and polled with growing pauses', async (t) => {
  const { api, table, reflector, until } = await reflectServices(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.fault = ({ watch }, response) => {
    if (watch) response.end();
    return watch;
  };
  api.cut();
  api.store.put('services', service('b'));
  await until(() => /ended at once/.test(reflector.status().lastError ?? ''));
  await until(() => names(table) === 'a b');
});

test('the wall clock may jump as it likes', async (t) => {
  let jumpsMs = 0;
  const jumping = { ...impatientClock, now: () => Date.now() + jumpsMs };
  const { api, table, reflector, until } = await reflectServices(t, { names: ['a'], clock: jumping });
  await reflector.synced();
  await api.watchesOpen();
  for (const [index, years] of [30, -56, 8_000, -8_000, 0].entries()) {
    jumpsMs = years * 365 * 86_400_000;
    api.cut();
    api.store.put('services', service(`b${index}`));
    await until(() => table.has(`default/b${index}`));
  }
  assert.equal(reflector.status().lists, 1);
});

const hours: readonly Fault[] = [
  (_, response) => {
    sendStatus(response, 500, 'InternalError', 'etcd is away');
    return true;
  },
  (_, response) => {
    response.setHeader('retry-after', '1');
    sendStatus(response, 429, 'TooManyRequests', 'slow down');
    return true;
  },
  (_, response) => !!response.end('<html>'),
  (_, response) => !!response.destroy(),
  ({ watch }, response) => watch && !!response.end('{"type":"ERROR","object":{"code":410,"reason":"Expired"}}\n'),
  ({ watch }, response) => !watch && !!response.end(list({ kind: 'PodList', items: [] })),
];

for (const seed of [1, 2, 3]) {
  test(`a storm of faults while objects come and go ends with the truth, and what stays is never gone (${seed})`, async (t) => {
    const random = seededRandom(seed);
    const upTo = (count: number) => Math.floor(random() * count);
    const staying = ['stay0', 'stay1'];
    const { api, table, reflector, until } = await reflectServices(t, { names: staying, random });
    await reflector.synced();
    const vanished: string[] = [];
    table.subscribe((changes) => {
      for (const { key, after } of changes) if (!after && key.startsWith('default/stay')) vanished.push(key);
    });
    const deeds: readonly (() => void)[] = [
      () => void api.store.put('services', service(`s${upTo(20)}`, 1 + upTo(60_000))),
      () => void api.store.put('services', service(`s${upTo(20)}`, 1 + upTo(60_000))),
      () => void api.store.remove('services', `default/s${upTo(20)}`),
      () => api.store.compact(),
      () => api.cut(),
      () => api.endWatches(),
      () => api.bookmark(),
      () => api.stall(),
      () => api.resume(),
      () => api.sendRaw('{"type":"ADDED","object":{"metadata":{"name":"half'),
      () => api.sendRaw('\0\xff garbage\n'),
      () => {
        api.fault = hours[upTo(hours.length)];
      },
      () => {
        api.fault = undefined;
      },
    ];
    // On a busy machine fewer faults fall into the same number of steps.
    const isStorm = () => reflector.status().failures >= 10 && reflector.status().lists >= 3;
    for (let step = 0; step < 400 || (step < 10_000 && !isStorm()); step++) {
      deeds[upTo(deeds.length)]?.();
      await sleep(systemClock, 3);
    }
    api.fault = undefined;
    api.resume();
    const wanted = () =>
      names(table) ===
      api.store
        .list('services')
        .map((object) => (object.metadata as { name: string }).name)
        .sort()
        .join(' ');
    await until(wanted);
    await until(() => reflector.status().lastError === undefined);
    for (const object of api.store.list('services')) {
      const { metadata, spec } = object as { metadata: { name: string }; spec: { ports: { port: number }[] } };
      await until(() => table.get(`default/${metadata.name}`)?.ports[0]?.port === spec.ports[0]?.port);
    }
    assert.deepEqual(vanished, []);
    assert.ok(isStorm());
  });
}

/** The same clock, that notes each pause it is asked for. */
function recording(clock: Clock, delays: number[]): Clock {
  return {
    ...clock,
    setTimeout(callback, delayMs) {
      delays.push(delayMs);
      return clock.setTimeout(callback, delayMs);
    },
  };
}

/** Answers that never end: as many bytes as the client takes. */
function endlessly(text: string, start: string) {
  let bytes = 0;
  return {
    bytesTaken: () => bytes,
    answer(response: ServerResponse): boolean {
      response.write(start);
      const pour = () => {
        do bytes += text.length;
        while (!response.destroyed && response.write(text));
      };
      response.on('drain', pour);
      pour();
      return true;
    },
  };
}

function drip(response: ServerResponse, text: string): boolean {
  const timer = setInterval(() => response.write(text), 3);
  response.on('close', () => clearInterval(timer));
  return true;
}
