import assert from 'node:assert/strict';
import { test } from 'node:test';
import { iptablesChange, iptablesRules } from './iptables-rules.ts';
import { fillerService, type ProxyService } from './proxy-service.ts';

const service: ProxyService = {
  name: 'web',
  address: '10.96.0.10',
  port: 80,
  endpoints: [
    { address: '10.244.1.2', port: 8080 },
    { address: '10.244.2.3', port: 8080 },
  ],
};
const ported = { ...service, nodePort: 30_080 };
const other = fillerService(1);

/** Of one of the two tables. */
function rulesOf(table: 'filter' | 'nat', text: string): string[] {
  const [, lines = ''] = text.split(`*${table}\n`);
  return (lines.split('COMMIT')[0] ?? '').split('\n').filter((line) => line.startsWith('-A '));
}

/** Where `-j` leads from a chain, in order. */
function jumps(rules: readonly string[], chain: string): string[] {
  const own = rules.filter((line) => line.startsWith(`-A ${chain} `));
  return own.map((line) => / -j (\S+)/.exec(line)?.[1] ?? '');
}

test('from the portal by the service to each endpoint, half of the connections to the first of two', () => {
  const rules = rulesOf('nat', iptablesRules([service]));
  const [portal = ''] = jumps(rules, 'KUBE-SERVICES');
  const line = (pattern: RegExp) =>
    assert.ok(
      rules.some((rule) => pattern.test(rule)),
      String(pattern),
    );
  line(new RegExp(`-d 10.96.0.10 --dport 80 -j ${portal}`));
  const [masquerade, ...endpoints] = jumps(rules, portal);
  assert.equal(masquerade, 'KUBE-MARK-MASQ');
  assert.equal(endpoints.length, 2);
  line(new RegExp(`--probability 0.5000000000 -j ${endpoints[0]}`));
  for (const [index, target] of ['10.244.1.2:8080', '10.244.2.3:8080'].entries())
    line(new RegExp(`-A ${endpoints[index]} .*-j DNAT --to-destination ${target}$`));
});

test('names of chains are as long as they may be, and each service has its own', () => {
  const chains = iptablesRules(Array.from({ length: 500 }, (_, index) => fillerService(index)))
    .split('\n')
    .filter((line) => /^:KUBE-(SVC|SEP)-/.test(line));
  assert.equal(new Set(chains).size, 1500);
  for (const chain of chains) assert.ok((/^:(\S+)/.exec(chain)?.[1] ?? '').length <= 28, chain);
});

test('a NodePort is looked for last, is masqueraded, and leads to the service', () => {
  const rules = rulesOf('nat', iptablesRules([ported, other]));
  assert.equal(jumps(rules, 'KUBE-SERVICES').at(-1), 'KUBE-NODEPORTS');
  const [external = '', ...others] = jumps(rules, 'KUBE-NODEPORTS');
  assert.deepEqual(others, [], 'the other service has none');
  assert.ok(rules.some((line) => /^-A KUBE-NODEPORTS .*--dport 30080 /.test(line)));
  assert.deepEqual(jumps(rules, external), ['KUBE-MARK-MASQ', jumps(rules, 'KUBE-SERVICES')[0]]);
});

test('a change has the chains of its service and no other’s, and the portals of all', () => {
  const change = iptablesChange([ported, other], ported);
  const chains = change.split('\n').filter((line) => /^:KUBE-(SVC|SEP|EXT)-/.test(line));
  assert.equal(chains.length, 4);
  const rules = rulesOf('nat', change);
  const all = rulesOf('nat', iptablesRules([ported, other]));
  assert.deepEqual(jumps(rules, 'KUBE-SERVICES'), jumps(all, 'KUBE-SERVICES'));
  assert.deepEqual(jumps(rules, 'PREROUTING'), [], 'the jumps are there since the start');
});

test('a service without endpoints is refused at its address and at its NodePort', () => {
  const text = iptablesRules([{ ...ported, endpoints: [] }]);
  assert.deepEqual(jumps(rulesOf('filter', text), 'KUBE-SERVICES'), ['REJECT']);
  assert.deepEqual(jumps(rulesOf('filter', text), 'KUBE-EXTERNAL-SERVICES'), ['REJECT']);
  assert.deepEqual(jumps(rulesOf('nat', text), 'KUBE-SERVICES'), ['KUBE-NODEPORTS']);
});

test('with affinity the endpoints that know the client come before the choice', () => {
  const rules = rulesOf('nat', iptablesRules([{ ...service, affinitySeconds: 10_800 }]));
  const [chain = ''] = jumps(rules, 'KUBE-SERVICES');
  const [, ...endpoints] = jumps(rules, chain);
  assert.deepEqual(endpoints.slice(0, 2), endpoints.slice(2));
  const known = rules.filter((line) => line.startsWith(`-A ${chain} `) && line.includes('--rcheck --seconds 10800'));
  assert.equal(known.length, 2);
});

test('rules of endpoints have comments up to a thousand endpoints', () => {
  const commented = (count: number) => {
    const rules = rulesOf('nat', iptablesRules(Array.from({ length: count }, (_, index) => fillerService(index))));
    return rules.filter((line) => /^-A KUBE-SEP-\S+ -m comment/.test(line)).length;
  };
  assert.equal(commented(500), 2_000);
  assert.equal(commented(501), 0);
});
