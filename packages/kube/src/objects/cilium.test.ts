import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCiliumEndpointSlice } from './cilium-endpoint-slice.ts';
import { parseCiliumIdentity } from './cilium-identity.ts';
import { parseNamespace } from './namespace.ts';

const identity = (name: string, more: object = {}) =>
  parseCiliumIdentity({ metadata: { name, uid: 'u' }, 'security-labels': { 'k8s:b': '2', 'k8s:a': '1' }, ...more });

test('an identity is its number and its labels, sorted', () => {
  const row = identity('4711');
  assert.deepEqual([row.id, row.labels, row.unusedSince, row.problems], [4711, ['k8s:a=1', 'k8s:b=2'], undefined, []]);
});

test('an identity that is marked as unused says since when', () => {
  const metadata = { name: '4711', annotations: { 'sluice.io/unused-since': '2026-01-01T00:00:00Z' } };
  assert.equal(identity('4711', { metadata }).unusedSince, Date.UTC(2026, 0, 1));
});

test('what is no number that may travel, or has no labels, is no identity', () => {
  for (const name of ['255', '0256', '16777216', '99999999999', 'web', '1e3', '-300', '300.0']) {
    assert.throws(() => identity(name), /the name is no number from 256 to 16777215/, name);
  }
  assert.throws(() => identity('4711', { 'security-labels': {} }), /without security-labels/);
});

const addressing = [{ ipv4: '10.244.1.5', ipv6: 'FD00:10:244:1::5' }];
const published = { name: 'cart-0', id: 4711, networking: { addressing, node: '10.10.30.102' } };
const owner = { apiVersion: 'v1', kind: 'Node', name: 'k8s-cp2', uid: 'n' };

function slice(endpoints: unknown, ownerReferences: unknown = [owner]) {
  return parseCiliumEndpointSlice({ metadata: { name: 's', ownerReferences }, namespace: 'shop', endpoints });
}

test('a slice has its node by the owner and its endpoints by pod, identity and addresses', () => {
  const row = slice([published]);
  assert.deepEqual([row.node, row.nodeUid, row.namespace, row.problems], ['k8s-cp2', 'n', 'shop', []]);
  assert.deepEqual(row.nodeAddresses, ['10.10.30.102']);
  assert.deepEqual(row.endpoints, [{ name: 'cart-0', identity: 4711, ipv4: '10.244.1.5', ipv6: 'fd00:10:244:1::5' }]);
});

test('each endpoint that cannot be read is named with its path, and the rest stays', () => {
  const { endpoints, problems } = slice([
    published,
    { ...published, name: undefined },
    { ...published, id: 2 ** 24 },
    { ...published, networking: { addressing: [{ ipv4: 'fd00::1', ipv6: '' }] } },
    { ...published, networking: { addressing: [{ ipv4: '10.0.0.300' }] } },
    'nonsense',
  ]);
  assert.equal(endpoints.length, 1);
  assert.match(problems.join('\n'), /endpoints\[1\]\.name: missing/);
  assert.match(problems.join('\n'), /endpoints\[2\]\.id: 16777216 is not a whole number from 1 to 16777215/);
  assert.match(problems.join('\n'), /endpoints\[3\].*ipv4: fd00::1 is not an IPv4 address/);
  assert.match(problems.join('\n'), /endpoints\[4\].*"10\.0\.0\.300" is not an IP address/);
  assert.match(problems.join('\n'), /endpoints\[5\]: "nonsense" is not an object/);
});

test('a slice without a node, or with nothing in it, is a slice', () => {
  assert.equal(slice([published], []).node, undefined);
  assert.equal(slice([published], [{ kind: 'Pod', name: 'x' }]).node, undefined);
  assert.deepEqual(slice(undefined).endpoints, []);
});

test('a slice with more endpoints than anybody writes is cut, and says so', () => {
  const { endpoints, problems } = slice(Array.from({ length: 300 }, (_, n) => ({ ...published, name: `p${n}` })));
  assert.deepEqual([endpoints.length, problems], [256, ['endpoints: only the first 256 are used']]);
});

test('a namespace is its labels', () => {
  const row = parseNamespace({ kind: 'Namespace', metadata: { name: 'shop', labels: { team: 'sales', odd: 7 } } });
  assert.deepEqual([row.labels, row.problems.length], [{ team: 'sales' }, 1]);
});
