import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import { endpoint } from '../../test/endpoints.ts';
import type { Endpoint } from '../endpoint.ts';
import { type Slice, SlicePlan } from './slice-plan.ts';

const node = { name: 'k8s-cp2', uid: 'n', address: parseAddress('10.10.30.102') };

function pods(from: number, to: number, namespace = 'shop'): Endpoint[] {
  return Array.from({ length: to - from + 1 }, (_, index) => {
    const each = endpoint(from + index, `p${from + index}`);
    return { ...each, pod: { namespace, name: each.containerId, uid: undefined } };
  });
}

function shape(slices: ReadonlyMap<string, Slice>): Record<string, string> {
  return Object.fromEntries(
    [...slices].map(([name, { endpoints }]) => [name, endpoints.map((each) => each.name).join()]),
  );
}

const published = (slices: ReadonlyMap<string, Slice>) =>
  [...slices.values()].map((slice) => ({ ...slice, uid: slice.name, problems: [] }));

test('endpoints are in slices of their namespace, at most 16 in each', () => {
  const slices = new SlicePlan().slices([...pods(1, 20), ...pods(30, 31, 'kube-system')], node, []);
  assert.deepEqual(
    [...slices].map(([name, slice]) => [name, slice.namespace, slice.endpoints.length]),
    [
      ['k8s-cp2.shop.0', 'shop', 16],
      ['k8s-cp2.shop.1', 'shop', 4],
      ['k8s-cp2.kube-system.0', 'kube-system', 2],
    ],
  );
  const [first] = slices.values();
  assert.deepEqual([first?.node, first?.nodeUid, first?.nodeAddresses], ['k8s-cp2', 'n', ['10.10.30.102']]);
  assert.deepEqual(first?.endpoints[0], { name: 'p1', identity: 4711, ipv4: '10.0.0.11', ipv6: 'fd00::11' });
});

test('an endpoint stays where it is, and who comes takes the first place that is free', () => {
  const plan = new SlicePlan();
  plan.slices(pods(1, 18), node, []);
  const left = pods(2, 18);
  assert.deepEqual(
    Object.values(shape(plan.slices(left, node, []))).map((names) => names.split(',').length),
    [15, 2],
  );
  const after = plan.slices([...left, ...pods(40, 40)], node, []);
  assert.match(shape(after)['k8s-cp2.shop.0'] ?? '', /^p2,.*,p40$/);
  assert.equal(shape(after)['k8s-cp2.shop.1'], 'p17,p18');
});

test('a slice that lost its last endpoint is not wanted any more', () => {
  const plan = new SlicePlan();
  plan.slices(pods(1, 17), node, []);
  assert.deepEqual(shape(plan.slices(pods(17, 17), node, [])), { 'k8s-cp2.shop.1': 'p17' });
});

test('an agent that starts goes on with what is published', () => {
  const before = new SlicePlan();
  before.slices(pods(1, 18), node, []);
  const slices = before.slices(pods(10, 18), node, []);
  assert.deepEqual(new SlicePlan().slices(pods(10, 18), node, published(slices)), slices);
  const gone = published(slices).map((slice) => ({ ...slice, name: 'k8s-cp2.shop.nonsense' }));
  assert.equal(new SlicePlan().slices(pods(10, 18), node, gone).size, 1, 'names that are not ours are no places');
});

test('an endpoint without a pod is nobody to publish', () => {
  const [each] = pods(1, 1);
  assert.ok(each);
  assert.equal(new SlicePlan().slices([{ ...each, pod: undefined }], node, []).size, 0);
});

test("names fit, whatever the node's is, and no two nodes share one", () => {
  const [each] = pods(1, 1, 'n'.repeat(63));
  assert.ok(each);
  const name = (nodeName: string) => [...new SlicePlan().slices([each], { ...node, name: nodeName }, []).keys()][0];
  assert.ok((name('x'.repeat(253)) ?? '').length <= 253);
  assert.notEqual(name('x'.repeat(253)), name(`${'x'.repeat(252)}y`));
});
