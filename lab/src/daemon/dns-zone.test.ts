import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Service } from '../apiserver/index.ts';
import { outsideText, reverseName, zoneText } from './dns-zone.ts';

const meta = (name: string) => ({ name, namespace: 'web', uid: name, resourceVersion: '1', creationTimestamp: '' });

function service(name: string, spec: Service['spec']): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: meta(name), spec, status: {} };
}

function slice(ofService: string, endpoints: EndpointSlice['endpoints']): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...meta(`${ofService}-1`), labels: { 'kubernetes.io/service-name': ofService } },
    addressType: 'IPv4',
    endpoints,
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  };
}

const lines = (...args: Parameters<typeof zoneText>) =>
  zoneText(...args)
    .trim()
    .split('\n');

test('a service of both families has an address record of each, and its named ports are found', () => {
  const spec = { clusterIPs: ['10.96.0.7', 'fd00:10:96::7'], ports: [{ name: 'http', port: 80 }] };
  const zone = lines([service('shop', spec)], [], 'cluster.local');
  assert.ok(zone.includes('shop.web.svc.cluster.local A 10.96.0.7'));
  assert.ok(zone.includes('shop.web.svc.cluster.local AAAA fd00:10:96::7'));
  assert.ok(zone.includes('7.0.96.10.in-addr.arpa PTR shop.web.svc.cluster.local'));
  assert.ok(zone.includes('_http._tcp.shop.web.svc.cluster.local SRV 0 100 80 shop.web.svc.cluster.local'));
});

test('a headless service has the addresses of its ready pods, each with a name of its own', () => {
  const endpoints = [
    { addresses: ['10.244.0.5'], hostname: 'db-0' },
    { addresses: ['10.244.1.9'], conditions: { ready: false } },
  ];
  const zone = lines([service('db', { clusterIPs: ['None'] })], [slice('db', endpoints)], 'cluster.local');
  assert.ok(zone.includes('db.web.svc.cluster.local A 10.244.0.5'));
  assert.ok(zone.includes('db-0.db.web.svc.cluster.local A 10.244.0.5'));
  assert.ok(!zone.some((line) => line.includes('10.244.1.9')));
});

test('a headless service that publishes addresses before they are ready has those, too', () => {
  const spec = { clusterIPs: ['None'], publishNotReadyAddresses: true };
  const endpoints = [{ addresses: ['10.244.1.9'], conditions: { ready: false } }];
  const zone = lines([service('db', spec)], [slice('db', endpoints)], 'cluster.local');
  assert.ok(zone.includes('db.web.svc.cluster.local A 10.244.1.9'));
});

test('an IPv6 address is looked up backwards digit by digit', () => {
  const digits = 'a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f';
  assert.equal(reverseName('fd00:10:96::a'), `${digits}.ip6.arpa`);
});

test('names outside have the records of their addresses, and one without addresses has none', () => {
  const names = { 'internet.test': ['198.51.100.10', '2001:db8:100::10'], 'ipv4.internet.test': [] };
  assert.equal(outsideText(names), 'internet.test A 198.51.100.10\ninternet.test AAAA 2001:db8:100::10\n');
});
