import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createKubeClient, parseService, reflector, resources } from './index.ts';
import { FakeApi, FakeStore, sendStatus } from './testing/index.ts';
import {
  eventually,
  impatientClock,
  names,
  service,
  serviceTable,
  reflectServices as start,
} from './testing/reflected-services.ts';

test('the table is filled, then follows additions, changes and deletions', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b'] });
  await reflector.synced();
  assert.equal(names(table), 'a b');
  assert.ok(table.initialized);
  await api.watchesOpen();
  api.store.put('services', service('c'));
  api.store.put('services', service('a', 81));
  api.store.remove('services', 'default/b');
  await until(() => names(table) === 'a c' && table.get('default/a')?.ports[0]?.port === 81);
  assert.equal(reflector.status().lists, 1);
});

test('a kind that the server does not have leaves the table complete and empty, until an upgrade brings it', async (t) => {
  const api = await FakeApi.start();
  api.store.put('services', service('a'));
  api.fault = (_, response) => {
    sendStatus(response, 404, 'NotFound', 'the server could not find the requested resource');
    return true;
  };
  const { table, reflector, until } = await start(t, { apis: [api], optional: true });
  await until(() => reflector.status().absent);
  const { synced, lastError, failures } = reflector.status();
  assert.deepEqual([table.initialized, table.size, synced, lastError, failures], [true, 0, false, undefined, 0]);
  api.fault = undefined;
  await reflector.synced();
  assert.deepEqual([names(table), reflector.status().absent], ['a', false]);
});

test('a kind that is not optional is missed', async (t) => {
  const api = await FakeApi.start();
  api.fault = (_, response) => {
    sendStatus(response, 404, 'NotFound', 'the server could not find the requested resource');
    return true;
  };
  const { table, reflector, until } = await start(t, { apis: [api] });
  await until(() => reflector.status().failures > 0);
  assert.match(reflector.status().lastError ?? '', /could not find/);
  assert.equal(table.initialized, false);
});

test('a deletion while the connection is down is not lost', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b'] });
  await reflector.synced();
  await api.watchesOpen();
  api.fault = (_, response) => {
    response.destroy();
    return true;
  };
  api.cut();
  api.store.remove('services', 'default/b');
  await until(() => reflector.status().failures >= 2);
  api.fault = undefined;
  await until(() => names(table) === 'a');
  assert.equal(reflector.status().lists, 1, 'the watch was resumed, nothing was listed again');
});

test('a deletion during an outage that outlives the history is not lost either', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b', 'c'] });
  await reflector.synced();
  await api.watchesOpen();
  const changes: number[] = [];
  table.subscribe((each) => changes.push(each.length));
  api.fault = (_, response) => {
    response.destroy();
    return true;
  };
  api.cut();
  api.store.remove('services', 'default/a');
  api.store.remove('services', 'default/b');
  api.store.put('services', service('d'));
  api.store.compact();
  api.fault = undefined;
  await until(() => names(table) === 'c d');
  assert.deepEqual(changes, [3], 'the relist replaced the rows in one step');
  assert.equal(reflector.status().lists, 2);
});

test('a connection cut in the middle of an event loses nothing', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.sendRaw('{"type":"ADDED","object":{"metadata":{"name":"half","namesp');
  api.cut();
  api.store.put('services', service('b'));
  await until(() => names(table) === 'a b');
});

test('a watch that the server ends in good order goes on from the same version', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.store.put('services', service('b'));
  await until(() => names(table) === 'a b');
  api.endWatches();
  await until(() => reflector.status().watches === 2);
  await api.watchesOpen();
  api.store.put('services', service('c'));
  await until(() => names(table) === 'a b c');
  assert.equal(reflector.status().failures, 0);
  assert.equal(reflector.status().lists, 1);
});

test('a server that calls every version too old is not listed without pause', async (t) => {
  const { api, reflector, until } = await start(t, { names: ['a'] });
  api.fault = (request, response) => {
    if (request.watch) sendStatus(response, 410, 'Expired', 'too old');
    return request.watch;
  };
  await reflector.synced();
  api.cut();
  await until(() => reflector.status().lists >= 4);
  assert.ok(reflector.status().failures >= 2, 'there was a pause between all but the first two lists');
});

test('a bookmark moves the version on, so that a quiet watch survives compaction', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.store.put('nodes', { metadata: { name: 'other' } });
  api.bookmark();
  api.store.compact();
  api.endWatches();
  await until(() => reflector.status().watches === 2);
  await api.watchesOpen();
  api.store.put('services', service('b'));
  await until(() => names(table) === 'a b');
  assert.equal(reflector.status().lists, 1);
});

