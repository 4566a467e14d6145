import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabelFilter } from '@sluice/identity';
import { operatorLease } from '@sluice/kube';
import { FakeApi, sendStatus } from '@sluice/kube/testing';
import { type Prefix, parsePrefix } from '@sluice/net';
import { silentLogger } from '@sluice/runtime';
import { type Operator, type OperatorOptions, startOperator } from './index.ts';

const pools = [
  { prefix: parsePrefix('10.244.0.0/16'), nodeLength: 24 },
  { prefix: parsePrefix('fd00:10:244::/48'), nodeLength: 64 },
];

function start(api: FakeApi, lan: readonly Prefix[] = [], more: Partial<OperatorOptions> = {}): Operator {
  return startOperator({
    kube: { servers: [api.url] },
    pools,
    families: [4, 6],
    labels: { cluster: 'homelab', filter: new LabelFilter() },
    identityGarbage: { intervalMs: 0, graceMs: 0 },
    namespace: 'kube-system',
    host: 'k8s-cp1',
    services: true,
    externalIps: false,
    nodePortRange: { first: 30_000, last: 32_767 },
    externalIpRules: { allowed: [], apiServers: [] },
    log: silentLogger,
    lan: () => lan,
    ...more,
  });
}

function putNode(api: FakeApi, name: string, address: string): void {
  const status = { addresses: [{ type: 'InternalIP', address }] };
  api.store.put('nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {}, status });
}

function podCidrs(api: FakeApi, name: string): unknown {
  return (api.store.get('nodes', name)?.spec as { podCIDRs?: unknown } | undefined)?.podCIDRs;
}

/** Resolves as soon as the store looks as wanted. */
function untilStore(api: FakeApi, isWanted: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const watching = api.store.onChange(look);
    look();
    function look(): void {
      if (!isWanted()) return;
      queueMicrotask(() => watching[Symbol.dispose]());
      resolve();
    }
  });
}

test('nodes get pod CIDRs of both families, those that come later, too', async () => {
  await using api = await FakeApi.start();
  putNode(api, 'a', '10.10.30.101');
  const operator = start(api);
  await untilStore(api, () => podCidrs(api, 'a') !== undefined);
  putNode(api, 'b', '10.10.30.102');
  await untilStore(api, () => podCidrs(api, 'b') !== undefined);
  assert.deepEqual(podCidrs(api, 'a'), ['10.244.0.0/24', 'fd00:10:244::/64']);
  assert.deepEqual(podCidrs(api, 'b'), ['10.244.1.0/24', 'fd00:10:244:1::/64']);
  assert.equal(operator.status().leading, true);
  await operator.stop();
});

