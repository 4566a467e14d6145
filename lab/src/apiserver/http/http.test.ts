import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { JsonObject } from '../object.ts';
import { startTestServer, type TestServer } from '../test-server.ts';

let api: TestServer;
before(async () => {
  api = await startTestServer();
});
after(() => api[Symbol.asyncDispose]());

const configMaps = '/api/v1/namespaces/default/configmaps';

async function create(name: string, labels: Record<string, string> = {}): Promise<string> {
  const { code, body } = await api.call('POST', configMaps, { body: { metadata: { name, labels } } });
  assert.equal(code, 201, JSON.stringify(body));
  return (body.metadata as { resourceVersion: string }).resourceVersion;
}

function statusOf(event: JsonObject | undefined): unknown[] {
  const { code, reason } = (event?.object ?? {}) as JsonObject;
  return [event?.type, code, reason];
}

function nameIn(event: JsonObject | undefined): string {
  const { metadata } = (event?.object ?? {}) as { metadata?: { name?: string } };
  return `${event?.type} ${metadata?.name}`;
}

/** The next lines of a watch; ends it. */
async function take(path: string, count: number, meanwhile?: () => Promise<unknown>): Promise<JsonObject[]> {
  const events: JsonObject[] = [];
  const watch = api.watch(path);
  await meanwhile?.();
  for await (const event of watch) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

test('who shows no certificate gets 401, except for health and version', async () => {
  assert.deepEqual((await api.call('GET', '/api/v1/namespaces', { anonymous: true })).body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'Unauthorized',
    reason: 'Unauthorized',
    code: 401,
  });
  assert.equal((await api.call('GET', '/healthz', { anonymous: true })).code, 200);
  assert.equal((await api.call('GET', '/version', { anonymous: true })).body.major, '1');
});

test('unknown paths, methods, names, media types and bodies are refused as by the real server', async () => {
  const codeOf = async (...args: Parameters<TestServer['call']>) => (await api.call(...args)).code;
  assert.equal(await codeOf('GET', '/apis/nope.io/v1/things'), 404);
  assert.equal(await codeOf('GET', '/api/v1/namespaces/default/pods/p/nope'), 404);
  assert.equal(await codeOf('POST', `${configMaps}/x`), 405);
  assert.equal(await codeOf('POST', configMaps, { body: '{"metadata":' }), 400);
  assert.equal(await codeOf('POST', configMaps, { body: '[]' }), 400);
  assert.equal(await codeOf('POST', configMaps, { body: 'x', headers: { 'content-type': 'text/plain' } }), 415);
  assert.equal(
    await codeOf('PATCH', `${configMaps}/x`, { body: '{}', headers: { 'content-type': 'application/json' } }),
    415,
  );
  assert.equal(await codeOf('POST', configMaps, { body: Buffer.alloc(4 * 1024 * 1024, ' ') }), 413);
  const { body } = await api.call('GET', `${configMaps}/nope`);
  assert.deepEqual([body.message, body.details], ['configmaps "nope" not found', { name: 'nope', kind: 'configmaps' }]);
});

test('damaged protobuf is a bad request, whatever its bytes', async () => {
  const headers = { 'content-type': 'application/vnd.kubernetes.protobuf' };
  for (const tail of ['', '\x0a', '\x0a\xff\xff\xff\xff\x0f', '\x07\x07', '\x0a\x02\x0a\x00']) {
    const { code } = await api.call('POST', configMaps, { body: Buffer.from(`k8s\0${tail}`, 'latin1'), headers });
    assert.equal(code, 400, JSON.stringify(tail));
  }
  assert.equal((await api.call('POST', configMaps, { body: Buffer.from('nope'), headers })).code, 400);
});

test('a list in chunks is of one version, whatever happens between', async () => {
  const list = '/api/v1/namespaces/chunks/configmaps';
  await api.call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'chunks' } } });
  for (const name of ['a', 'b', 'c', 'd', 'e']) await api.call('POST', list, { body: { metadata: { name } } });
  const seen: string[] = [];
  let token = '';
  let version = '';
  do {
    const { body } = await api.call('GET', `${list}?limit=2${token && `&continue=${token}`}`);
    const { metadata, items } = body as {
      metadata: { continue?: string; resourceVersion: string };
      items: { metadata: { name: string } }[];
    };
    seen.push(...items.map((item) => item.metadata.name));
    if (version !== '') assert.equal(metadata.resourceVersion, version);
    version = metadata.resourceVersion;
    token = metadata.continue ?? '';
    await api.call('DELETE', `${list}/d`);
    await api.call('POST', list, { body: { metadata: { name: 'bb' } } });
  } while (token !== '');
  assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'e']);
  assert.equal((await api.call('GET', `${list}?limit=2&continue=bogus`)).code, 400);
});

