import assert from 'node:assert/strict';
import { test } from 'node:test';
import { iptablesChange, iptablesRules, nftablesChange, nftablesRules, type ProxyService } from './proxy-rules.ts';

const service: ProxyService = {
  name: 'web',
  address: '10.96.0.10',
  port: 80,
  endpoints: [
    { address: '10.244.1.2', port: 8080 },
    { address: '10.244.2.3', port: 8080 },
  ],
};

/** Where `-j` leads from a chain, in order. */
function jumps(rules: string, chain: string): string[] {
  const lines = rules.split('\n').filter((line) => line.startsWith(`-A ${chain} `));
  return lines.map((line) => / -j (\S+)/.exec(line)?.[1] ?? '');
}

test('iptables: from the portal by the service to each endpoint, half of the connections to the first of two', () => {
  const rules = iptablesRules([service]);
  const [portal = ''] = jumps(rules, 'KUBE-SERVICES');
  assert.match(rules, new RegExp(`-d 10.96.0.10/32 -p tcp .*--dport 80 -j ${portal}`));
  const [masquerade, ...endpoints] = jumps(rules, portal);
  assert.equal(masquerade, 'KUBE-MARK-MASQ');
  assert.equal(endpoints.length, 2);
  assert.match(rules, new RegExp(`--probability 0.5000000000 -j ${endpoints[0]}`));
  const targets = endpoints.map((chain) => new RegExp(`-A ${chain} .*--to-destination (\\S+)`).exec(rules)?.[1]);
  assert.deepEqual(targets, ['10.244.1.2:8080', '10.244.2.3:8080']);
});

test('iptables: names of chains are as long as they may be, and each service has its own', () => {
  const services = Array.from({ length: 500 }, (_, index) => ({ ...service, name: `s${index}` }));
  const chains = iptablesRules(services)
    .split('\n')
    .filter((line) => /^:KUBE-(SVC|SEP)/.test(line));
  assert.equal(new Set(chains).size, 1500);
  for (const chain of chains) assert.ok((/^:(\S+)/.exec(chain)?.[1] ?? '').length <= 28, chain);
});

test('a change writes the chains of its service and no others', () => {
  const change = iptablesChange(service);
  assert.equal(change.split('\n').filter((line) => line.startsWith(':')).length, 3);
  assert.doesNotMatch(change, /KUBE-SERVICES/);
  assert.doesNotMatch(nftablesChange(service), /service-ips/);
});

test('nftables: the map leads to the service, numgen to its endpoints', () => {
  const rules = nftablesRules([service]);
  assert.match(rules, /service-ips \{ 10\.96\.0\.10 \. tcp \. 80 : goto service-web \}/);
  assert.match(rules, /numgen random mod 2 vmap \{ 0 : goto service-web-0, 1 : goto service-web-1 \}/);
  assert.match(rules, /chain service-web-1 \{ .*dnat to 10\.244\.2\.3:8080; \}/);
});

const ported = { ...service, nodePort: 30_080 };

test('iptables: a NodePort is looked for last, is masqueraded, and leads to the service', () => {
  const rules = iptablesRules([ported, { ...service, name: 'other' }]);
  assert.equal(jumps(rules, 'KUBE-SERVICES').at(-1), 'KUBE-NODEPORTS');
  const [external = '', ...others] = jumps(rules, 'KUBE-NODEPORTS');
  assert.deepEqual(others, [], 'the other service has none');
  assert.match(rules, new RegExp(`-A KUBE-NODEPORTS -p tcp .*--dport 30080 -j ${external}`));
  assert.deepEqual(jumps(rules, external), ['KUBE-MARK-MASQ', jumps(rules, 'KUBE-SERVICES')[0]]);
  assert.match(rules, new RegExp(`^:${external} `, 'm'));
});

test('nftables: a NodePort is for the addresses of the node alone, is masqueraded, and leads to the service', () => {
  const rules = nftablesRules([ported, { ...service, name: 'other' }], { nodeAddresses: ['192.0.2.1'] });
  assert.match(rules, /ip daddr @nodeport-ips meta l4proto \. th dport vmap @service-nodeports/);
  assert.match(rules, /nodeport-ips \{ 192\.0\.2\.1 \}/);
  assert.match(rules, /service-nodeports \{ tcp \. 30080 : goto external-web \}/);
  assert.match(rules, /chain external-web \{ jump mark-for-masquerade; goto service-web; \}/);
  assert.doesNotMatch(rules, /external-other/);
});
