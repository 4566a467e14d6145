import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseService } from '@sluice/kube';
import { serviceTroubles } from './troubles.ts';

function told(ingress: readonly object[], protocol = 'TCP'): string[] {
  const service = parseService({
    metadata: { namespace: 'shop', name: 'web', uid: 'u' },
    spec: { type: 'LoadBalancer', clusterIPs: ['10.96.4.7'], ports: [{ port: 80, protocol }] },
    status: { loadBalancer: { ingress } },
  });
  return serviceTroubles(service, [], { nodeName: undefined, externalIps: true }).map(
    ({ reason, message }) => `${reason} ${message}`,
  );
}

test('an address that its balancer keeps for itself is no trouble: the controller has asked for it', () => {
  assert.deepEqual(told([{ ip: '192.0.2.9', ipMode: 'Proxy' }, { hostname: 'lb.example.org' }]), []);
  assert.deepEqual(told([{ ip: '2001:db8::9' }]), [
    'NotServed the service has no cluster address of IPv6 (spec.ipFamilies): [2001:db8::9]:80/TCP',
  ]);
});

test('places with one reason are one trouble', () => {
  assert.deepEqual(told([{ ip: '192.0.2.9' }], 'SCTP'), [
    'NotServed SCTP is not served: its ports stand in a checksum that is over all: 10.96.4.7:80/SCTP, 192.0.2.9:80/SCTP',
  ]);
});
