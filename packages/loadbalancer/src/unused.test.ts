import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEndpointSlice, parseService } from '@sluice/kube';
import { desiredFrontends } from './desired.ts';
import { seenEndpoints } from './unused.ts';

const viewpoint = { nodeName: 'n1', zone: 'a', externalIps: true };

function sliceOf(endpoints: readonly object[], more: object = {}) {
  return parseEndpointSlice({
    metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: '', protocol: 'TCP', port: 8080 }],
    endpoints,
    ...more,
  });
}

const endpoint = (last: number, nodeName: string, conditions: object = {}, zones: readonly string[] = []) => ({
  addresses: [`10.244.0.${last}`],
  nodeName,
  zone: 'a',
  conditions,
  hints: { forZones: zones.map((name) => ({ name })) },
  targetRef: { kind: 'Pod', namespace: 'shop', name: `web-${last}` },
});
const unready = { ready: false, serving: false };
const leaving = { ready: false, serving: true, terminating: true };

/** Of each frontend the text of its row, and each endpoint's reason. */
function unused(endpoints: readonly object[], spec: object = {}) {
  const service = parseService({
    metadata: { namespace: 'shop', name: 'web', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { clusterIPs: ['10.96.0.5'], ports: [{ port: 80 }], ...spec },
  });
  const slices = [sliceOf(endpoints)];
  const [port] = service.ports;
  assert.ok(port);
  return desiredFrontends(service, slices, viewpoint).map(({ key, policy, backends, unused }) => {
    const seen = seenEndpoints({ port, family: 4, slices }, { policy, backends, nodeName: 'n1' });
    return [key, unused, ...seen.map(({ pod, why }) => `${pod}: ${why ?? 'used'}`)];
  });
}

test('an endpoint that is not used says why: what keeps it out first', () => {
  const endpoints = [
    endpoint(1, 'n1'),
    endpoint(2, 'n2', unready),
    endpoint(3, 'n1', leaving),
    endpoint(4, 'n2', leaving),
  ];
  assert.deepEqual(unused(endpoints), [
    [
      '10.96.0.5:80/TCP',
      '1 not ready, 2 terminating',
      'shop/web-1: used',
      'shop/web-2: not ready',
      'shop/web-3: terminating',
      'shop/web-4: terminating',
    ],
  ]);
});

test('policy Local leaves out those of other nodes, and only where it holds', () => {
  const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }], externalTrafficPolicy: 'Local' };
  assert.deepEqual(unused([endpoint(1, 'n1'), endpoint(2, 'n2')], spec), [
    ['10.96.0.5:80/TCP', undefined, 'shop/web-1: used', 'shop/web-2: used'],
    ['0.0.0.0:30080/TCP', undefined, 'shop/web-1: used', 'shop/web-2: used'],
    ['0.0.0.0:30080/TCP/external', '1 on another node', 'shop/web-1: used', 'shop/web-2: on another node'],
  ]);
});

test('hints keep endpoints for other zones; a terminating one that nobody replaces is used', () => {
  assert.deepEqual(unused([endpoint(1, 'n1', {}, ['a']), endpoint(2, 'n2', {}, ['b'])])[0]?.slice(1), [
    '1 kept for others by hints',
    'shop/web-1: used',
    'shop/web-2: kept for others by hints',
  ]);
  assert.deepEqual(unused([endpoint(1, 'n1', leaving)])[0]?.slice(1), [undefined, 'shop/web-1: used']);
});

test('an endpoint that another slice has as well, offers another port or has no such address is told, too', () => {
  const ports = [{ name: 'other', protocol: 'TCP', port: 9090 }];
  const ipv6 = (last: number) => ({ ...endpoint(last, 'n1'), addresses: [`fd00:10:244::${last}`] });
  const slices = [
    sliceOf([endpoint(1, 'n1', unready), endpoint(2, 'n1')]),
    sliceOf([endpoint(1, 'n1')]),
    sliceOf([endpoint(2, 'n1'), endpoint(3, 'n1')], { ports }),
    sliceOf([ipv6(1), ipv6(4)], { addressType: 'IPv6' }),
  ];
  const [port] = parseService({ metadata: { namespace: 'shop', name: 'web' }, spec: { ports: [{ port: 80 }] } }).ports;
  assert.ok(port);
  const backends = [1, 2].map((last) => ({ key: `10.244.0.${last}:8080/TCP` }));
  const seen = seenEndpoints({ port, family: 4, slices }, { policy: 'Cluster', backends, nodeName: 'n1' });
  assert.deepEqual(
    seen.map(({ key, state, why }) => [key, state, why]),
    [
      ['10.244.0.1:8080/TCP', 'ready', undefined],
      ['10.244.0.2:8080/TCP', 'ready', undefined],
      ['10.244.0.1:8080/TCP', 'not ready', 'also in another slice'],
      ['10.244.0.3', 'ready', 'without this port'],
      ['fd00:10:244::4', 'ready', 'without an IPv4 address'],
    ],
  );
});
