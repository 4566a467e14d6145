import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectKey, parseEndpointSlice, parseService, type ServiceObject } from '@sluice/kube';
import { parseAddress } from '@sluice/net';
import { Table } from '@sluice/state';
import { nameAddresses } from './names.ts';

const balanced = (name: string, clusterIp: string, ingress: readonly object[]) =>
  parseService({
    metadata: { namespace: 'shop', name },
    spec: { type: 'LoadBalancer', clusterIPs: [clusterIp], ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress } },
  });

function names(services: readonly ServiceObject[]) {
  const table = new Table<ServiceObject>({ name: 'services', key: objectKey, columns: {} });
  for (const service of services) table.upsert(service);
  const slice = parseEndpointSlice({
    metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    ...{ addressType: 'IPv4', ports: [] },
    endpoints: [{ addresses: ['10.244.1.7'], targetRef: { kind: 'Pod', namespace: 'shop', name: 'far', uid: 'u' } }],
  });
  const none = { list: () => [] };
  const nameOf = nameAddresses({
    endpoints: undefined,
    nodes: { nodes: none, ipcache: { podAt: () => undefined } },
    kubernetes: { services: table, endpointSlices: { list: () => [slice] } },
  } as unknown as Parameters<typeof nameAddresses>[0]);
  return (address: string) => nameOf(parseAddress(address));
}

test('an address is called by the pod that has it, else by its service, at the cluster and at the balancer', () => {
  const nameOf = names([balanced('web', '10.96.4.7', [{ ip: '192.0.2.9' }])]);
  assert.equal(nameOf('10.244.1.7'), 'shop/far');
  assert.equal(nameOf('10.96.4.7'), 'service shop/web');
  assert.equal(nameOf('192.0.2.9'), 'service shop/web');
  assert.equal(nameOf('192.0.2.10'), '');
});

test('a balancer’s address that several services share, or that the balancer keeps for itself, has no name', () => {
  const web = balanced('web', '10.96.4.7', [{ ip: '192.0.2.9' }, { ip: '192.0.2.10', ipMode: 'Proxy' }]);
  const nameOf = names([web, balanced('mail', '10.96.4.8', [{ ip: '192.0.2.9' }])]);
  assert.equal(nameOf('192.0.2.9'), '');
  assert.equal(nameOf('192.0.2.10'), '');
});
