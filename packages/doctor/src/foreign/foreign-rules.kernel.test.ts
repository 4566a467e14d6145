import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { foreignRules } from './foreign-rules.ts';

const withoutNft = spawnSync('nft', ['--version']).error ? 'nft is not installed' : false;
const withoutLegacy = spawnSync('iptables-legacy', ['--version']).error ? 'iptables-legacy is not installed' : false;

test('an empty namespace has no rules', () => {
  using netns = temporaryNetworkNamespace();
  assert.deepEqual(
    netns.run(() => foreignRules({ procPath: '/proc/thread-self' })),
    {
      foreignRules: [],
      foreignRulesUnknown: undefined,
    },
  );
});

test('nftables rules are counted by their table', { skip: withoutNft }, () => {
  using netns = temporaryNetworkNamespace();
  const script =
    'add table inet mine; add chain inet mine input; add rule inet mine input accept; add rule inet mine input drop';
  spawnSync('nsenter', [`--net=${netns.path}`, 'nft', script]);
  assert.deepEqual(netns.run(() => foreignRules({ procPath: '/proc/thread-self' })).foreignRules, [
    { kind: 'nftables', owner: 'table inet mine', count: 2 },
  ]);
});

test('legacy iptables rules are counted by the owner of their chain, policies and chain heads are not', {
  skip: withoutLegacy,
}, (context) => {
  using netns = temporaryNetworkNamespace();
  const iptables = (...rule: string[]) =>
    spawnSync('nsenter', [`--net=${netns.path}`, 'iptables-legacy', ...rule], { encoding: 'utf8' });
  const first = iptables('-t', 'nat', '-N', 'KUBE-SERVICES');
  if (first.status !== 0) return context.skip(`legacy iptables is not in this kernel: ${first.stderr}`);
  iptables('-t', 'nat', '-A', 'KUBE-SERVICES', '-d', '10.96.0.1', '-j', 'ACCEPT');
  iptables('-t', 'nat', '-A', 'PREROUTING', '-j', 'KUBE-SERVICES');
  assert.deepEqual(netns.run(() => foreignRules({ procPath: '/proc/thread-self' })).foreignRules, [
    { kind: 'iptables', owner: 'table nat', count: 1 },
    { kind: 'iptables', owner: 'kube-proxy', count: 1 },
  ]);
});
