import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEndpointSlice, parseService } from '@sluice/kube';
import { desiredFrontends } from './desired.ts';
import { unservedFrontends } from './unserved.ts';

interface EndpointSketch {
  readonly address: string;
  readonly conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
}

const service = (spec: object, name = 'web') =>
  parseService({ metadata: { namespace: 'shop', name, creationTimestamp: '2026-01-01T00:00:00Z' }, spec });

const slice = (endpoints: readonly EndpointSketch[], more: object = {}) =>
  parseEndpointSlice({
    metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints: endpoints.map(({ address, conditions }) => ({ addresses: [address], conditions })),
    ...more,
  });

const web = service({ clusterIPs: ['10.96.0.5'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] });
const backendsOf = (slices: Parameters<typeof desiredFrontends>[1], of = web): string[] =>
  desiredFrontends(of, slices).flatMap((frontend) => frontend.backends.map((b) => `${b.key} ${b.state}`));

test('a frontend has the ready endpoints of all its slices, each once, in one order', () => {
  const first = slice([{ address: '10.244.1.9' }, { address: '10.244.1.2' }]);
  const second = slice([{ address: '10.244.0.7' }, { address: '10.244.1.9' }]);
  const expected = ['10.244.0.7:8080/TCP active', '10.244.1.2:8080/TCP active', '10.244.1.9:8080/TCP active'];
  assert.deepEqual(backendsOf([first, second]), expected);
  assert.deepEqual(backendsOf([second, first]), expected);
});

test('an endpoint that is not ready is left out while another is', () => {
  const slices = [
    slice([{ address: '10.244.1.2' }, { address: '10.244.1.3', conditions: { ready: false, serving: false } }]),
  ];
  assert.deepEqual(backendsOf(slices), ['10.244.1.2:8080/TCP active']);
});

test('terminating endpoints that serve are used only when none is ready', () => {
  const leaving = { ready: false, serving: true, terminating: true };
  const both = [slice([{ address: '10.244.1.2' }, { address: '10.244.1.3', conditions: leaving }])];
  const only = [slice([{ address: '10.244.1.3', conditions: leaving }])];
  assert.deepEqual(backendsOf(both), ['10.244.1.2:8080/TCP active']);
  assert.deepEqual(backendsOf(only), ['10.244.1.3:8080/TCP terminating']);
});

test('an endpoint that neither is ready nor terminates is no fallback', () => {
  assert.deepEqual(backendsOf([slice([{ address: '10.244.1.3', conditions: { ready: false, serving: true } }])]), []);
});

test('each family of a dual-stack service takes the slices of its family', () => {
  const dual = service({ clusterIPs: ['10.96.0.5', 'fd00:10:96::5'], ports: [{ name: 'http', port: 80 }] });
  const v6 = slice([{ address: 'fd00:10:244:1::2' }], { addressType: 'IPv6' });
  const frontends = desiredFrontends(dual, [slice([{ address: '10.244.1.2' }]), v6]);
  assert.deepEqual(
    frontends.map((frontend) => [frontend.key, frontend.backends.map((backend) => backend.key)]),
    [
      ['10.96.0.5:80/TCP', ['10.244.1.2:8080/TCP']],
      ['[fd00:10:96::5]:80/TCP', ['[fd00:10:244:1::2]:8080/TCP']],
    ],
  );
});

test('a port finds its endpoints by name and protocol, whatever number each slice gives it', () => {
  const dns = service({
    clusterIPs: ['10.96.0.10'],
    ports: [
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'dns-tcp', port: 53, protocol: 'TCP' },
    ],
  });
  const one = slice([{ address: '10.244.1.2' }], { ports: [{ name: 'dns', protocol: 'UDP', port: 53 }] });
  const other = slice([{ address: '10.244.1.3' }], { ports: [{ name: 'dns', protocol: 'UDP', port: 5353 }] });
  assert.deepEqual(backendsOf([one, other], dns), ['10.244.1.2:53/UDP active', '10.244.1.3:5353/UDP active']);
});

test('headless services and external names have no frontend', () => {
  assert.deepEqual(desiredFrontends(service({ clusterIP: 'None', ports: [{ port: 80 }] }), []), []);
  assert.deepEqual(desiredFrontends(service({ type: 'ExternalName', externalName: 'example.org' }), []), []);
});

test('a service that its labels leave to another proxy, or to none, has no frontend, whatever the label says', () => {
  for (const label of ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless']) {
    const metadata = { namespace: 'shop', name: 'web', labels: { [label]: '' } };
    const spec = { clusterIPs: ['10.96.0.5'], ports: [{ port: 80, nodePort: 30_080 }], type: 'NodePort' };
    const labelled = parseService({ metadata, spec });
    assert.deepEqual(desiredFrontends(labelled, [slice([{ address: '10.244.1.2' }])]), []);
    assert.deepEqual(unservedFrontends(labelled), []);
  }
});

test('session affinity keeps Kubernetes default of three hours, or what the service says', () => {
  const spec = { clusterIPs: ['10.96.0.5'], ports: [{ port: 80 }], sessionAffinity: 'ClientIP' };
  const timed = { ...spec, sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } };
  assert.equal(desiredFrontends(service(spec), [])[0]?.affinitySeconds, 10_800);
  assert.equal(desiredFrontends(service(timed), [])[0]?.affinitySeconds, 60);
  assert.equal(desiredFrontends(web, [])[0]?.affinitySeconds, 0);
});
