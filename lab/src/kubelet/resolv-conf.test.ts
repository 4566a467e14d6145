import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec } from '../apiserver/index.ts';
import { podHosts, podResolvConf } from './resolv-conf.ts';

const dns = { servers: ['10.96.0.10'], domain: 'cluster.local' };
const nodeText = 'nameserver 192.0.2.53\nsearch example.org\noptions timeout:2\n';

function pod(spec: Partial<PodSpec>): Pod {
  const metadata = { name: 'web-0', namespace: 'shop', uid: 'u', resourceVersion: '1', creationTimestamp: '' };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...spec }, status: {} };
}

test('a pod searches its own namespace first, then all services, then the cluster', () => {
  const text = podResolvConf(pod({}), dns, nodeText);
  assert.equal(
    text,
    'nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n',
  );
});

test("a pod on the host's network asks the node's name server, unless it wants the cluster's", () => {
  const onHost = podResolvConf(pod({ hostNetwork: true, dnsPolicy: 'ClusterFirst' }), dns, nodeText);
  assert.equal(onHost, nodeText);
  const withCluster = podResolvConf(pod({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), dns, nodeText);
  assert.match(withCluster, /^nameserver 10\.96\.0\.10$/m);
});

test('dnsPolicy None leaves only what dnsConfig says', () => {
  const dnsConfig = { nameservers: ['192.0.2.1'], searches: ['lab'], options: [{ name: 'ndots', value: '2' }] };
  assert.equal(
    podResolvConf(pod({ dnsPolicy: 'None', dnsConfig }), dns, nodeText),
    'nameserver 192.0.2.1\nsearch lab\noptions ndots:2\n',
  );
});

test('dnsConfig adds to what the policy gives and overrides its options', () => {
  const dnsConfig = { nameservers: ['192.0.2.1'], options: [{ name: 'ndots', value: '1' }, { name: 'edns0' }] };
  const text = podResolvConf(pod({ dnsConfig }), dns, nodeText);
  assert.match(text, /^nameserver 10\.96\.0\.10\nnameserver 192\.0\.2\.1\n/);
  assert.match(text, /^options ndots:1 edns0$/m);
});

test('a pod of a headless service finds itself by its full name', () => {
  const text = podHosts(pod({ hostname: 'web-0', subdomain: 'web' }), ['10.244.0.9'], 'cluster.local');
  assert.ok(text.includes('10.244.0.9\tweb-0.web.shop.svc.cluster.local\tweb-0\n'));
});
