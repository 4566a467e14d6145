import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { recordingLogger } from '@sluice/runtime';
import {
  type ApiCall,
  createKubeClient,
  isAlreadyExists,
  isConflict,
  isExpired,
  isNotFound,
  KubeError,
  resources,
} from './index.ts';
import { FakeApi, FakeStore, sendStatus, testCertificates } from './testing/index.ts';
import { eventually } from './testing/reflected-services.ts';

const { services, nodes } = resources;
const service = (name: string, extra: object = {}) => ({ metadata: { name, namespace: 'default' }, ...extra });

function rejectsWith(promise: Promise<unknown>, code: KubeError['code'], message = /./): Promise<void> {
  return assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof KubeError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test('objects are created, read, replaced, patched and deleted', async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const namespace = 'default';
  const created = await client.create(services, service('web'), { namespace });
  assert.equal((created as { kind: string }).kind, 'Service');
  await assert.rejects(client.create(services, service('web'), { namespace }), isAlreadyExists);
  const stale = service('web', { metadata: { name: 'web', namespace, resourceVersion: '1' } });
  await assert.rejects(client.update(services, stale, { namespace, name: 'web' }), isConflict);
  await client.patch(services, { namespace, name: 'web', patch: { metadata: { labels: { a: 'b' } } } });
  const read = (await client.get(services, { namespace, name: 'web' })) as { metadata: { labels: object } };
  assert.deepEqual(read.metadata.labels, { a: 'b' });
  await client.delete(services, { namespace, name: 'web' });
  await assert.rejects(client.get(services, { namespace, name: 'web' }), isNotFound);
});

test('a long list comes in pages, compressed', async () => {
  await using api = await FakeApi.start();
  for (let index = 0; index < 25; index++) api.store.put('services', service(`s${index}`));
  using client = createKubeClient({ servers: [api.url], limits: { listPageItems: 10 } });
  const list = await client.list(services);
  assert.equal(list.items.length, 25);
  assert.equal(list.resourceVersion, `${api.store.version}`);
  assert.equal(api.requests.length, 3);
  assert.equal(api.requests[0]?.headers['accept-encoding'], 'gzip');
});

test('while a page is worked at the next one is asked for, and no more', async () => {
  await using api = await FakeApi.start();
  for (let index = 0; index < 25; index++) api.store.put('services', service(`s${index}`));
  using client = createKubeClient({ servers: [api.url], limits: { listPageItems: 10 } });
  const objects = client.each(services);
  for (let read = 0; read < 10; read++) {
    await objects.next();
    await eventually(() => api.requests.length > 1);
  }
  assert.equal(api.requests.length, 2);
  await objects.return(undefined);
});

test('a page that fails ends the list where it is due, and not who has left before', async () => {
  await using api = await FakeApi.start();
  for (let index = 0; index < 15; index++) api.store.put('services', service(`s${index}`));
  using client = createKubeClient({ servers: [api.url], limits: { listPageItems: 10 } });
  api.fault = (_, response) => {
    if (api.requests.length === 1) return false;
    sendStatus(response, 410, 'Expired', 'too old');
    return true;
  };
  const left = client.each(services);
  await left.next();
  await left.return(undefined);
  await eventually(() => api.requests.length === 2);
  api.requests.length = 0;
  const read: unknown[] = [];
  await assert.rejects(async () => {
    for await (const object of client.each(services)) read.push(object);
  }, isExpired);
  assert.equal(read.length, 10);
});

test('a list whose version is compacted away in the middle starts anew', async () => {
  await using api = await FakeApi.start();
  for (let index = 0; index < 25; index++) api.store.put('services', service(`s${index}`));
  using client = createKubeClient({ servers: [api.url], limits: { listPageItems: 10 } });
  api.fault = (request) => {
    if (api.requests.length === 2) {
      api.store.put('services', service('late'));
      api.store.compact();
    }
    return request.method === 'DELETE';
  };
  assert.equal((await client.list(services)).items.length, 26);
});