test('a watch from a version gives every change after it, and DELETED when labels stop matching', async () => {
  const version = await create('w0');
  await create('w1', { in: 'yes' });
  await api.call('PATCH', `${configMaps}/w1`, {
    body: { metadata: { labels: { in: 'no' } } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  await api.call('DELETE', `${configMaps}/w1`);
  const all = await take(`${configMaps}?watch=true&resourceVersion=${version}`, 3);
  assert.deepEqual(all.map(nameIn), ['ADDED w1', 'MODIFIED w1', 'DELETED w1']);
  const some = await take(`${configMaps}?watch=true&resourceVersion=${version}&labelSelector=in%3Dyes`, 2);
  assert.deepEqual(some.map(nameIn), ['ADDED w1', 'DELETED w1']);
});

test('a watch without a version begins with what there is; initial events end with a bookmark', async () => {
  await create('s1');
  const path = `${configMaps}?watch=true&fieldSelector=metadata.name%3Ds1`;
  const events = await take(
    `${path}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    2,
  );
  assert.deepEqual(
    events.map(({ type }) => type),
    ['ADDED', 'BOOKMARK'],
  );
  const { metadata } = (events[1]?.object ?? {}) as { metadata?: { annotations: object } };
  assert.deepEqual(metadata?.annotations, { 'k8s.io/initial-events-end': 'true' });
});

test('a change after the end of a watch whose client reads too slowly harms nobody', async () => {
  const large = 'x'.repeat(900_000);
  for (let i = 0; i < 12; i++) {
    const body = { metadata: { name: `large-${i}` }, data: { large } };
    assert.equal((await api.call('POST', configMaps, { body })).code, 201);
  }
  const watch = api.watch(`${configMaps}?watch=true&timeoutSeconds=1`);
  await watch.next();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await create('after-the-end');
  assert.equal((await api.call('GET', `${configMaps}/after-the-end`)).code, 200);
  await watch.return(undefined);
});

test('a watch ends after its timeout, and one from a forgotten or future version says so', async () => {
  const rest: JsonObject[] = [];
  for await (const event of api.watch(
    `${configMaps}?watch=true&resourceVersion=${api.server.store.resourceVersion}&timeoutSeconds=1`,
  ))
    rest.push(event);
  assert.deepEqual(rest, []);
  const [future] = await take(`${configMaps}?watch=true&resourceVersion=999999`, 1);
  assert.deepEqual(statusOf(future), ['ERROR', 504, 'Timeout']);
  const old = await create('h');
  const metadata = { name: 'h', namespace: 'default' };
  for (let i = 0; i < 2500; i++) api.server.store.update('configmaps', { metadata, data: { i: String(i) } });
  const [event] = await take(`${configMaps}?watch=true&resourceVersion=${old}`, 1);
  assert.deepEqual(statusOf(event), ['ERROR', 410, 'Expired']);
});

test('scale changes replicas only', async () => {
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x' }] } };
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  await api.call('POST', deployments, {
    body: { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template } },
  });
  const { body } = await api.call('PATCH', `${deployments}/d/scale`, {
    body: { spec: { replicas: 4 } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  assert.deepEqual([body.kind, body.spec], ['Scale', { replicas: 4 }]);
  assert.equal(api.server.store.get('deployments.apps', 'd', 'default')?.spec.replicas, 4);
  const negative = await api.call('PUT', `${deployments}/d/scale`, { body: { spec: { replicas: -1 } } });
  assert.equal(negative.code, 422);
});

test('a delete for another uid is a conflict', async () => {
  await create('uid');
  const { code } = await api.call('DELETE', `${configMaps}/uid`, { body: { preconditions: { uid: 'another' } } });
  assert.equal(code, 409);
});

test('a restarted server has its objects, goes on counting versions and keeps its authority', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-api-'));
  try {
    const first = await startTestServer({ directory });
    await first.call('POST', '/api/v1/namespaces/default/services', {
      body: { metadata: { name: 'kept' }, spec: { ports: [{ port: 80 }] } },
    });
    await first.call('POST', configMaps, { body: { metadata: { name: 'gone' } } });
    await first.call('DELETE', `${configMaps}/gone`);
    const version = Number(first.server.store.get('services', 'kept', 'default')?.metadata.resourceVersion);
    const { ca } = first.server;
    await first[Symbol.asyncDispose]();
    await using second = await startTestServer({ directory });
    assert.equal(second.server.ca, ca);
    assert.equal(second.server.store.get('configmaps', 'gone', 'default'), undefined);
    assert.ok(Number(second.server.store.resourceVersion) >= version);
    const other = await second.call('POST', '/api/v1/namespaces/default/services', {
      body: { metadata: { name: 'other' }, spec: { ports: [{ port: 80 }] } },
    });
    assert.notEqual(
      (other.body.spec as JsonObject).clusterIP,
      second.server.store.get('services', 'kept', 'default')?.spec.clusterIP,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
