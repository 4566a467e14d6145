import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSliceObject } from '@sluice/kube';
import { parseAddress } from '@sluice/net';
import { goneBackends, leftAddresses } from './gone-backends.ts';

const address = parseAddress('10.244.1.5');
const udp = { address, port: 53, protocol: 'UDP' } as const;
const tcp = { address, port: 53, protocol: 'TCP' } as const;

function slice(conditions: { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean }) {
  const endpoint = { addresses: [address], ...conditions };
  const ports = [udp, tcp].map(({ port, protocol }) => ({ name: protocol, port, protocol }));
  return {
    namespace: 'a',
    name: 'b',
    addressType: 'IPv4',
    ports,
    endpoints: [endpoint],
  } as unknown as EndpointSliceObject;
}

const ready = slice({ ready: true, serving: true, terminating: false });
const terminating = slice({ ready: false, serving: true, terminating: true });
const unready = slice({ ready: false, serving: false, terminating: false });

test('a backend that is in no slice is gone, for datagrams and for connections', () => {
  assert.deepEqual(goneBackends([udp, tcp], []), [udp, tcp]);
  assert.deepEqual(goneBackends([udp, tcp], [ready]), []);
});

test('one that terminates and still serves is not gone', () => {
  assert.deepEqual(goneBackends([udp, tcp], [terminating]), []);
});

test('one that does not serve is gone for datagrams, and its connections may go on', () => {
  assert.deepEqual(goneBackends([udp, tcp], [unready]), [udp]);
});

test('one that another slice has serving is not gone, and another port of it is', () => {
  assert.deepEqual(goneBackends([udp, { ...udp, port: 54 }], [unready, ready]), [{ ...udp, port: 54 }]);
});

test('who serves no longer, or is in a slice no longer, has left it', () => {
  const change = (before: EndpointSliceObject | undefined, after: EndpointSliceObject | undefined) =>
    leftAddresses({ key: 'a/b', before, after });
  assert.deepEqual(change(undefined, ready), []);
  assert.deepEqual(change(unready, ready), []);
  assert.deepEqual(change(ready, terminating), []);
  assert.deepEqual(change(ready, unready), [udp.address]);
  assert.deepEqual(change(terminating, undefined), [udp.address]);
});
