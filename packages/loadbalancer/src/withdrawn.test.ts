import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSliceObject } from '@sluice/kube';
import { parseAddress } from '@sluice/net';
import { servicesAt, type WithdrawnPods, withoutWithdrawn } from './withdrawn.ts';

const address = parseAddress('10.244.1.5');
const pod = { namespace: 'shop', name: 'web-1', uid: 'u' };
const endpoint = { addresses: [address], ready: true, serving: true, terminating: false, pod, nodeName: 'n1' };
const slice = {
  ...{ namespace: 'shop', name: 'web-x', serviceName: 'web', addressType: 'IPv4', ports: [] },
  endpoints: [endpoint],
} as unknown as EndpointSliceObject;

function withdrawn(...names: readonly string[]): WithdrawnPods {
  return {
    nodeName: 'n1',
    has: (at, name) => at === address && names.includes(name),
    subscribe: () => ({ [Symbol.dispose]: () => undefined }),
  };
}

test('a pod whose network is gone serves no more, though its slice says so', () => {
  const [after] = withoutWithdrawn([slice], withdrawn('shop/web-1'));
  assert.deepEqual(after?.endpoints, [{ ...endpoint, ready: false, serving: false }]);
});

test('another pod that has got its address is another one', () => {
  assert.deepEqual(withoutWithdrawn([slice], withdrawn('shop/web-0')), [slice]);
});

test('one of the same name and address on another node is not of ours', () => {
  const elsewhere = { ...slice, endpoints: [{ ...endpoint, nodeName: 'n2' }] } as unknown as EndpointSliceObject;
  assert.deepEqual(withoutWithdrawn([elsewhere], withdrawn('shop/web-1')), [elsewhere]);
});

test('the services of an address are those whose slices have it', () => {
  const other = { ...slice, serviceName: 'other', endpoints: [] };
  assert.deepEqual([...servicesAt(new Set([address]), [slice, other])], ['shop/web']);
});
