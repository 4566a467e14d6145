import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEndpointSlice, parseService } from '@sluice/kube';
import { type FrontendRow, frontendEndpoints } from '@sluice/loadbalancer';
import { parseAddress } from '@sluice/net';
import { Table } from '@sluice/state';
import { explainTestSources } from '../test/explain-sources.ts';
import { shownFrontends } from './frontend-list.ts';

const backend = { key: '10.244.0.9:8080/TCP', state: 'active', nodeName: 'k8s-cp1', zone: 'a' };
const row: FrontendRow = {
  ...{ key: '0.0.0.0:30080/TCP/external', id: 1, type: 'NodePort', service: 'shop/web', portName: 'http' },
  ...{ sourceRanges: undefined, isNodeAllowed: true, algorithm: 'random', whyRandom: undefined, forwarding: undefined },
  ...{ policy: 'Local', affinitySeconds: 60, unused: '1 on another node', backends: [backend] },
  ...{ state: 'done', reason: undefined },
};

function listed(rows: readonly FrontendRow[], query = '') {
  const frontends = new Table<FrontendRow>({
    ...{ name: 'frontends', key: ({ key }) => key },
    columns: { Frontend: ({ key }) => key, 'Not Used': ({ unused }) => unused ?? '', Status: ({ state }) => state },
  });
  for (const each of rows) frontends.upsert(each);
  const unasked = () => assert.fail('the kernel is not asked');
  const sources = explainTestSources({ frontends, backendsOf: unasked, service: unasked });
  const ports = [{ name: 'http', port: 80, nodePort: 30_080 }];
  const spec = { type: 'NodePort', clusterIPs: ['10.96.4.7'], ports, externalTrafficPolicy: 'Local' };
  sources.services.upsert(parseService({ metadata: { namespace: 'shop', name: 'web' }, spec }));
  const endpoints = [
    { addresses: ['10.244.0.9'], nodeName: 'k8s-cp1', zone: 'a' },
    { addresses: ['10.244.1.7'], nodeName: 'k8s-cp2', zone: 'b' },
    { addresses: ['10.244.0.8'], nodeName: 'k8s-cp1', zone: 'a', conditions: { ready: false } },
  ];
  const labels = { 'kubernetes.io/service-name': 'web' };
  const slice = { metadata: { namespace: 'shop', name: 'web-1', labels }, addressType: 'IPv4', endpoints };
  sources.endpointSlices.upsert(
    parseEndpointSlice({ ...slice, ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] }),
  );
  const endpointsOf = (each: FrontendRow) => frontendEndpoints(each, { ...sources, nodeName: 'k8s-cp1' });
  const nodePortAddresses = () => ({ served: [parseAddress('10.10.30.101')] });
  const shown = shownFrontends({
    services: sources.services,
    loadBalancer: { frontends, endpointsOf },
    nodePortAddresses,
  });
  return [...shown.lines(new URLSearchParams(query))].slice(1);
}

test('a frontend is listed with both policies and each endpoint that it does not use, and why', () => {
  const [line] = listed([row]);
  assert.ok(line && 'row' in line);
  assert.deepEqual(line.cells, [row.key, '1 not ready, 1 on another node', 'done']);
  const seen = { pod: undefined, hints: [] };
  assert.deepEqual(line.row, {
    ...row,
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Local',
    lacksAddress: false,
    unusedEndpoints: [
      { key: '10.244.0.8:8080/TCP', nodeName: 'k8s-cp1', zone: 'a', state: 'not ready', why: 'not ready', ...seen },
      { key: '10.244.1.7:8080/TCP', nodeName: 'k8s-cp2', zone: 'b', state: 'ready', why: 'on another node', ...seen },
    ],
  });
});

test('what is not served, and what no Service asks for, has no endpoints and no policies of its own', () => {
  const rows: FrontendRow[] = [
    { ...row, state: 'off', backends: [], reason: 'externalIPs.enabled is off' },
    { ...row, key: '0.0.0.0:8080/TCP', type: 'HostPort', service: 'shop/web-1' },
  ];
  for (const line of listed(rows)) {
    assert.ok('row' in line);
    const { unusedEndpoints } = line.row as { unusedEndpoints: unknown[] };
    assert.deepEqual([line.cells[1], unusedEndpoints], ['', []]);
  }
});

test('frontends are narrowed down to some services, and by nothing else', () => {
  const rows = [row, { ...row, key: '10.96.4.9:80/TCP', service: 'other/web' }];
  assert.equal(listed(rows, 'namespace=other').length, 1);
  assert.equal(listed(rows, 'service=web').length, 2);
  assert.deepEqual(listed(rows, 'service=shop/db'), []);
  assert.throws(() => listed(rows, 'pod=web'), /no parameter pod; there are service, namespace/);
});

test('a NodePort that no address of the node has says so; one at the loopback, and what is no NodePort, has its own', () => {
  const status = (more: Partial<FrontendRow>) => {
    const [line] = listed([{ ...row, ...more }]);
    return line && 'cells' in line ? line.cells[2] : undefined;
  };
  assert.equal(status({ key: '0.0.0.0:30080/TCP' }), 'done');
  assert.equal(status({ key: '[::]:30080/TCP' }), 'done, at no address of this node (nodePort.addresses)');
  assert.equal(status({ key: '[::1]:30080/TCP' }), 'done');
  assert.equal(status({ key: '[fd00:10:96::7]:80/TCP', type: 'ClusterIP' }), 'done');
});
