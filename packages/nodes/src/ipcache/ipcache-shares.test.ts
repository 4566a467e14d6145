import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CiliumEndpointSliceObject, NodeObject } from '@sluice/kube';
import { Table } from '@sluice/state';
import fc from 'fast-check';
import { endpointSlice, homelabNodes, sliceTable } from '../builders.ts';
import { deriveNodes, type Node } from '../node.ts';
import { IpcacheShares } from './ipcache-shares.ts';
import { entriesOf } from './share.ts';

function laboratory(objects: readonly NodeObject[] = homelabNodes()) {
  const nodes = new Table<Node>({ name: 'nodes', key: (row) => row.name, sources: ['nodes'], columns: {} });
  const slices = sliceTable();
  const setNodes = (next: readonly NodeObject[]) => nodes.replaceAll(deriveNodes(next, { name: 'k8s-cp1' }));
  setNodes(objects);
  const shares = new IpcacheShares({ nodes, slices, statusOf: () => undefined });
  return {
    nodes,
    slices,
    shares,
    setNodes,
    put: (...rows: CiliumEndpointSliceObject[]) => {
      for (const row of rows) slices.upsert(row);
    },
    problems: (slice: string) => shares.table.get(`slice ${slice}`)?.problems ?? [],
    /** Address to identity and where it is tunnelled to, of slices only. */
    rows: () =>
      Object.fromEntries(
        shares.table
          .list()
          .filter(({ kind }) => kind === 'slice')
          .flatMap((share) => [...entriesOf(share)])
          .map(([address, { identity, tunnelEndpoint, flags }]) => [address, `${identity} ${tunnelEndpoint} ${flags}`]),
      ),
  };
}

test('other nodes are behind the tunnel with all their addresses, as remote nodes', () => {
  const { shares } = laboratory();
  assert.deepEqual([...shares.table.keys()], ['node k8s-cp2', 'node k8s-cp3']);
  const share = shares.table.get('node k8s-cp2');
  assert.ok(share);
  const row = { tunnelEndpoint: '10.10.30.102', identity: 6, flags: 2, mtu: 0 };
  assert.deepEqual(Object.fromEntries(entriesOf(share)), {
    '10.10.30.102': row,
    'fd00:10:10:30::102': row,
    '10.244.1.1': row,
    'fd00:10:244:1::1': row,
  });
});

test('the endpoints of a slice are behind the tunnel to their node, with their identities', () => {
  const lab = laboratory();
  lab.put(endpointSlice('s', 'k8s-cp2', 'cart 4711 10.244.1.5 fd00:10:244:1::5', 'new 5 10.244.1.6'));
  assert.deepEqual(lab.rows(), {
    '10.244.1.5': '4711 10.10.30.102 0',
    'fd00:10:244:1::5': '4711 10.10.30.102 0',
    '10.244.1.6': '5 10.10.30.102 0',
  });
  const [address] = Object.keys(lab.rows());
  assert.equal(lab.shares.podAt(address as Parameters<typeof lab.shares.podAt>[0]), 'shop/cart');
});

test('our own slices are no rows: our pods have their own', () => {
  const lab = laboratory();
  lab.put(endpointSlice('s', 'k8s-cp1', 'cart 4711 10.244.0.5'));
  assert.equal(lab.shares.table.has('slice s'), false);
});

test('what a slice may not say is refused with the reason, and the rest goes on', () => {
  const lab = laboratory();
  lab.put(
    endpointSlice(
      's',
      'k8s-cp2',
      'good 4711 10.244.1.5',
      'thief 4711 10.244.2.5 fd00:10:244:1::6',
      'router 4711 10.244.1.1',
      'node 4711 10.10.30.103',
      'world 4711 192.0.2.1',
      'host 1 10.244.1.7',
      'user 130 10.244.1.8',
      'twin 4712 10.244.1.5',
    ),
  );
  assert.deepEqual(Object.keys(lab.rows()), ['10.244.1.5', 'fd00:10:244:1::6']);
  assert.equal(lab.rows()['10.244.1.5'], '4711 10.10.30.102 0');
  assert.deepEqual(lab.problems('s'), [
    '10.244.2.5 of thief: not among the pods of node k8s-cp2',
    '10.244.1.1 of router: the address of node k8s-cp2 itself',
    '10.10.30.103 of node: not among the pods of node k8s-cp2',
    '192.0.2.1 of world: not among the pods of node k8s-cp2',
    '10.244.1.7 of host: no pod has the identity host',
    '10.244.1.8 of user: no pod has the identity 130',
    '10.244.1.5 of twin: it is there twice',
  ]);
});

