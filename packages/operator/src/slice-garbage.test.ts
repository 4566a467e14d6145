import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CiliumEndpointSliceObject, createKubeClient, parseCiliumEndpointSlice } from '@sluice/kube';
import { FakeApi } from '@sluice/kube/testing';
import { silentLogger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { SliceGarbage } from './slice-garbage.ts';

const kind = 'ciliumendpointslices';

async function laboratory() {
  const api = await FakeApi.start();
  const client = createKubeClient({ servers: [api.url] });
  const slices = new Table<CiliumEndpointSliceObject>({ name: 'slices', key: (row) => row.name, columns: {} });
  const names = new Set(['a', 'b']);
  const nodes = { initialized: true, has: (name: string) => names.has(name) };
  const garbage = new SliceGarbage({ client, slices, nodes, log: silentLogger });
  for (const node of ['a', 'b', undefined]) {
    const ownerReferences = node === undefined ? [] : [{ kind: 'Node', name: node }];
    const object = { metadata: { name: `${node}.shop.0`, ownerReferences }, endpoints: [] };
    slices.upsert(parseCiliumEndpointSlice(api.store.put(kind, object)));
  }
  slices.markInitialized('api');
  return {
    api,
    names,
    nodes,
    round: async () => {
      await garbage.round(new AbortController().signal);
      return api.store.list(kind).map((object) => (object.metadata as { name: string }).name);
    },
    [Symbol.asyncDispose]: async () => {
      client.close();
      await api.stop();
    },
  };
}

test('slices go at the second look after their node went, those of others and of nobody stay', async () => {
  await using lab = await laboratory();
  lab.names.delete('a');
  assert.equal((await lab.round()).length, 3);
  assert.deepEqual(await lab.round(), ['b.shop.0', 'undefined.shop.0']);
});

test('a node that registers anew between two looks keeps its slices', async () => {
  await using lab = await laboratory();
  lab.names.delete('a');
  await lab.round();
  lab.names.add('a');
  await lab.round();
  lab.names.delete('a');
  assert.equal((await lab.round()).length, 3);
});

test('before all nodes are known nothing is deleted', async () => {
  await using lab = await laboratory();
  lab.nodes.initialized = false;
  lab.names.clear();
  await lab.round();
  assert.equal((await lab.round()).length, 3);
});