test('a watch that falls silent is taken up by a list: the server may have an older state', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b'], limits: { watchIdleMs: 20 } });
  await reflector.synced();
  await api.watchesOpen();
  api.fault = (request, response) => {
    if (!request.watch || reflector.status().lists > 1) return false;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    return true;
  };
  api.cut();
  api.store.remove('services', 'default/b');
  await until(() => names(table) === 'a');
  assert.ok(reflector.status().lists >= 2);
});

test('watches that are never answered are given up for a list, as after a state that was restored', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b'], limits: { headerMs: 30 } });
  await reflector.synced();
  await api.watchesOpen();
  api.fault = (request) => request.watch && reflector.status().lists < 2;
  api.cut();
  api.store.remove('services', 'default/b');
  await until(() => names(table) === 'a');
  assert.ok(reflector.status().watches >= 3);
});

test('after a lost connection a server at an older version is listed anew, before it comes to ours again', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b'] });
  await reflector.synced();
  await api.watchesOpen();
  let asked = 0;
  api.fault = (request, response) => {
    if (request.query.get('limit') !== '1') return false;
    asked += 1;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ kind: 'ServiceList', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: [] }),
    );
    return true;
  };
  api.cut();
  await until(() => reflector.status().lists === 2);
  await until(() => names(table) === 'a b');
  assert.equal(asked, 1);
});

/** How a server of which we lost sight goes on when its Leases at our version were renewed so much after we knew of it. */
async function listsAfterRenewal(t: TestContext, laterMs: number, refusal = 0): Promise<number> {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b'] });
  await reflector.synced();
  await api.watchesOpen();
  const { version } = api.store;
  const asked: (string | null)[] = [];
  api.fault = ({ path, query }, response) => {
    if (!path.endsWith('/leases')) return false;
    asked.push(query.get('resourceVersion'), query.get('resourceVersionMatch'));
    if (refusal > 0)
      sendStatus(response, refusal, { 410: 'Expired', 403: 'Forbidden' }[refusal] ?? 'InternalError', 'no');
    return refusal > 0;
  };
  const renewTime = new Date(Date.now() + laterMs).toISOString();
  api.store.put('leases', { metadata: { namespace: 'kube-system', name: 'apiserver-x' }, spec: { renewTime } });
  api.cut();
  await until(() => reflector.status().failures > 0 && reflector.status().state === 'watching');
  await api.watchesOpen();
  api.store.remove('services', 'default/b');
  await until(() => names(table) === 'a');
  assert.deepEqual(asked.slice(0, 2), [`${version}`, 'Exact']);
  return reflector.status().lists;
}

test('a server with another history, which has come to our version again, is listed anew', async (t) => {
  assert.equal(await listsAfterRenewal(t, 10_000), 2);
});

test('after a lost connection to a server with the same history the watch goes on where it was', async (t) => {
  assert.equal(await listsAfterRenewal(t, -10_000), 1);
});

test('a version that the server does not have any more is listed anew; who may not ask goes on, or gets no answer', async (t) => {
  assert.equal(await listsAfterRenewal(t, -10_000, 410), 2);
  assert.equal(await listsAfterRenewal(t, 10_000, 403), 1);
  assert.equal(await listsAfterRenewal(t, 10_000, 500), 1);
});

test('a history that went back to before us is listed anew', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b'] });
  await reflector.synced();
  await api.watchesOpen();
  api.fault = (request, response) => {
    if (!request.watch || reflector.status().lists > 1) return false;
    sendStatus(response, 504, 'Timeout', 'Too large resource version: 900, current: 100');
    return true;
  };
  api.cut();
  api.store.remove('services', 'default/b');
  await until(() => names(table) === 'a');
  assert.equal(reflector.status().lists, 2);
});

test('an event that is not JSON ends the watch, not the reflector', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.sendRaw('{"type":"ADDED",,}\n');
  await until(() => reflector.status().failures === 1);
  assert.match(reflector.status().lastError ?? '', /not JSON/);
  api.store.put('services', service('b'));
  await until(() => names(table) === 'a b');
});

test('an event that is too large is made up for by a list', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a'], limits: { watchEventBytes: 2_000 } });
  await reflector.synced();
  await api.watchesOpen();
  const huge = service('huge');
  api.store.put('services', { ...huge, status: { pad: 'x'.repeat(10_000) } });
  await until(() => names(table) === 'a huge');
  assert.equal(reflector.status().lists, 2);
});