test('a list that is compacted away again and again is an error, not a loop', async () => {
  await using api = await FakeApi.start();
  api.fault = (_, response) => {
    sendStatus(response, 410, 'Expired', 'too old');
    return true;
  };
  using client = createKubeClient({ servers: [api.url] });
  await assert.rejects(client.list(services), isExpired);
  assert.equal(api.requests.length, 4);
});

test('a page that is too large is asked for again with fewer objects', async () => {
  await using api = await FakeApi.start();
  for (let index = 0; index < 8; index++)
    api.store.put('nodes', { metadata: { name: `n${index}`, pad: 'x'.repeat(1000) } });
  using client = createKubeClient({ servers: [api.url], limits: { listPageItems: 8, listPageBytes: 4096 } });
  assert.equal((await client.list(nodes)).items.length, 8);
});

test('an answer beyond the limit is refused, also when it is small on the wire', async () => {
  await using api = await FakeApi.start();
  api.store.put('nodes', { metadata: { name: 'n', pad: 'x'.repeat(100_000) } });
  using client = createKubeClient({
    servers: [api.url],
    limits: { listPageItems: 1, listPageBytes: 50_000, objectBytes: 50_000 },
  });
  await rejectsWith(client.list(nodes), 'too-large', /GET \/api\/v1\/nodes: the answer is larger than 50000 bytes/);
  await rejectsWith(client.get(nodes, { name: 'n' }), 'too-large');
});

test('more objects than the limit are refused', async () => {
  await using api = await FakeApi.start();
  for (let index = 0; index < 5; index++) api.store.put('nodes', { metadata: { name: `n${index}` } });
  using client = createKubeClient({ servers: [api.url], limits: { listPageItems: 2, listItems: 3 } });
  await rejectsWith(client.list(nodes), 'too-large', /more than 3 objects/);
});

test('a busy server is asked again after the time that it names', async () => {
  await using api = await FakeApi.start();
  api.store.put('nodes', { metadata: { name: 'n' } });
  api.fault = (_, response) => {
    if (api.requests.length > 2) return false;
    response.setHeader('retry-after', '0');
    sendStatus(response, 429, 'TooManyRequests', 'slow down');
    return true;
  };
  using client = createKubeClient({ servers: [api.url] });
  await client.get(nodes, { name: 'n' });
  assert.equal(api.requests.length, 3);
});

test('a server that stays busy is an error that carries its wish', async () => {
  await using api = await FakeApi.start();
  api.fault = (_, response) => {
    response.setHeader('retry-after', '7');
    sendStatus(response, 429, 'TooManyRequests', 'slow down');
    return true;
  };
  using client = createKubeClient({ servers: [api.url], limits: { busyRetries: 0 } });
  await assert.rejects(client.get(nodes, { name: 'n' }), { status: 429, retryAfterMs: 7000 });
});

test('an error names the request, the reason and the message', async () => {
  await using api = await FakeApi.start();
  api.fault = (_, response) => {
    sendStatus(response, 403, 'Forbidden', 'nodes "n" is forbidden');
    return true;
  };
  using client = createKubeClient({ servers: [api.url] });
  await rejectsWith(
    client.get(nodes, { name: 'n' }),
    'status',
    /^GET \/api\/v1\/nodes\/n: 403 Forbidden: nodes "n" is forbidden$/,
  );
});

test('a warning of the server is told once, with the request', async () => {
  await using api = await FakeApi.start();
  const log = recordingLogger('warn');
  using client = createKubeClient({ servers: [api.url], log });
  api.fault = (_request, response) => {
    response.setHeader('warning', '299 - "v1 Endpoints is deprecated in v1.33+"');
    return false;
  };
  for (const _ of [1, 2]) await client.list(services);
  assert.deepEqual(
    log.lines.map(({ message, fields }) => [message, fields.request, fields.warning]),
    [['the API server warns', 'GET /api/v1/services', '299 - "v1 Endpoints is deprecated in v1.33+"']],
  );
});

