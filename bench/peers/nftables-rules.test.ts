import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nftablesChange, nftablesRules } from './nftables-rules.ts';
import { fillerService, type ProxyService } from './proxy-service.ts';

const service: ProxyService = {
  name: 'web',
  address: '10.96.0.10',
  port: 80,
  endpoints: [
    { address: '10.244.1.2', port: 8080, isLocal: true },
    { address: '10.244.2.3', port: 8080 },
  ],
};
const ported = { ...service, nodePort: 30_080 };
const other = fillerService(1);

/** What is added to a container, or as rules to a chain, in order. */
function added(text: string, kind: 'element' | 'rule', name: string): string[] {
  const prefix = `add ${kind} ip kube-proxy ${name} `;
  const lines = text.split('\n').filter((line) => line.startsWith(prefix));
  return lines.map((line) => line.slice(prefix.length));
}

/** Of the only element: where it goes. */
function target(text: string, map: string): string {
  const [element = '', ...others] = added(text, 'element', map);
  assert.deepEqual(others, []);
  return / : goto (\S+) /.exec(element)?.[1] ?? '';
}

test('the map leads to the service’s chain, and its one rule to an endpoint by number', () => {
  const rules = nftablesRules([service]);
  const chain = target(rules, 'service-ips');
  assert.match(chain, /^service-[A-Z2-7]{8}-bench\/web\/tcp\/$/);
  assert.deepEqual(added(rules, 'element', 'service-ips'), [`{ 10.96.0.10 . tcp . 80 : goto ${chain} }`]);
  assert.deepEqual(added(rules, 'rule', chain), [
    'meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.244.1.2 . 8080 , 1 : 10.244.2.3 . 8080 }',
  ]);
});

test('the only endpoint needs no map', () => {
  const rules = nftablesRules([{ ...service, endpoints: service.endpoints.slice(1) }]);
  assert.deepEqual(added(rules, 'rule', target(rules, 'service-ips')), ['meta l4proto tcp dnat to 10.244.2.3:8080']);
});

test('an endpoint of this node may reach itself: it and only it is a hairpin', () => {
  assert.deepEqual(added(nftablesRules([service]), 'element', 'hairpin-connections'), [
    '{ 10.244.1.2 . 10.244.1.2 . tcp . 8080 }',
  ]);
});

test('a NodePort is for the addresses of the node alone, is masqueraded, and leads to the service', () => {
  const rules = nftablesRules([ported], { nodeAddresses: ['192.0.2.1'] });
  assert.deepEqual(added(rules, 'element', 'nodeport-ips'), ['{ 192.0.2.1 }']);
  const external = target(rules, 'service-nodeports');
  assert.deepEqual(added(rules, 'element', 'service-nodeports'), [`{ tcp . 30080 : goto ${external} }`]);
  assert.deepEqual(added(rules, 'rule', external), [
    'mark set mark or 0x4000 comment "masquerade"',
    `goto ${target(rules, 'service-ips')}`,
  ]);
  const dispatch = added(rules, 'rule', 'services');
  assert.ok(
    dispatch.includes('ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports'),
    String(dispatch),
  );
});

test('a service without endpoints is refused at its address and at its NodePort, and has no chain', () => {
  const rules = nftablesRules([{ ...ported, endpoints: [] }]);
  const refused = 'comment "bench/web" : goto reject-chain';
  assert.deepEqual(added(rules, 'element', 'no-endpoint-services'), [`{ 10.96.0.10 . tcp . 80 ${refused} }`]);
  assert.deepEqual(added(rules, 'element', 'no-endpoint-nodeports'), [`{ tcp . 30080 ${refused} }`]);
  assert.deepEqual(added(rules, 'element', 'service-ips'), []);
  assert.doesNotMatch(rules, /chain ip kube-proxy \S+-bench/);
});

test('with affinity a set of each endpoint’s clients comes before the choice', () => {
  const rules = nftablesRules([{ ...service, affinitySeconds: 10_800 }]);
  const sets = [...rules.matchAll(/add set ip kube-proxy (affinity-\S+) \{ type ipv4_addr ; (.*) ; \}/g)];
  assert.deepEqual(
    sets.map(([, , flags]) => flags),
    Array(2).fill('flags dynamic,timeout ; timeout 10800s'),
  );
  const chain = target(rules, 'service-ips');
  const endpoints = sets.map(([, set = '']) => set.replace('affinity-', 'endpoint-'));
  assert.deepEqual(added(rules, 'rule', chain), [
    ...sets.map(([, set], index) => `ip saddr @${set} goto ${endpoints[index]}`),
    `numgen random mod 2 vmap { 0 : goto ${endpoints[0]} , 1 : goto ${endpoints[1]} }`,
  ]);
  assert.deepEqual(added(rules, 'rule', endpoints[1] ?? ''), [
    `update @${sets[1]?.[1]} { ip saddr }`,
    'meta l4proto tcp dnat to 10.244.2.3:8080',
  ]);
});

test('a change writes the chains of its service and nothing else', () => {
  const all = nftablesRules([ported, other]);
  const change = nftablesChange(ported).trimEnd().split('\n');
  for (const line of change) assert.match(line, /^(add|flush) (chain|rule) ip kube-proxy \S+-bench\/web\/tcp\//);
  assert.deepEqual(
    change,
    all.split('\n').filter((line) => /^(add|flush) (chain|rule) ip kube-proxy \S+-bench\/web\//.test(line)),
  );
});
