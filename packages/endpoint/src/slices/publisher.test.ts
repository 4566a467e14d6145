import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CiliumEndpointSliceObject,
  createKubeClient,
  parseCiliumEndpointSlice,
  reflector,
  resources,
} from '@sluice/kube';
import { FakeApi, sendStatus } from '@sluice/kube/testing';
import { parseAddress } from '@sluice/net';
import { fakeClock, silentLogger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { endpoint } from '../../test/endpoints.ts';
import { endpointTable } from '../endpoint.ts';
import { startPublisher } from './publisher.ts';
import type { PublishingNode } from './slice-plan.ts';

const plural = 'ciliumendpointslices';

/** A node that publishes to a fake API server, and reads back what is there as the agent does. */
async function laboratory() {
  const api = await FakeApi.start();
  const client = createKubeClient({ servers: [api.url] });
  const slices = new Table<CiliumEndpointSliceObject>({
    name: 's',
    key: (row) => row.name,
    sources: ['s'],
    columns: {},
  });
  const watch = reflector({
    ...{
      client,
      resource: resources.ciliumEndpointSlices,
      parse: parseCiliumEndpointSlice,
      table: slices,
      source: 's',
    },
  });
  const endpoints = endpointTable(() => undefined);
  endpoints.markInitialized('restore');
  const node: PublishingNode = { name: 'k8s-cp2', uid: 'n', address: parseAddress('10.10.30.102') };
  const clock = fakeClock();
  const state = { node: node as PublishingNode | undefined };
  const common = {
    client,
    endpoints,
    slices,
    node: () => state.node,
    controllers: undefined,
    clock,
    log: silentLogger,
  };
  const publisher = startPublisher(common);
  return {
    api,
    clock,
    endpoints,
    publisher,
    slices,
    state,
    async sync() {
      watch.start();
      await watch.synced();
    },
    pod: (id: number, identity = 4711) => endpoints.upsert({ ...endpoint(id, `p${id}`), identity }),
    /** Writes what is to be written, and waits until the watch has told of it. */
    async settle() {
      await publisher.reconciler.flush();
      await until(() => slices.size === api.store.list(plural).length);
    },
    /** Until the watch has told how many endpoints are published. */
    seen: (count: number) => until(() => slices.list().flatMap((row) => row.endpoints).length === count),
    stored: () =>
      api.store.list(plural).map((object) => {
        const { name, endpoints: published } = parseCiliumEndpointSlice(object);
        return `${name}: ${published.map((each) => `${each.name} ${each.identity}`).join(', ')}`;
      }),
    writes: () => api.requests.filter(({ method }) => method !== 'GET').map(({ method }) => method),
    async [Symbol.asyncDispose]() {
      await publisher.stop();
      await watch.stop();
      client.close();
      await api.stop();
    },
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

test('endpoints are published, changes are patched, and what is gone is deleted', async () => {
  await using lab = await laboratory();
  await lab.sync();
  lab.pod(1);
  await lab.settle();
  assert.deepEqual(lab.stored(), ['k8s-cp2.shop.0: p1 4711']);
  lab.pod(1, 4800);
  lab.pod(2);
  await lab.settle();
  assert.deepEqual(lab.stored(), ['k8s-cp2.shop.0: p1 4800, p2 4711']);
  for (const key of [...lab.endpoints.keys()]) lab.endpoints.delete(key);
  await lab.settle();
  assert.deepEqual(lab.stored(), []);
  assert.deepEqual(lab.writes(), ['POST', 'PATCH', 'DELETE']);
});

test('an object is as the incumbent has it, and belongs to the node', async () => {
  await using lab = await laboratory();
  await lab.sync();
  lab.pod(1);
  await lab.settle();
  const [{ metadata, ...rest } = {}] = lab.api.store.list(plural);
  assert.deepEqual((metadata as { ownerReferences: unknown }).ownerReferences, [
    { apiVersion: 'v1', kind: 'Node', name: 'k8s-cp2', uid: 'n' },
  ]);
  assert.deepEqual(rest, {
    apiVersion: 'cilium.io/v2alpha1',
    kind: 'CiliumEndpointSlice',
    namespace: 'shop',
    endpoints: [
      {
        name: 'p1',
        id: 4711,
        networking: { addressing: [{ ipv4: '10.0.0.11', ipv6: 'fd00::11' }], node: '10.10.30.102' },
      },
    ],
  });
});

test('nothing is written before the list of what is there is in, nor while the API lacks our Node', async () => {
  await using lab = await laboratory();
  lab.pod(1);
  await lab.publisher.reconciler.flush();
  assert.deepEqual(lab.writes(), []);
  lab.state.node = undefined;
  await lab.sync();
  await lab.publisher.reconciler.flush();
  assert.deepEqual(lab.writes(), []);
  lab.state.node = { name: 'k8s-cp2', uid: 'n', address: parseAddress('10.10.30.102') };
  lab.publisher.trigger();
  await lab.settle();
  assert.equal(lab.stored().length, 1);
});

test('what an earlier agent published and nobody wants goes; what other nodes published stays', async () => {
  await using lab = await laboratory();
  for (const name of ['k8s-cp2', 'k8s-cp3']) {
    const ownerReferences = [{ kind: 'Node', name, uid: 'n' }];
    lab.api.store.put(plural, {
      metadata: { name: `${name}.old.0`, ownerReferences },
      namespace: 'old',
      endpoints: [],
    });
  }
  await lab.sync();
  await lab.settle();
  assert.deepEqual(lab.stored(), ['k8s-cp3.old.0: ']);
});

test("a hand in our slices is undone, and a node's new address and uid are told", async () => {
  await using lab = await laboratory();
  await lab.sync();
  lab.pod(1);
  await lab.settle();
  const [object] = lab.api.store.list(plural);
  lab.api.store.put(plural, { ...object, endpoints: [] });
  await lab.seen(0);
  lab.clock.advance(5_000);
  await lab.settle();
  assert.deepEqual(lab.stored(), ['k8s-cp2.shop.0: p1 4711']);
  lab.api.store.remove(plural, 'k8s-cp2.shop.0');
  await lab.seen(0);
  lab.clock.advance(5_000);
  await lab.settle();
  assert.deepEqual(lab.stored(), ['k8s-cp2.shop.0: p1 4711']);
  lab.state.node = { name: 'k8s-cp2', uid: 'anew', address: parseAddress('10.10.30.7') };
  lab.publisher.trigger();
  await lab.settle();
  assert.match(JSON.stringify(lab.api.store.list(plural)), /"uid":"anew".*"node":"10\.10\.30\.7"/);
});

test('a slice that turns up while it is created is patched', async () => {
  await using lab = await laboratory();
  await lab.sync();
  lab.api.fault = async ({ method }) => {
    if (method !== 'POST') return false;
    const ownerReferences = [{ kind: 'Node', name: 'k8s-cp2', uid: 'n' }];
    const metadata = { name: 'k8s-cp2.shop.0', ownerReferences };
    lab.api.store.put(plural, { metadata, namespace: 'shop', endpoints: [] });
    // The watch tells of it before the refusal is here.
    await until(() => lab.slices.size === 1);
    return false;
  };
  lab.pod(1);
  await lab.publisher.reconciler.flush();
  assert.deepEqual(lab.writes(), ['POST', 'PATCH']);
  assert.equal(lab.publisher.reconciler.status('k8s-cp2.shop.0')?.error, undefined);
  assert.deepEqual(lab.stored(), ['k8s-cp2.shop.0: p1 4711']);
});

test('a server that refuses is asked again with growing delays, and a burst of changes is one write', async () => {
  await using lab = await laboratory();
  await lab.sync();
  let refusals = 0;
  lab.api.fault = (request, response) => {
    if (request.method === 'GET' || refusals === 2) return false;
    refusals += 1;
    sendStatus(response, 500, 'InternalError', 'etcdserver: request timed out');
    return true;
  };
  for (let id = 1; id <= 10; id += 1) lab.pod(id);
  await lab.publisher.reconciler.flush();
  assert.match(lab.publisher.reconciler.status('k8s-cp2.shop.0')?.error ?? '', /etcdserver/);
  for (let round = 0; round < 5; round += 1) {
    lab.clock.advance(10_000);
    await lab.publisher.reconciler.flush();
  }
  assert.equal(lab.stored().length, 1);
  assert.deepEqual(lab.writes(), ['POST', 'POST', 'POST']);
});