test('what is not JSON, or not a list, is malformed', async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  api.fault = (_, response) => {
    response.end('<html>');
    return true;
  };
  await rejectsWith(client.get(nodes, { name: 'n' }), 'malformed', /<html>/);
  api.fault = (_, response) => {
    response.end('{"items":{}}');
    return true;
  };
  await rejectsWith(client.list(nodes), 'malformed', /not a list/);
});

test('a name cannot lead to another path', async () => {
  using client = createKubeClient({ servers: ['http://127.0.0.1:1'] });
  for (const name of ['../pods', '', '.', '..', 'a/b', 'a%2fb']) {
    assert.throws(() => client.get(nodes, { name }), TypeError, name);
  }
});

test('a server that does not answer is a timeout', async () => {
  await using api = await FakeApi.start();
  api.fault = () => new Promise<boolean>(() => undefined);
  using client = createKubeClient({ servers: [api.url], limits: { headerMs: 30 } });
  await rejectsWith(client.get(nodes, { name: 'n' }), 'silent', /no answer within 30 ms/);
});

test('a body that stops in the middle is told as silence', async () => {
  await using api = await FakeApi.start();
  api.fault = (_, response) => {
    response.write('{"kind":');
    return true;
  };
  using client = createKubeClient({ servers: [api.url], limits: { bodyIdleMs: 30 } });
  await rejectsWith(client.get(nodes, { name: 'n' }), 'silent', /silent for 30 ms/);
});

test('a server that accepts but never speaks TLS is a connection timeout', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const { port } = silent.address() as { port: number };
  using client = createKubeClient({ servers: [`https://127.0.0.1:${port}`], limits: { connectMs: 30 } });
  await rejectsWith(client.get(nodes, { name: 'n' }), 'unreachable', /no connection within 30 ms/);
  silent.close();
});

test('a request can be given up', async () => {
  await using api = await FakeApi.start();
  const aborter = new AbortController();
  api.fault = () => {
    aborter.abort();
    return new Promise<boolean>(() => undefined);
  };
  using client = createKubeClient({ servers: [api.url] });
  await rejectsWith(client.get(nodes, { name: 'n', signal: aborter.signal }), 'aborted');
  await rejectsWith(client.get(nodes, { name: 'n', signal: AbortSignal.abort() }), 'aborted');
});

test('when a server is gone, reads and unsent writes go to the next one', async () => {
  const store = new FakeStore();
  store.put('nodes', { metadata: { name: 'n' } });
  await using first = await FakeApi.start({ store });
  await using second = await FakeApi.start({ store });
  using client = createKubeClient({ servers: [first.url, second.url] });
  await client.get(nodes, { name: 'n' });
  assert.equal(first.requests.length, 1);
  await first.stop();
  await client.get(nodes, { name: 'n' });
  await client.create(nodes, { metadata: { name: 'm' } });
  assert.equal(second.requests.length, 2);
  assert.deepEqual(
    client.servers().map(({ usable, current }) => ({ usable, current })),
    [
      { usable: false, current: false },
      { usable: true, current: true },
    ],
  );
});

test('a write that the server may have seen is not repeated', async () => {
  await using first = await FakeApi.start();
  await using second = await FakeApi.start();
  first.fault = (_, response) => {
    response.destroy();
    return true;
  };
  using client = createKubeClient({ servers: [first.url, second.url] });
  await rejectsWith(client.create(nodes, { metadata: { name: 'm' } }), 'unreachable');
  assert.equal(second.requests.length, 0);
});

test('a server that cannot serve (503) is passed over for reads', async () => {
  const store = new FakeStore();
  store.put('nodes', { metadata: { name: 'n' } });
  await using first = await FakeApi.start({ store });
  await using second = await FakeApi.start({ store });
  first.fault = (_, response) => {
    sendStatus(response, 503, 'ServiceUnavailable', 'starting');
    return true;
  };
  using client = createKubeClient({ servers: [first.url, second.url] });
  await client.get(nodes, { name: 'n' });
  assert.equal(second.requests.length, 1);
});

