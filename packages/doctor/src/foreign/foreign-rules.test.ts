import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countByOwner } from './foreign-rules.ts';

const rule = (table: string, chain: string) => ({ kind: 'iptables', table, chain }) as const;

test("chains of the kubelet and of kube-router are not called kube-proxy's, and the unknown bear their table's name", () => {
  const rules = [
    rule('nat', 'KUBE-SERVICES'),
    rule('nat', 'KUBE-SVC-ABC'),
    rule('mangle', 'KUBE-KUBELET-CANARY'),
    rule('mangle', 'KUBE-IPTABLES-HINT'),
    rule('filter', 'KUBE-FIREWALL'),
    rule('filter', 'INPUT'),
    rule('filter', 'KUBE-ROUTER-INPUT'),
    rule('filter', 'KUBE-POD-FW-ABC'),
  ];
  assert.deepEqual(
    countByOwner(rules).map(({ owner, count }) => [owner, count]),
    [
      ['kubelet', 3],
      ['kube-proxy', 2],
      ['kube-router', 2],
      ['table filter', 1],
    ],
  );
});

test("tables of nftables are their owner's whatever their family is", () => {
  const table = (name: string) => ({ kind: 'nftables', table: name, chain: 'services' }) as const;
  const found = countByOwner([
    table('ip kube-proxy'),
    table('ip6 kube-proxy'),
    table('inet firewalld'),
    table('inet mine'),
  ]);
  assert.deepEqual(
    found.map(({ owner, count }) => [owner, count]),
    [
      ['kube-proxy', 2],
      ['firewalld', 1],
      ['table inet mine', 1],
    ],
  );
});
