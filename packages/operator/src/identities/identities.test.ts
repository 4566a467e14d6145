import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityCandidates, identityLabels, LabelFilter } from '@sluice/identity';
import { FakeApi, FakeStore, sendStatus } from '@sluice/kube/testing';
import { silentLogger } from '@sluice/runtime';
import { type Operator, type OperatorOptions, startOperator } from '../index.ts';

const kind = 'ciliumidentities';
const rules = { cluster: 'homelab', filter: new LabelFilter() };

function start(api: FakeApi, options: Partial<OperatorOptions> = {}): Operator {
  return startOperator({
    kube: { servers: [api.url] },
    pools: [],
    families: [4],
    services: false,
    externalIps: true,
    nodePortRange: { first: 30_000, last: 32_767 },
    externalIpRules: { allowed: [], apiServers: [] },
    labels: rules,
    identityGarbage: { intervalMs: 0, graceMs: 0 },
    namespace: 'kube-system',
    host: 'k8s-cp1',
    log: silentLogger,
    lan: () => [],
    ...options,
  });
}

function putNamespace(api: FakeApi, name: string, labels: Record<string, string> = {}): void {
  api.store.put('namespaces', { kind: 'Namespace', metadata: { name, labels } });
}

function putPod(api: FakeApi, name: string, labels: Record<string, string>, spec: object = {}): void {
  const metadata = { namespace: 'shop', name, labels };
  api.store.put('pods', { kind: 'Pod', metadata, spec: { nodeName: 'k8s-cp2', ...spec }, status: {} });
}

function labelsOf(labels: Record<string, string>, namespaceLabels: Record<string, string> = {}): string[] {
  return identityLabels({ namespace: 'shop', labels, serviceAccount: '' }, namespaceLabels, rules);
}

function candidateOf(labels: readonly string[], step = 0): string {
  return String([...identityCandidates(labels).take(step + 1)][step]);
}

/** Number to labels, as the store has them. */
function stored(api: FakeApi): Record<string, string> {
  const texts = api.store.list(kind).map((object) => {
    const labels = Object.entries(object['security-labels'] as object).map(([key, value]) => `${key}=${value}`);
    return [(object.metadata as { name: string }).name, labels.sort().join()];
  });
  return Object.fromEntries(texts);
}

function untilStore(api: FakeApi, isWanted: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const watching = api.store.onChange(look);
    look();
    function look(): void {
      if (!isWanted()) return;
      queueMicrotask(() => watching[Symbol.dispose]());
      resolve();
    }
  });
}

const count = (api: FakeApi) => api.store.list(kind).length;

test('the label set of a scheduled pod gets the number that its hash says', async () => {
  await using api = await FakeApi.start();
  putNamespace(api, 'shop', { team: 'a' });
  putPod(api, 'cart-0', { app: 'cart', 'pod-template-hash': 'x' });
  putPod(api, 'cart-1', { app: 'cart', 'pod-template-hash': 'y' });
  putPod(api, 'pending', { app: 'pending' }, { nodeName: '' });
  const operator = start(api);
  await untilStore(api, () => count(api) > 0);
  putPod(api, 'web-0', { app: 'web' });
  await untilStore(api, () => count(api) > 1);
  const [cart, web] = [labelsOf({ app: 'cart' }, { team: 'a' }), labelsOf({ app: 'web' }, { team: 'a' })];
  assert.deepEqual(stored(api), { [candidateOf(cart)]: cart.join(), [candidateOf(web)]: web.join() });
  for (const { metadata } of api.store.list(kind)) {
    assert.deepEqual((metadata as { labels: object }).labels, { 'io.kubernetes.pod.namespace': 'shop' });
  }
  await operator.stop();
});

test('labels that changed, of a pod or of its namespace, get a number of their own at run time', async () => {
  await using api = await FakeApi.start();
  putNamespace(api, 'shop', { team: 'a' });
  putPod(api, 'cart-0', { app: 'cart' });
  const operator = start(api);
  await untilStore(api, () => count(api) === 1);
  putPod(api, 'cart-0', { app: 'cart', tier: 'gold' });
  await untilStore(api, () => count(api) === 2);
  putNamespace(api, 'shop', { team: 'b' });
  await untilStore(api, () => count(api) === 3);
  assert.ok(candidateOf(labelsOf({ app: 'cart', tier: 'gold' }, { team: 'b' })) in stored(api));
  await operator.stop();
});