test("problems that the object's parser found are on the row", () => {
  const lab = laboratory();
  lab.put({ ...endpointSlice('s', 'k8s-cp2', 'good 4711 10.244.1.5'), problems: ['endpoints[1].id: missing'] });
  assert.deepEqual([lab.problems('s'), Object.keys(lab.rows())], [['endpoints[1].id: missing'], ['10.244.1.5']]);
});

test('an address in two slices is that of the first by name, until that one lets it go', () => {
  const lab = laboratory();
  lab.put(endpointSlice('b', 'k8s-cp2', 'new 4712 10.244.1.5'), endpointSlice('a', 'k8s-cp2', 'old 4711 10.244.1.5'));
  assert.equal(lab.rows()['10.244.1.5'], '4711 10.10.30.102 0');
  assert.deepEqual(lab.problems('b'), ['10.244.1.5 of new: slice a has it, too']);
  lab.put(endpointSlice('a', 'k8s-cp2'));
  assert.equal(lab.rows()['10.244.1.5'], '4712 10.10.30.102 0');
  assert.deepEqual(lab.problems('b'), []);
});

test('a slice of nobody, of a node that is not known, or that cannot be reached, is empty and says so', () => {
  const lab = laboratory();
  lab.put(
    endpointSlice('nobody', undefined, 'a 300 10.244.1.5'),
    endpointSlice('later', 'k8s-cp9', 'b 300 10.244.9.5'),
  );
  assert.deepEqual(lab.rows(), {});
  assert.deepEqual(lab.problems('nobody'), ['it names no node as its owner']);
  assert.deepEqual(lab.problems('later'), ['node k8s-cp9 is not known']);
  const [, second] = homelabNodes();
  assert.ok(second);
  const late = { ...second, name: 'k8s-cp9', addresses: [], podCidrs: [] };
  lab.setNodes([...homelabNodes(), late]);
  assert.deepEqual(lab.problems('later'), ['there is no way to send to node k8s-cp9']);
});

test("a node's new address and pod CIDR take its slices along", () => {
  const lab = laboratory();
  lab.put(endpointSlice('s', 'k8s-cp2', 'cart 4711 10.244.1.5'));
  const [first, second] = homelabNodes();
  const [, , third] = homelabNodes();
  assert.ok(first && second && third);
  lab.setNodes([first, { ...second, addresses: third.addresses }]);
  assert.equal(lab.rows()['10.244.1.5'], '4711 10.10.30.103 0');
  lab.setNodes([first, { ...second, podCidrs: third.podCidrs }]);
  assert.deepEqual(lab.problems('s'), ['10.244.1.5 of cart: not among the pods of node k8s-cp2']);
  lab.setNodes([first]);
  assert.deepEqual(lab.problems('s'), ['node k8s-cp2 is not known']);
});

test('nothing may be pruned before all nodes and all slices are known', () => {
  const lab = laboratory();
  lab.nodes.markInitialized('nodes');
  assert.equal(lab.shares.table.initialized, false);
  lab.slices.markInitialized('slices');
  assert.equal(lab.shares.table.initialized, true);
});

test('what comes out depends on what there is, not on the way there', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const node = fc.constantFrom('k8s-cp1', 'k8s-cp2', 'k8s-cp3', undefined);
  const address = fc.constantFrom('10.244.1.5', '10.244.1.6', '10.244.2.5', '10.244.1.1', '10.10.30.102');
  const endpoint = fc.tuple(fc.constantFrom('p', 'q'), fc.constantFrom(300, 301, 1), address);
  const slice = fc.record({ name, node, endpoints: fc.array(endpoint, { maxLength: 3 }), remove: fc.boolean() });
  const step = fc.oneof(slice, fc.constantFrom(1, 2, 3));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const lab = laboratory();
      for (const each of steps) {
        if (typeof each === 'number') lab.setNodes(homelabNodes().slice(0, each));
        else if (each.remove) lab.slices.delete(each.name);
        else lab.put(endpointSlice(each.name, each.node, ...each.endpoints.map((parts) => parts.join(' '))));
      }
      const anew = new IpcacheShares({ nodes: lab.nodes, slices: lab.slices, statusOf: () => undefined });
      const sorted = (shares: IpcacheShares) => shares.table.list().sort((a, b) => (a.name < b.name ? -1 : 1));
      assert.deepEqual(sorted(lab.shares), sorted(anew));
      for (const share of anew.table.list()) {
        for (const [held] of entriesOf(share)) assert.equal(lab.shares.holderOf(held), share.name);
      }
    }),
  );
});
