import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { AddressFamily, bind, close, internetAddress, listen, SocketType, socket } from '@sluice/ffi';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { removeKubeProxyRules } from './kube-proxy.ts';

const missing = (program: string) => (spawnSync(program, ['--version']).error ? `${program} is not installed` : false);

/** A namespace in which the tools that kube-proxy uses can be run. */
function node() {
  const namespace = temporaryNetworkNamespace();
  const run = (program: string, args: readonly string[], input = '') => {
    const { status, stdout, stderr } = spawnSync('nsenter', [`--net=${namespace.path}`, program, ...args], {
      encoding: 'utf8',
      input,
    });
    if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  return {
    run,
    /** Rules and policies, without the comments that tell the time. */
    saved: (program: string, options: readonly string[] = []) =>
      run(program, ['--counters', ...options])
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')),
    clean: (isDryRun = false) => namespace.run(() => removeKubeProxyRules({ proc: '/proc', isDryRun })),
    inside: namespace.run,
    [Symbol.dispose]: () => namespace[Symbol.dispose](),
  };
}

/** What stays is in it twice over: before and behind, in chains of the kubelet, of an administrator, and of kube-router. */
const others = {
  filter: `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [7:700]
:OUTPUT ACCEPT [0:0]
:ADMIN - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-ROUTER-INPUT - [0:0]
[3:300] -A INPUT -p tcp -m tcp --dport 22 -j ADMIN
[0:0] -A INPUT -j KUBE-FIREWALL
[5:500] -A ADMIN -s SOURCE -m comment --comment "ours, not theirs" -j ACCEPT
[0:0] -A ADMIN -g KUBE-ROUTER-INPUT
[0:0] -A KUBE-FIREWALL -d LOOPBACK -j DROP
COMMIT
`,
};
const proxied = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [7:700]
:OUTPUT ACCEPT [0:0]
:ADMIN - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-ROUTER-INPUT - [0:0]
[0:0] -A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
[3:300] -A INPUT -p tcp -m tcp --dport 22 -j ADMIN
[0:0] -A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
[0:0] -A INPUT -j KUBE-FIREWALL
[1:10] -A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
[5:500] -A ADMIN -s SOURCE -m comment --comment "ours, not theirs" -j ACCEPT
[0:0] -A ADMIN -g KUBE-ROUTER-INPUT
[0:0] -A KUBE-EXTERNAL-SERVICES -p tcp -m tcp --dport 30080 -j KUBE-FORWARD
[0:0] -A KUBE-FIREWALL -d LOOPBACK -j DROP
[0:0] -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
[0:0] -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`;
const nat = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SEP-ABCDEFGHIJKLMNOP - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-SEP-ABCDEFGHIJKLMNOP -s SOURCE -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d SERVICE -p tcp -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
-A KUBE-SVC-NPX46M4PTMTKRN6Y -j KUBE-SEP-ABCDEFGHIJKLMNOP
COMMIT
`;
const families = [
  { prefix: 'iptables', SOURCE: '10.0.0.0/8', LOOPBACK: '127.0.0.0/8', SERVICE: '10.96.0.1/32' },
  { prefix: 'ip6tables', SOURCE: 'fd00::/8', LOOPBACK: '::1/128', SERVICE: 'fd00:10:96::1/128' },
] as const;

for (const family of families) {
  const filled = (text: string) =>
    text.replaceAll(/SOURCE|LOOPBACK|SERVICE(?=\b)(?=[ /])/g, (name) => family[name as 'SOURCE']);
  for (const flavour of ['legacy', 'nft'] as const) {
    const program = `${family.prefix}-${flavour}`;
    test(`${program}: kube-proxy's chains go, all others are as they were, with what they have counted`, {
      skip: missing(program),
    }, () => {
      using expected = node();
      expected.run(`${program}-restore`, ['--counters'], filled(others.filter));
      using left = node();
      left.run(`${program}-restore`, ['--counters'], filled(proxied));
      left.run(`${program}-restore`, [], filled(nat));
      const table =
        flavour === 'legacy'
          ? `${family.prefix} (legacy) table`
          : `iptables (nftables) table ${family.prefix === 'iptables' ? 'ip' : 'ip6'}`;
      const foreseen = left.clean(true).map(({ name, detail, outcome }) => `${outcome}: ${name}: ${detail}`);
      assert.deepEqual(foreseen.sort(), [
        `would be removed: ${table} filter: 3 chains, 6 rules`,
        `would be removed: ${table} nat: 5 chains, 7 rules`,
      ]);
      assert.deepEqual(
        left.clean().map(({ outcome }) => outcome),
        ['removed', 'removed'],
      );
      const filter = ['-t', 'filter'];
      assert.deepEqual(left.saved(`${program}-save`, filter), expected.saved(`${program}-save`, filter));
      assert.equal(
        left.saved(`${program}-save`).filter((line) => /KUBE-(SVC|SEP|SERVICES|MARK|POST)/.test(line)).length,
        0,
      );
      assert.deepEqual(left.clean(), []);
      // The tables are sound: iptables itself can go on with them.
      left.run(program, ['-t', 'nat', '-N', 'KUBE-SERVICES']);
      left.run(program, ['-A', 'INPUT', '-j', 'ADMIN']);
    });
  }
}

test('the tables of its mode nftables go, others stay', { skip: missing('nft') }, () => {
  using left = node();
  for (const table of ['ip kube-proxy', 'ip6 kube-proxy', 'inet mine'])
    left.run('nft', [`add table ${table}; add chain ${table} KUBE-SERVICES; add rule ${table} KUBE-SERVICES accept`]);
  const removed = left.clean().map(({ name, outcome }) => `${name} ${outcome}`);
  assert.deepEqual(removed, ['nftables table ip kube-proxy removed', 'nftables table ip6 kube-proxy removed']);
  assert.equal(left.run('nft', ['list', 'tables']).trim(), 'table inet mine');
  assert.match(left.run('nft', ['list', 'ruleset']), /KUBE-SERVICES/);
});

test('thousands of chains go at once', { skip: missing('iptables-nft') }, () => {
  using left = node();
  const names = Array.from({ length: 5_000 }, (_, index) => `KUBE-SEP-${String(index).padStart(16, '0')}`);
  const chains = names.map((name) => `:${name} - [0:0]\n`).join('');
  const rules = names.map((name) => `-A ${name} -j ACCEPT\n`).join('');
  left.run('iptables-nft-restore', [], `*nat\n${chains}${rules}COMMIT\n`);
  assert.deepEqual(
    left.clean().map(({ detail, outcome }) => `${detail} ${outcome}`),
    ['5000 chains, 5000 rules removed'],
  );
  assert.equal(left.run('iptables-nft-save', []).includes('KUBE-'), false);
});

test('while kube-proxy answers at its port nothing is removed, only said', { skip: missing('nft') }, () => {
  using left = node();
  left.run('nft', ['add table ip kube-proxy']);
  const fd = left.inside(() => socket(AddressFamily.INET, SocketType.STREAM, 0));
  bind(fd, internetAddress(Uint8Array.of(127, 0, 0, 1), 10249));
  listen(fd, 1);
  assert.throws(() => left.clean(), /kube-proxy runs on this node and would make its rules again: kubectl/);
  assert.deepEqual(
    left.clean(true).map(({ outcome }) => outcome),
    ['would be removed'],
  );
  assert.equal(left.run('nft', ['list', 'tables']).trim(), 'table ip kube-proxy');
  close(fd);
});