test('a number that other labels have is left to them, and the next candidate is taken', async () => {
  await using api = await FakeApi.start();
  const labels = labelsOf({ app: 'cart' });
  const [first, second] = [candidateOf(labels), candidateOf(labels, 1)];
  api.store.put(kind, { metadata: { name: first }, 'security-labels': { 'k8s:app': 'other' } });
  putNamespace(api, 'shop');
  putPod(api, 'cart-0', { app: 'cart' });
  const operator = start(api);
  await untilStore(api, () => count(api) === 2);
  assert.deepEqual(stored(api), { [first]: 'k8s:app=other', [second]: labels.join() });
  await operator.stop();
});

test('when somebody was faster with the same number, their labels decide: taken over when they are the same', async () => {
  for (const isSame of [true, false]) {
    await using api = await FakeApi.start();
    const labels = labelsOf({ app: 'cart' });
    const first = candidateOf(labels);
    const theirs = isSame ? labels : ['k8s:app=other'];
    const object = Object.fromEntries(theirs.map((label) => label.split('=') as [string, string]));
    let rival = false;
    api.fault = (request) => {
      // In the moment before our request arrives.
      if (request.method === 'POST' && request.path.endsWith(kind) && !rival) {
        rival = true;
        api.store.put(kind, { metadata: { name: first }, 'security-labels': object });
      }
      return false;
    };
    putNamespace(api, 'shop');
    putPod(api, 'cart-0', { app: 'cart' });
    const operator = start(api);
    await untilStore(api, () => count(api) === (isSame ? 1 : 2));
    const next = { [candidateOf(labels, 1)]: labels.join() };
    assert.deepEqual(stored(api), { [first]: theirs.join(), ...(isSame ? {} : next) });
    await operator.stop();
    assert.equal(count(api), isSame ? 1 : 2);
  }
});

test("the incumbent's identity of the same labels is taken over with its number", async () => {
  await using api = await FakeApi.start();
  const entries = labelsOf({ app: 'cart' }).map((label) => label.split('=') as [string, string]);
  api.store.put(kind, { metadata: { name: '4711' }, 'security-labels': Object.fromEntries(entries) });
  putNamespace(api, 'shop');
  putPod(api, 'cart-0', { app: 'cart' });
  const operator = start(api);
  putPod(api, 'web-0', { app: 'web' });
  await untilStore(api, () => count(api) === 2);
  assert.deepEqual(Object.keys(stored(api)).sort(), ['4711', candidateOf(labelsOf({ app: 'web' }))].sort());
  await operator.stop();
});

test('an identity in use that somebody deletes by hand comes back with its number', async () => {
  await using api = await FakeApi.start();
  putNamespace(api, 'shop');
  putPod(api, 'cart-0', { app: 'cart' });
  const operator = start(api);
  await untilStore(api, () => count(api) === 1);
  const before = stored(api);
  await api.watchesOpen(5);
  api.store.remove(kind, candidateOf(labelsOf({ app: 'cart' })));
  await untilStore(api, () => count(api) === 1);
  assert.deepEqual(stored(api), before);
  await operator.stop();
});

test('an API server that refuses and comes back is survived', async () => {
  await using api = await FakeApi.start();
  putNamespace(api, 'shop');
  for (const app of ['a', 'b', 'c']) putPod(api, app, { app });
  let refusals = 0;
  api.fault = (request, response) => {
    if (request.method !== 'POST' || !request.path.endsWith(kind) || refusals === 4) return false;
    refusals += 1;
    sendStatus(response, 500, 'InternalError', 'etcdserver: request timed out');
    return true;
  };
  const operator = start(api);
  await untilStore(api, () => count(api) === 3);
  assert.equal(refusals, 4);
  await operator.stop();
});

test('a leader that takes over goes on where the one before was, and makes nothing twice', async () => {
  const store = new FakeStore();
  await using one = await FakeApi.start({ store });
  await using two = await FakeApi.start({ store });
  putNamespace(one, 'shop');
  putPod(one, 'cart-0', { app: 'cart' });
  const first = start(one);
  await untilStore(one, () => count(one) === 1);
  const second = start(two);
  await first.stop();
  putPod(one, 'web-0', { app: 'web' });
  await untilStore(one, () => count(one) === 2);
  assert.equal(new Set(Object.values(stored(one))).size, 2);
  assert.equal(second.status().leading, true);
  await second.stop();
});
