import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityLabels, LabelFilter, podLabels } from '@sluice/identity';
import { createKubeClient, parseCiliumEndpointSlice, parseCiliumIdentity } from '@sluice/kube';
import { FakeApi } from '@sluice/kube/testing';
import { fakeClock, silentLogger } from '@sluice/runtime';
import { watchCluster } from '../cluster.ts';
import { IdentityGarbage } from './garbage.ts';
import { IdentityObjects } from './identity-objects.ts';
import { WantedIdentities } from './wanted-identities.ts';

const graceMs = 30 * 60_000;
const kind = 'ciliumidentities';
const rules = { cluster: 'homelab', filter: new LabelFilter() };
const cart = { namespace: 'shop', labels: { app: 'cart' }, serviceAccount: '' };

/** A collector whose view of the cluster is written by hand, before an API server that it changes. */
async function laboratory() {
  const api = await FakeApi.start();
  const client = createKubeClient({ servers: [api.url] });
  const clock = fakeClock();
  const cluster = watchCluster({ client, rules, namespace: 'kube-system', log: silentLogger, clock });
  const { identities, namespaces, pods, slices, labelSets } = cluster;
  namespaces.upsert({ name: 'shop', uid: 'n', labels: {}, problems: [] });
  const wanted = new WantedIdentities({ pods, namespaces, labelSets, rules });
  const objects = new IdentityObjects(client);
  const collector = () =>
    new IdentityGarbage({ wanted, identities, slices, objects, graceMs, clock, log: silentLogger });
  const signal = new AbortController().signal;
  let garbage = collector();
  return {
    api,
    clock,
    pods,
    identity(id: number) {
      const entries = identityLabels(cart, {}, rules).map((label) => label.split('=') as [string, string]);
      const object = { metadata: { name: String(id) }, 'security-labels': Object.fromEntries(entries) };
      identities.upsert(identities.read(parseCiliumIdentity(api.store.put(kind, object))));
    },
    pod: (name: string) =>
      pods.upsert({
        namespace: 'shop',
        name,
        labels: labelSets.of(podLabels(cart, rules)),
        agent: undefined,
        problems: [],
      }),
    publish(id: number) {
      const endpoints = [{ name: 'cart-0', id, networking: { addressing: [{ ipv4: '10.0.0.1' }] } }];
      slices.upsert(parseCiliumEndpointSlice({ metadata: { name: 's' }, endpoints }));
    },
    unpublish: () => slices.delete('s'),
    restart() {
      garbage = collector();
    },
    async round(minutes = 15) {
      clock.advance(minutes * 60_000);
      await garbage.round(signal);
      return api.store.list(kind).map((object) => {
        const metadata = object.metadata as { name: string; annotations?: Record<string, string> };
        return metadata.annotations?.['sluice.io/unused-since'] ? `${metadata.name} marked` : metadata.name;
      });
    },
    [Symbol.asyncDispose]: async () => {
      wanted[Symbol.dispose]();
      client.close();
      await api.stop();
    },
  };
}

test('an identity that nobody uses is marked first and deleted after the grace', async () => {
  await using lab = await laboratory();
  lab.identity(300);
  assert.deepEqual(await lab.round(), ['300 marked']);
  assert.deepEqual(await lab.round(), ['300 marked']);
  assert.deepEqual(await lab.round(), []);
});

test('an identity that a pod or a published endpoint has stays, however long', async () => {
  await using lab = await laboratory();
  lab.identity(300);
  lab.pod('cart-0');
  for (let round = 0; round < 5; round += 1) assert.deepEqual(await lab.round(60), ['300']);
  lab.publish(300);
  lab.pods.delete('shop/cart-0');
  for (let round = 0; round < 5; round += 1) assert.deepEqual(await lab.round(60), ['300']);
  lab.unpublish();
  assert.deepEqual(await lab.round(60), ['300 marked']);
});

test('an identity that is wanted again within the grace loses its mark', async () => {
  await using lab = await laboratory();
  lab.identity(300);
  assert.deepEqual(await lab.round(), ['300 marked']);
  lab.pod('cart-0');
  assert.deepEqual(await lab.round(), ['300']);
});

test('a leader that takes over knows since when, but believes it only after a look of its own', async () => {
  await using lab = await laboratory();
  lab.identity(300);
  await lab.round();
  lab.restart();
  assert.deepEqual(await lab.round(60), ['300 marked'], 'its first look');
  assert.deepEqual(await lab.round(1), []);
});

test('of two numbers for the same labels the one that no endpoint has goes', async () => {
  await using lab = await laboratory();
  lab.identity(300);
  lab.identity(301);
  lab.pod('cart-0');
  lab.publish(301);
  for (let round = 0; round < 4; round += 1) assert.deepEqual(await lab.round(), ['300', '301']);
  lab.unpublish();
  for (let round = 0; round < 3; round += 1) await lab.round();
  assert.deepEqual(await lab.round(), ['300']);
});

test('a mark that somebody took away, and an object that changed on the way, are left alone', async () => {
  await using lab = await laboratory();
  lab.identity(300);
  await lab.round();
  await lab.round();
  const object = lab.api.store.get(kind, '300');
  lab.api.store.put(kind, { ...object, metadata: { name: '300' } });
  assert.deepEqual(await lab.round(), ['300'], 'the mark is gone at the server');
});

test('a pod that comes while the mark is on its way takes it away at once', async () => {
  await using lab = await laboratory();
  lab.identity(300);
  lab.api.fault = (request) => {
    if (request.method === 'PATCH') lab.pod('cart-0');
    return false;
  };
  assert.deepEqual(await lab.round(), ['300']);
});

test('a pod that comes while the deletion is on its way stops it', async () => {
  await using lab = await laboratory();
  lab.identity(300);
  await lab.round();
  await lab.round();
  lab.api.fault = (request) => {
    if (request.method === 'GET') lab.pod('cart-0');
    return false;
  };
  assert.deepEqual(await lab.round(), ['300 marked']);
  assert.deepEqual(await lab.round(), ['300']);
});
