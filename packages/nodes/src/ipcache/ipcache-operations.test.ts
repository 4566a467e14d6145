import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeMap } from '@sluice/bpf';
import { ipcacheMap } from '@sluice/datapath';
import { parseAddress } from '@sluice/net';
import { fakeClock } from '@sluice/runtime';
import { type Operations, reconciler, Table } from '@sluice/state';
import { withFaults } from '@sluice/state/compliance';
import { endpointSlice, homelabNodes, sliceTable } from '../builders.ts';
import { deriveNodes, type Node } from '../node.ts';
import { ipcacheOperations } from './ipcache-operations.ts';
import { IpcacheShares } from './ipcache-shares.ts';
import { entriesOf, type IpcacheShare } from './share.ts';

const stale = { tunnelEndpoint: parseAddress('10.10.30.250'), identity: 6, flags: 0, mtu: 0 };

/** The reconciler of map ipcache on a map that encodes as the kernel's does. */
function laboratory(wrap: (operations: Operations<IpcacheShare>) => Operations<IpcacheShare> = (same) => same) {
  const map = createFakeMap(ipcacheMap);
  const nodes = new Table<Node>({ name: 'nodes', key: (row) => row.name, sources: ['nodes'], columns: {} });
  const slices = sliceTable();
  nodes.replaceAll(deriveNodes(homelabNodes(), { name: 'k8s-cp1' }));
  const shares = new IpcacheShares({ nodes, slices, statusOf: () => undefined });
  const clock = fakeClock();
  const operations = wrap(ipcacheOperations(map, shares));
  const kept = reconciler({ name: 'ipcache', desired: shares.table, operations, clock, minIntervalMs: 0 });
  kept.start();
  return {
    map,
    nodes,
    slices,
    shares,
    kept,
    clock,
    publish: (name: string, ...endpoints: string[]) => slices.upsert(endpointSlice(name, 'k8s-cp2', ...endpoints)),
    initialize() {
      nodes.markInitialized('nodes');
      slices.markInitialized('slices');
    },
    at: (address: string) => map.lookup(parseAddress(address)),
    /** The map is what the shares say, row for row. */
    assertRight() {
      const wanted = shares.table.list().flatMap((share) => [...entriesOf(share)]);
      assert.deepEqual(Object.fromEntries(map.entries()), Object.fromEntries(wanted));
    },
  };
}

test('nodes and slices are written, a change of one endpoint changes its row, and what is gone goes', async () => {
  const lab = laboratory();
  lab.publish('s', 'cart 4711 10.244.1.5 fd00:10:244:1::5', 'web 4712 10.244.1.6');
  await lab.kept.flush();
  lab.assertRight();
  assert.equal(lab.map.count(), 8 + 3);
  lab.publish('s', 'cart 4800 10.244.1.5', 'new 4712 10.244.1.7');
  await lab.kept.flush();
  lab.assertRight();
  assert.deepEqual([lab.at('10.244.1.5')?.identity, lab.at('10.244.1.6')], [4800, undefined]);
  lab.slices.delete('s');
  await lab.kept.flush();
  lab.assertRight();
  assert.equal(lab.map.count(), 8);
});

test('an address that goes from one slice to another is never missing, whichever is written first', async () => {
  for (const order of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    const lab = laboratory();
    const deleted: string[] = [];
    const { deleteBatch } = lab.map;
    lab.map.deleteBatch = (keys) => {
      deleted.push(...[...keys].map(String));
      return deleteBatch.call(lab.map, keys);
    };
    lab.publish('a', 'old 4711 10.244.1.5');
    await lab.kept.flush();
    for (const name of order) {
      lab.publish(name, ...(name === 'a' ? [] : ['new 4712 10.244.1.5']));
      await lab.kept.flush();
    }
    lab.assertRight();
    assert.equal(lab.at('10.244.1.5')?.identity, 4712);
    assert.deepEqual(deleted, order[0] === 'a' ? ['10.244.1.5'] : [], 'without a claim the address is nobody’s');
  }
});

test('rows of an earlier process go when all nodes and slices are known, not before', async () => {
  const lab = laboratory();
  lab.map.update(parseAddress('10.10.30.250'), stale);
  lab.map.update(parseAddress('10.244.1.9'), stale);
  await lab.kept.flush();
  assert.equal(lab.map.count(), 8 + 2);
  lab.publish('s', 'cart 4711 10.244.1.9');
  lab.initialize();
  await lab.kept.flush();
  lab.assertRight();
  assert.equal(lab.kept.summary().pruned, 1);
});

test('rows that somebody changed, took away or added are repaired and counted', async () => {
  const lab = laboratory();
  lab.publish('s', 'cart 4711 10.244.1.5', 'web 4712 10.244.1.6');
  lab.initialize();
  await lab.kept.flush();
  lab.map.delete(parseAddress('10.244.1.5'));
  lab.map.update(parseAddress('10.10.30.102'), stale);
  lab.map.update(parseAddress('10.9.9.9'), stale);
  lab.kept.triggerFull();
  await lab.kept.flush();
  lab.assertRight();
  assert.equal(lab.kept.summary().repairs, 3);
  const { updates } = lab.kept.summary();
  lab.kept.triggerFull();
  await lab.kept.flush();
  assert.equal(lab.kept.summary().updates, updates, 'what is right is not written again');
});

test('a restart writes nothing that is right already', async () => {
  const lab = laboratory();
  lab.publish('s', 'cart 4711 10.244.1.5');
  lab.initialize();
  await lab.kept.flush();
  await lab.kept.stop();
  const operations = ipcacheOperations(lab.map, lab.shares);
  await using next = reconciler({ name: 'ipcache', desired: lab.shares.table, operations, clock: lab.clock });
  next.start();
  await next.flush();
  assert.deepEqual([next.summary().updates, next.summary().deletes], [0, 0]);
});

test('with every third operation failing, all that is wanted comes to be', async () => {
  for (const when of ['before', 'after'] as const) {
    const lab = laboratory((operations) => withFaults(operations, when));
    lab.initialize();
    for (const name of ['a', 'b', 'c', 'd']) lab.publish(name, `${name} 300 10.244.1.${name.charCodeAt(0)}`);
    await lab.kept.flush();
    lab.publish('a', 'other 301 10.244.1.50');
    lab.slices.delete('b');
    for (let round = 0; round < 20; round += 1) {
      await lab.kept.flush();
      lab.clock.advance(60_000);
    }
    lab.assertRight();
    assert.ok(lab.kept.summary().failures > 0, 'no fault was injected');
  }
});

test('a full map is an error on the share concerned, and the rest is written', async () => {
  const lab = laboratory();
  lab.initialize();
  await lab.kept.flush();
  const { updateBatch } = lab.map;
  lab.map.updateBatch = (entries) => {
    const rows = [...entries];
    if (rows.some(([address]) => address === '10.244.1.5'))
      throw new Error('update row 0 of a batch in map ipcache: E2BIG');
    updateBatch.call(lab.map, rows);
  };
  lab.publish('full', 'cart 4711 10.244.1.5');
  lab.publish('other', 'cart 4711 10.244.1.6');
  await lab.kept.flush();
  assert.match(lab.kept.status('slice full')?.error ?? '', /E2BIG/);
  assert.equal(lab.at('10.244.1.6')?.identity, 4711);
});