test('the preferred server is used again once it answers', async () => {
  const store = new FakeStore();
  store.put('nodes', { metadata: { name: 'n' } });
  const first = await FakeApi.start({ store });
  const { port } = first;
  await using second = await FakeApi.start({ store });
  using client = createKubeClient({ servers: [first.url, second.url], limits: { probeMs: 5 } });
  await first.stop();
  await client.get(nodes, { name: 'n' });
  await using back = await FakeApi.start({ store, port });
  while (!client.servers()[0]?.usable) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(back.requests.at(-1)?.path, '/readyz');
  await client.get(nodes, { name: 'n' });
  assert.equal(back.requests.at(-1)?.path, '/api/v1/nodes/n');
});

test('no server at all is unreachable, with the reason', async () => {
  const gone = await FakeApi.start();
  await gone.stop();
  using client = createKubeClient({ servers: [`http://127.0.0.1:${1}`] });
  await rejectsWith(client.get(nodes, { name: 'n' }), 'unreachable', /connect to 127\.0\.0\.1:1: .*ECONNREFUSED/);
  assert.throws(() => createKubeClient({ servers: [] }), /k8sServiceHost/);
  assert.throws(() => createKubeClient({ servers: ['10.0.0.1:6443'] }), /10\.0\.0\.1:6443.*is not the address/);
});

test('TLS with a client certificate works, and a stranger is refused', async () => {
  const { ca, serverKey, serverCert, clientKey, clientCert } = testCertificates;
  await using api = await FakeApi.start({ tls: { key: serverKey, cert: serverCert, ca, requestCert: true } });
  api.store.put('nodes', { metadata: { name: 'n' } });
  using client = createKubeClient({ servers: [api.url], ca, cert: clientCert, key: clientKey });
  await client.get(nodes, { name: 'n' });
  await client.get(nodes, { name: 'n' });
  using stranger = createKubeClient({ servers: [api.url] });
  await rejectsWith(stranger.get(nodes, { name: 'n' }), 'unreachable', /unable to verify|self.signed|certificate/);
  using named = createKubeClient({ servers: [api.url], ca, cert: clientCert, key: clientKey, serverName: 'other' });
  await rejectsWith(named.get(nodes, { name: 'n' }), 'unreachable', /other/);
});

test('every call is told with what became of it, by the template of its path; one that the caller ends is not', async () => {
  const calls: ApiCall[] = [];
  const api = await FakeApi.start();
  const { host } = new URL(api.url);
  using client = createKubeClient({ servers: [api.url], onCall: (call) => calls.push(call) });
  api.store.put('services', service('web'));
  await client.get(services, { namespace: 'default', name: 'web' });
  await assert.rejects(client.get(nodes, { name: 'gone' }), isNotFound);
  await assert.rejects(client.get(nodes, { name: 'late', signal: AbortSignal.abort() }));
  await api.stop();
  await assert.rejects(client.get(nodes, { name: 'k8s-cp1' }));
  assert.deepEqual(
    calls.map(({ seconds, ...call }) => call),
    [
      { method: 'GET', host, path: '/api/v1/namespaces/{namespace}/services/{name}', status: 200 },
      { method: 'GET', host, path: '/api/v1/nodes/{name}', status: 404 },
      { method: 'GET', host, path: '/api/v1/nodes/{name}', status: undefined },
    ],
  );
  for (const { seconds } of calls) assert.ok(seconds > 0 && seconds < 5, `${seconds} s`);
});

test("each answer tells how far the server's clock is from ours", async () => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  assert.equal(client.clockAheadMs, undefined);
  api.fault = (_request, response) => {
    response.setHeader('date', new Date(Date.now() - 60_000).toUTCString());
    return false;
  };
  await client.list(services);
  // The server's time comes in whole seconds.
  const ahead = client.clockAheadMs ?? 0;
  assert.ok(ahead >= 59_000 && ahead < 65_000, `${ahead} ms`);
});
