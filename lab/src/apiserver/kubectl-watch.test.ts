import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { startTestKubectl, type TestKubectl } from './test-kubectl.ts';

/** The real kubectl of Kubernetes 1.35: watches, bookmarks, and what comes after the history is cut. */

const historyMax = 10;
let tool: TestKubectl;

before(async () => {
  tool = await startTestKubectl({ historyMax });
  for (const name of ['a', 'b', 'c']) await kubectl(['create', 'configmap', name]);
});

after(() => tool[Symbol.asyncDispose]());

const kubectl = (args: readonly string[], stdin?: string) => tool.kubectl(args, stdin);
const refused = (args: readonly string[], stdin?: string) => tool.refused(args, stdin);
const path = '/api/v1/namespaces/default/configmaps';
const raw = (query: string) => kubectl(['get', '--raw', `${path}?${query}`]);
const version = () => tool.api.server.store.resourceVersion;
const eventsOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** More writes of config maps than the history keeps. */
function writeMany(): void {
  for (let count = 0; count < historyMax * 3; count++)
    tool.api.server.store.modify('configmaps', { name: 'a', namespace: 'default' }, (draft) => {
      Object.assign(draft, { data: { count: `${version()} ${count}` } });
    });
}

test('a watch from a version that the history no longer has is told 410 Expired and ends', async () => {
  const old = version();
  writeMany();
  const [event, ...more] = eventsOf(await raw(`watch=true&resourceVersion=${old}&timeoutSeconds=30`));
  assert.deepEqual(more, []);
  const { message, ...status } = event.object;
  assert.equal(event.type, 'ERROR');
  assert.deepEqual(status, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    reason: 'Expired',
    code: 410,
  });
  assert.match(message, new RegExp(`^too old resource version: ${old} \\(\\d+\\)$`));
});

test('a watch within the history gives every change since; one of another kind is not cut by these', async () => {
  const [before, other] = [version(), version()];
  await kubectl(['create', 'configmap', 'd']);
  await kubectl(['delete', 'configmap', 'd']);
  const events = eventsOf(await raw(`watch=true&resourceVersion=${before}&timeoutSeconds=1`));
  assert.deepEqual(
    events.map(({ type, object }) => `${type} ${object.metadata.name}`),
    ['ADDED d', 'DELETED d'],
  );
  writeMany();
  const secrets = await kubectl([
    'get',
    '--raw',
    `/api/v1/secrets?watch=true&resourceVersion=${other}&timeoutSeconds=1`,
  ]);
  assert.equal(secrets, '');
});

test('a list in chunks whose version is cut away between two of them is told 410', async () => {
  const { metadata } = JSON.parse(await raw('limit=1'));
  const next = `limit=1&continue=${encodeURIComponent(metadata.continue)}`;
  assert.equal(JSON.parse(await raw(next)).metadata.resourceVersion, metadata.resourceVersion);
  writeMany();
  assert.match(await refused(['get', '--raw', `${path}?${next}`]), /The provided continue parameter is too old/);
  assert.match(
    await kubectl(['get', 'configmaps', '--chunk-size=1', '-o', 'name']),
    /configmap\/a\nconfigmap\/b\nconfigmap\/c\n/,
  );
});

test('a quiet watch ends with a bookmark of the newest version, from which the next one goes on', async () => {
  const from = version();
  const bookmarked = raw(`watch=true&allowWatchBookmarks=true&resourceVersion=${from}&timeoutSeconds=1`);
  tool.api.server.store.create('secrets', { metadata: { name: 's', namespace: 'default' } });
  const newest = version();
  const events = eventsOf(await bookmarked);
  assert.deepEqual(
    events.map(({ type, object }) => [type, object.kind, object.metadata.resourceVersion]),
    [['BOOKMARK', 'ConfigMap', newest]],
  );
  await kubectl(['label', 'configmap', 'b', 'x=y']);
  const after = eventsOf(await raw(`watch=true&resourceVersion=${newest}&timeoutSeconds=1`));
  assert.deepEqual(
    after.map(({ type, object }) => `${type} ${object.metadata.name}`),
    ['MODIFIED b'],
  );
});

test('get --watch prints every change, also more of them than the history keeps', async () => {
  const { child } = tool.start([
    'get',
    'configmaps',
    '--watch-only',
    '--no-headers',
    '-o',
    'jsonpath={.data.count}{"\\n"}',
  ]);
  assert.ok(child.stdout);
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const seen = lines.next();
    // The watch is open when the first of these changes is printed.
    const knock = setInterval(() => {
      tool.api.server.store.modify('configmaps', { name: 'c', namespace: 'default' }, (draft) => {
        Object.assign(draft, { data: { count: `knock ${version()}` } });
      });
    }, 50);
    assert.match(String((await seen).value), /^knock/);
    clearInterval(knock);
    writeMany();
    for (let count = 0; count < historyMax * 3; ) {
      const { value, done } = await lines.next();
      assert.ok(!done);
      if (String(value).startsWith('knock')) continue;
      assert.match(String(value), new RegExp(` ${count}$`));
      count++;
    }
  } finally {
    child.kill();
  }
});