test('a malformed object is named and the rest goes on', async (t) => {
  const { api, table, reflector, lines, until } = await start(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.store.put('services', service('odd', 70_000));
  api.store.put('services', { metadata: { name: 'nowhere', namespace: '' }, spec: {} });
  api.store.put('services', service('b'));
  await until(() => names(table) === 'a b odd');
  assert.deepEqual(table.get('default/odd')?.problems, ['spec.ports[0].port: 70000 is not a port (1 to 65535)']);
  assert.deepEqual([...reflector.status().problems.keys()].sort(), ['default/odd', 'nowhere']);
  const warned = lines
    .filter(({ level }) => level === 'warn')
    .map(({ fields }) => (fields as { object: string }).object);
  assert.deepEqual(warned.sort(), ['default/odd', 'nowhere']);
  api.store.put('services', service('odd', 70));
  api.store.remove('services', 'nowhere');
  await until(() => reflector.status().problems.size === 0);
});

test('an object that becomes unreadable keeps its last good row, also through a relist, until it is deleted', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a'] });
  await reflector.synced();
  await api.watchesOpen();
  api.store.put('services', { ...service('a'), kind: 'Pod' });
  await until(() => reflector.status().problems.has('default/a'));
  api.store.compact();
  api.store.put('services', service('b'));
  api.sendRaw('{"type":"ERROR","object":{"code":410,"reason":"Expired"}}\n');
  await until(() => reflector.status().lists === 2);
  assert.equal(names(table), 'a b');
  assert.equal(table.get('default/a')?.ports[0]?.port, 80);
  await api.watchesOpen();
  api.store.remove('services', 'default/a');
  await until(() => names(table) === 'b');
});

test('a server that fails (500) is asked again with growing delays, then all is well', async (t) => {
  const store = new FakeStore();
  store.put('services', service('a'));
  const api = await FakeApi.start({ store });
  api.fault = (_, response) => {
    if (api.requests.length > 4) return false;
    sendStatus(response, 500, 'InternalError', 'etcd is away');
    return true;
  };
  const { table, reflector, until } = await start(t, { apis: [api] });
  await until(() => reflector.status().failures > 0);
  assert.equal(reflector.status().synced, false);
  assert.equal(table.initialized, false, 'an empty table that nobody filled is not known');
  await reflector.synced();
  assert.equal(names(table), 'a');
  assert.equal(reflector.status().lastError, undefined);
});

test('no server at start: it waits, and fills the table when one is there', async (t) => {
  const gone = await FakeApi.start();
  const { port, store } = gone;
  await gone.stop();
  store.put('services', service('a'));
  const client = createKubeClient({ servers: [`http://127.0.0.1:${port}`] });
  const table = serviceTable();
  const subject = reflector({
    client,
    resource: resources.services,
    parse: parseService,
    table,
    source: 'services',
    clock: impatientClock,
  });
  subject.start();
  await eventually(() => subject.status().failures >= 2);
  assert.match(subject.status().lastError ?? '', /ECONNREFUSED/);
  const api = await FakeApi.start({ port, store });
  t.after(async () => {
    await subject.stop();
    client.close();
    await api.stop();
  });
  await subject.synced();
  assert.equal(names(table), 'a');
});

test('when a server dies the watch goes on at the next one', async (t) => {
  const store = new FakeStore();
  const first = await FakeApi.start({ store });
  const second = await FakeApi.start({ store });
  const { table, reflector, until } = await start(t, { apis: [first, second], names: ['a', 'b'] });
  await reflector.synced();
  await first.watchesOpen();
  await first.stop();
  store.remove('services', 'default/b');
  store.put('services', service('c'));
  await until(() => names(table) === 'a c');
  assert.equal(second.watchCount, 1);
  assert.equal(reflector.status().lists, 1);
});

test('rows of other sources survive a relist', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const table = serviceTable();
  table.upsert({ ...parseService(service('foreign')), labels: { source: 'file' } });
  const subject = reflector({
    client,
    resource: resources.services,
    parse: parseService,
    table,
    source: 'services',
    owns: (row) => row.labels.source !== 'file',
  });
  t.after(() => subject.stop());
  subject.start();
  await subject.synced();
  assert.equal(names(table), 'foreign');
});

test('stopping before the first list rejects who waits for it, and leaves no timer', async () => {
  using client = createKubeClient({ servers: ['http://127.0.0.1:1'] });
  const subject = reflector({
    client,
    resource: resources.services,
    parse: parseService,
    table: serviceTable(),
    source: 'services',
  });
  subject.start();
  const waiting = assert.rejects(subject.synced(), /stopped before its first list/);
  await subject.stop();
  await waiting;
  assert.equal(subject.status().state, 'stopped');
});

test('changes are counted by what they were, and apart those of objects that cannot be used', async (t) => {
  const { api, table, reflector, until } = await start(t, { names: ['a', 'b'] });
  await reflector.synced();
  await api.watchesOpen();
  api.store.put('services', service('c'));
  api.store.put('services', service('a', 81));
  api.store.put('services', service('odd', 70_000));
  api.store.remove('services', 'default/b');
  await until(() => !names(table).includes('b'));
  const counts = Object.entries(reflector.status().changes).map(([action, { good, bad }]) => [action, good, bad]);
  assert.deepEqual(counts, [
    ['create', 1, 1],
    ['update', 1, 0],
    ['delete', 1, 0],
  ]);
  assert.ok((reflector.status().changes.delete.lastAt ?? 0) > Date.now() - 60_000);
});