test('a pool that overlaps the services gives nothing, and an Event tells each node why', async () => {
  await using api = await FakeApi.start();
  const serviceCidr = { metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.244.128.0/20'] } };
  api.store.put('servicecidrs', { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', ...serviceCidr });
  putNode(api, 'a', '10.10.30.101');
  const operator = start(api);
  await untilStore(api, () => api.store.list('events').length > 0);
  const [event] = api.store.list('events');
  assert.equal(event?.reason, 'PodCIDRNotAvailable');
  assert.match(JSON.stringify(event), /10\.244\.0\.0\/16 overlaps 10\.244\.128\.0\/20, the services of ServiceCIDR/);
  assert.equal(podCidrs(api, 'a'), undefined);
  assert.equal(operator.status().plan?.refusals.length, 1);
  await operator.stop();
});

test('a pool that overlaps a network of the nodes or one of their addresses gives nothing, with the reason', async () => {
  await using api = await FakeApi.start();
  putNode(api, 'a', '10.10.30.101');
  putNode(api, 'b', 'fd00:10:244:7::1');
  const operator = start(api, [parsePrefix('10.244.7.0/24')]);
  await untilStore(api, () => api.store.list('events').length > 1);
  assert.deepEqual(
    operator.status().plan?.refusals.map(({ reason }) => reason),
    [
      '10.244.0.0/16 overlaps 10.244.7.0/24, a network that the nodes are attached to',
      'fd00:10:244::/48 overlaps fd00:10:244:7::1/128, the address of node b',
    ],
  );
  assert.deepEqual([podCidrs(api, 'a'), podCidrs(api, 'b')], [undefined, undefined]);
  await operator.stop();
});

test('an API server that refuses and comes back is survived', async () => {
  await using api = await FakeApi.start();
  putNode(api, 'a', '10.10.30.101');
  let refusals = 0;
  api.fault = (request, response) => {
    if (request.method !== 'PATCH' || refusals === 2) return false;
    refusals += 1;
    sendStatus(response, 500, 'InternalError', 'etcdserver: request timed out');
    return true;
  };
  const operator = start(api);
  await untilStore(api, () => podCidrs(api, 'a') !== undefined);
  assert.equal(refusals, 2);
  await operator.stop();
});

test('what it may not read is told on the Lease and makes it unready, until it may', async () => {
  await using api = await FakeApi.start();
  putNode(api, 'a', '10.10.30.101');
  let refuses = true;
  api.fault = (request, response) => {
    if (!refuses || request.method !== 'GET' || request.path !== '/api/v1/pods') return false;
    sendStatus(response, 403, 'Forbidden', 'pods is forbidden: cannot list resource "pods"');
    return true;
  };
  const said = () => {
    const { metadata } = api.store.get('leases', `kube-system/${operatorLease.name}`) ?? {};
    return (metadata as { annotations?: Record<string, string> } | undefined)?.annotations?.[
      operatorLease.problemAnnotation
    ];
  };
  const operator = start(api);
  await untilStore(api, () => said() !== undefined);
  assert.match(said() ?? '', /^pods: .*cannot list resource "pods"/);
  assert.equal(operator.status().problem, said());
  refuses = false;
  await untilStore(api, () => operator.status().leading && said() === undefined);
  assert.equal(operator.status().problem, undefined);
  await operator.stop();
});

test('Events tell what of Services and EndpointSlices is not served, once for the whole cluster', async () => {
  await using api = await FakeApi.start();
  const service = (name: string, uid: string, creationTimestamp: string, spec: object) =>
    api.store.put('services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'shop', name, uid, creationTimestamp },
      spec,
    });
  const [early, late] = ['2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'];
  service('web', 'u1', early, { clusterIP: '10.96.0.10', ports: [{ port: 80 }], externalIPs: ['192.0.2.1'] });
  service('copy', 'u2', late, { clusterIP: '10.96.0.10', ports: [{ port: 80 }] });
  service('odd', 'u3', late, { clusterIP: '10.96.0.11', ports: [{ port: 70_000 }, { port: 9, protocol: 'SCTP' }] });
  service('fine', 'u4', late, { clusterIP: '10.96.0.12', ports: [{ port: 80 }] });
  api.store.put('endpointslices', {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'shop', name: 'web-x', uid: 'u5', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'FQDN',
    endpoints: [],
    ports: [],
  });
  const operator = start(api);
  await untilStore(api, () => api.store.list('events').length >= 5);
  const events = api.store.list('events') as unknown as {
    type: string;
    reason: string;
    message: string;
    involvedObject: { kind: string; name: string; uid: string };
  }[];
  const told = events.map(({ type, reason, message, involvedObject: { kind, name, uid } }) =>
    [type, kind, name, uid, reason, message].join(' '),
  );
  assert.deepEqual(told.sort(), [
    'Warning EndpointSlice web-x u5 InvalidEndpointSlice not used: addressType: "FQDN" is none of IPv4, IPv6',
    'Warning Service copy u2 AddressConflict 10.96.0.10:80/TCP belongs to the older service shop/web: this service is not reached there',
    'Warning Service odd u3 InvalidService not used: spec.ports[0].port: 70000 is not a port (1 to 65535)',
    'Warning Service odd u3 NotServed SCTP is not served: its ports stand in a checksum that is over all: 10.96.0.11:9/SCTP',
    'Warning Service web u1 NotServed externalIPs.enabled is off: 192.0.2.1:80/TCP',
  ]);
  await operator.stop();
});

test('a Service whose external address belongs to somebody else is told by an Event', async () => {
  await using api = await FakeApi.start();
  putNode(api, 'k8s-cp1', '10.10.30.101');
  const service = (name: string, clusterIP: string, externalIPs: readonly string[]) =>
    api.store.put('services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'shop', name, uid: `uid-${name}`, creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { clusterIP, ports: [{ port: 80 }], externalIPs },
    });
  service('web', '10.96.0.10', []);
  service('thief', '10.96.0.11', ['10.96.0.10', '10.10.30.101', '192.0.2.1']);
  const operator = start(api, [], { externalIps: true });
  const told = () =>
    (api.store.list('events') as unknown as { reason: string; message: string }[])
      .filter(({ reason }) => reason === 'NotServed')
      .map(({ message }) => message)
      .sort();
  await untilStore(api, () => told().length >= 2);
  assert.deepEqual(told(), [
    '10.10.30.101 belongs to Node k8s-cp1, and externalIPs.allowed does not name it: 10.10.30.101:80/TCP of shop/thief',
    '10.96.0.10 belongs to Service shop/web, and externalIPs.allowed does not name it: 10.96.0.10:80/TCP of shop/thief',
  ]);
  await operator.stop();
});

test('a NodePort that no node looks for is told on its Service', async () => {
  await using api = await FakeApi.start();
  putNode(api, 'k8s-cp1', '10.10.30.101');
  api.store.put('services', {
    metadata: { namespace: 'shop', name: 'web', uid: 'uid-web', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { type: 'NodePort', clusterIP: '10.96.0.10', ports: [{ port: 80, nodePort: 40_080 }] },
  });
  const operator = start(api, []);
  const told = () => api.store.list('events') as unknown as { reason: string; message: string }[];
  await untilStore(api, () => told().some(({ reason }) => reason === 'NotServed'));
  const message = 'the port is not in nodePort.range: *:40080/TCP';
  assert.deepEqual(
    told().flatMap((event) => (event.reason === 'NotServed' ? [event.message] : [])),
    [message],
  );
  await operator.stop();
});
