import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StatusReport } from '@sluice/agent';
import { noteFailure } from '@sluice/runtime';
import { alignTable } from './output.ts';
import { agent, sluice } from './test-agent.ts';
import { statusReport } from './test-report.ts';
import { VERSION } from './version.ts';

const status = statusReport;

const frontends = {
  name: 'frontends',
  revision: 1,
  initialized: true,
  columns: ['ID', 'Frontend'],
  cells: [
    ['1', '10.96.0.1:443/TCP'],
    ['12', '10.96.0.10:53/UDP'],
  ],
  rows: [
    { key: '10.96.0.1:443/TCP', backends: [] },
    { key: '10.96.0.10:53/UDP', backends: [] },
  ],
};

test('status shows what is on, what is off and why, and ends with 0', async () => {
  using server = await agent({ '/status': status });
  const { out, exitCode } = await sluice(['status', '--socket', server.socket]);
  assert.equal(exitCode, 0);
  assert.match(out, /^KubeProxyReplacement: +True {3}\[eno1 10\.10\.30\.101\] {3}snat$/m);
  assert.doesNotMatch(out, /External IPs/);
  assert.match(out, /^NodePorts: +30000 to 32767 at 10\.10\.30\.101, not at 10\.244\.0\.1 \(nodePort\.addresses\)$/m);
  assert.match(out, /^Masquerading: +BPF {3}\[eno1 10\.10\.30\.101\] {3}IPv4: Enabled {3}IPv6: Disabled$/m);
  assert.match(out, /^Devices: +eno1 \(has a default route\)$/m);
  assert.match(out, /^Routing: +Network: Tunnel \[vxlan\] {3}Host: BPF {3}MTU: 1450$/m);
  assert.match(out, /l2-announcements: Disabled: 1 policy is stored, nothing acts on it yet/);
  assert.match(out, /^iptables and nftables: +0 rules on this node$/m);
  assert.match(out, /No backend \(egress\): 3 packets; the service has no ready endpoint/);
  assert.match(out, /2 maps, fullest: frontends 60\.0%$/m, 'a full LRU map is as it should be');
});

test("status names external addresses that are somebody else's, a few of many", async () => {
  const refused = ['web', 'mail', 'dns', 'git'].map((name) => ({
    key: `10.96.0.10:80/TCP of shop/${name}`,
    reason: '10.96.0.10 belongs to Service shop/shop, and externalIPs.allowed does not name it',
  }));
  const { kubeProxyReplacement } = status;
  const report = { ...status, kubeProxyReplacement: { ...kubeProxyReplacement, refusedExternalIps: refused } };
  using server = await agent({ '/status': report });
  const { out, exitCode } = await sluice(['status', '--socket', server.socket]);
  assert.equal(exitCode, 0, 'the node is as it should be');
  assert.match(out, /^External IPs: +4 places not served: they are somebody else's$/m);
  assert.match(out, /10\.96\.0\.10:80\/TCP of shop\/web: 10\.96\.0\.10 belongs to Service shop\/shop/);
  assert.match(out, /and 1 more, see "sluice service list"/);
});

test('status names services whose place an older one has', async () => {
  const conflicts = [{ key: '10.96.0.10:80/TCP of shop/copy', reason: 'belongs to the older service shop/web' }];
  const report = { ...status, kubeProxyReplacement: { ...status.kubeProxyReplacement, conflicts } };
  using server = await agent({ '/status': report });
  const { out, exitCode } = await sluice(['status', '--socket', server.socket]);
  assert.equal(exitCode, 0, 'the node is as it should be');
  assert.match(out, /^Conflicts: +1 place not served: it is somebody else's$/m);
  assert.match(out, /10\.96\.0\.10:80\/TCP of shop\/copy: belongs to the older service shop\/web/);
});

test('status tells how far the clock is from that of the API server, where it is', async () => {
  const statusWith = async (clockAheadMs: number) => {
    using server = await agent({ '/status': { ...status, kubernetes: { ...status.kubernetes, clockAheadMs } } });
    return (await sluice(['status', '--socket', server.socket])).out;
  };
  assert.match(await statusWith(-61_000), /^Clock: +61 s behind that of the API server/m);
  assert.doesNotMatch(await statusWith(1500), /^Clock:/m);
});

test('status tells of the route that takes smaller packets, of the way to the world, and why nothing is masqueraded', async () => {
  const { routing, masquerading } = status;
  const narrow = { node: 'k8s-cp3', podCidrs: ['10.244.2.0/24'], tunnelEndpoint: '10.10.30.103', mtu: 1350 };
  const report = {
    ...status,
    routing: {
      ...routing,
      host: 'Legacy',
      hostWhy: 'bpf.hostLegacyRouting is true',
      routes: [...routing.routes, narrow],
    },
    masquerading: { ...masquerading, state: 'degraded', why: 'to_network_eno1: no link' },
  };
  using server = await agent({ '/status': report });
  const { out, exitCode } = await sluice(['status', '--verbose', '--socket', server.socket]);
  assert.equal(exitCode, 1, 'what should leave the cluster does not');
  assert.match(out, /Host: Legacy \(bpf\.hostLegacyRouting is true\) {3}MTU: 1450, to pods of k8s-cp3 1350$/m);
  assert.match(out, /^Masquerading: +Degraded: to_network_eno1: no link/m);
  assert.match(out, /^k8s-cp3 +10\.244\.2\.0\/24 +10\.10\.30\.103 +1350$/m);
  assert.match(out, /^lo +65536 +127\.0\.0\.1 +no +loopback$/m);
});

test('a degraded module makes status end with 1 and names it', async () => {
  const modules = [{ name: 'overlay', state: 'degraded', why: 'sluice_vxlan is gone' }] as const;
  using server = await agent({ '/status': { ...status, modules } });
  const { out, exitCode } = await sluice(['status'], { SLUICE_SOCKET: server.socket });
  assert.equal(exitCode, 1);
  assert.match(out, /overlay: Degraded: sluice_vxlan is gone/);
});

test('a controller that fails is named whatever the clock was set to meanwhile, and one that has recovered is not', async () => {
  const controller = { successCount: 1, failureCount: 1, lastSuccessAt: 2_000, lastFailureAt: 1_000 };
  const list = [
    { ...controller, name: 'failing', consecutiveFailures: 1, lastError: 'no route' },
    { ...controller, name: 'well', consecutiveFailures: 0, lastError: 'long ago', lastFailureAt: 3_000 },
  ];
  using server = await agent({ '/status': { ...status, controllers: { total: 2, healthy: 1, list } } });
  const { out, exitCode } = await sluice(['status', '--socket', server.socket]);
  assert.equal(exitCode, 1);
  assert.match(out, /^Controller Status: +1\/2 healthy\n +failing: no route\nCluster/m);
  assert.match(out, /^Sluice: +Degraded /m);
});

test('status --wait waits until it is known of every node whether it can be reached', async () => {
  const [node] = status.nodes;
  const unknown = { ...status, nodes: [{ ...node, state: 'unknown' }] };
  let asked = 0;
  using server = await agent({ '/status': () => (++asked < 3 ? unknown : status) });
  const { out, err, exitCode } = await sluice(['status', '--wait', '--socket', server.socket]);
  assert.deepEqual([exitCode, asked], [0, 3]);
  assert.equal(err, 'waiting for: an answer of node k8s-cp1\n');
  assert.match(out, /^Cluster health: +1\/1 reachable$/m);
});

test('status --wait that waited in vain says for what, and shows what there is', async () => {
  const modules = [{ name: 'overlay', state: 'degraded', why: 'sluice_vxlan is gone' }] as const;
  using server = await agent({ '/status': { ...status, modules } });
  const { out, err, exitCode } = await sluice(['status', '--wait', '--timeout', '0', '--socket', server.socket]);
  assert.equal(exitCode, 1);
  assert.match(out, /overlay: Degraded/);
  assert.equal(err, 'sluice: not ready within 0 s: overlay: sluice_vxlan is gone\n');
});

test('rules that nobody could count are unknown, not none', async () => {
  using server = await agent({ '/status': { ...status, foreignRulesUnknown: 'nfnetlink: EPERM' } });
  assert.match(
    (await sluice(['status', '--socket', server.socket])).out,
    /^iptables and nftables: +unknown: nfnetlink: EPERM$/m,
  );
});

test('programs of others are told with their place, and that nobody could look', async () => {
  const program = { hook: 'ingress of slc01', id: 7, name: 'fw', place: 'before ours' };
  using server = await agent({ '/status': { ...status, foreignPrograms: [program] } });
  const told = await sluice(['status', '--socket', server.socket]);
  assert.match(
    told.out,
    /^Other BPF programs: +1 program at our hooks\n +fw \(id 7\) at ingress of slc01, before ours$/m,
  );
  assert.equal(told.exitCode, 0, 'others may be there');
  using blind = await agent({ '/status': { ...status, foreignProgramsUnknown: 'EPERM' } });
  assert.match((await sluice(['status', '--socket', blind.socket])).out, /^Other BPF programs: +unknown: EPERM$/m);
});

const jsonLines = (...rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** As an agent tells it: the head, and a line a row. */
function tableText({ cells, rows, ...head }: Pick<typeof frontends, 'cells'> & { readonly rows: readonly object[] }) {
  return jsonLines(head, ...rows.map((row, index) => ({ cells: cells[index] ?? [], row })));
}

test('a table is aligned for people and whole for programs', async () => {
  using server = await agent({ '/tables/frontends': tableText(frontends) });
  const socket = ['--socket', server.socket];
  const { out } = await sluice(['service', 'list', ...socket]);
  assert.equal(out, 'ID   FRONTEND\n1    10.96.0.1:443/TCP\n12   10.96.0.10:53/UDP\n');
  const json = await sluice(['service', 'list', '-o', 'json', ...socket]);
  assert.deepEqual(JSON.parse(json.out), frontends.rows);
  assert.match((await sluice(['service', 'list', '-o', 'yaml', ...socket])).out, /^- key: 10\.96\.0\.1:443\/TCP$/m);
});

const manyBackends = {
  ...frontends,
  columns: ['Frontend', 'Backends', 'Status'],
  cells: [['10.96.0.1:443/TCP', 'a (active), b (terminating), c (active), d (active)', 'done']],
  rows: [
    {
      key: '10.96.0.1:443/TCP',
      backends: ['a', 'b', 'c', 'd'].map((key) => ({ key, state: key === 'b' ? 'terminating' : 'active' })),
    },
  ],
};

test('service list shows two backends and how many more there are, with -o wide all of them', async () => {
  using server = await agent({ '/tables/frontends': tableText(manyBackends) });
  const list = ['service', 'list', '--socket', server.socket];
  assert.match((await sluice(list)).out, /TCP {3}a, b \(terminating\) \+2 more {3}done\n$/);
  assert.match(
    (await sluice([...list, '-o', 'wide'])).out,
    /TCP {3}a \(active\), b \(terminating\), c \(active\), d \(active\) {3}done\n$/,
  );
});

test('service and backend list ask the agent for what they are narrowed down to', async () => {
  const asked: string[] = [];
  using server = await agent((url: string) => {
    asked.push(url);
    return url.startsWith('/backends') ? '' : tableText(frontends);
  });
  for (const noun of ['service', 'backend'])
    await sluice([noun, 'list', '--service', 'shop/web', '-n', 'shop', '--socket', server.socket]);
  const query = '?service=shop%2Fweb&namespace=shop';
  assert.deepEqual(asked, [`/tables/frontends${query}`, `/backends${query}`]);
});

test('prefixes in data are text', async () => {
  const podCidrs = [
    { address: '10.244.0.0', length: 24 },
    { address: 'fd00:10:244::', length: 64 },
  ];
  const nodes = { ...frontends, rows: [{ name: 'k8s-cp1', podCidrs, status: { state: 'done' } }] };
  using server = await agent({ '/tables/nodes': tableText(nodes) });
  const { out } = await sluice(['node', 'list', '-o', 'json', '--socket', server.socket]);
  assert.deepEqual(JSON.parse(out), [
    { name: 'k8s-cp1', podCidrs: ['10.244.0.0/24', 'fd00:10:244::/64'], status: { state: 'done' } },
  ]);
});

test('a table that is none is refused with the names of those there are', async () => {
  const tables = ['nodes', 'frontends'].map((name) => ({ name, rows: 1 }));
  using server = await agent({ '/tables': tables, '/tables/frontends': tableText(frontends) });
  const { err, exitCode } = await sluice(['table', 'nope', '--socket', server.socket]);
  assert.deepEqual([err, exitCode], ['sluice: no table nope; there are nodes, frontends\n', 2]);
  assert.match((await sluice(['table', 'frontends', '--socket', server.socket])).out, /10\.96\.0\.10:53\/UDP/);
});

test('--version is that of the command, and asks nobody', async () => {
  const { out, exitCode } = await sluice(['--version', '--socket', '/nonexistent']);
  assert.deepEqual([out, exitCode], [`${VERSION}\n`, 0]);
});

test('one of something is told in the singular', async () => {
  const [drop] = status.drops;
  const report = {
    ...status,
    drops: [{ ...drop, packets: 1 }],
    foreignRules: [{ kind: 'nftables', owner: 'docker', count: 1 }],
    maps: status.maps.slice(0, 1),
  };
  using server = await agent({ '/status': report });
  const { out } = await sluice(['status', '--socket', server.socket]);
  assert.match(out, /^Drops: +1 packet\n +No backend \(egress\): 1 packet;/m);
  assert.match(out, /^iptables and nftables: +1 nftables rule of docker$/m);
  assert.match(out, /^BPF Maps: +1 map, /m);
});

test('where no agent runs the error says so and what to do', async () => {
  const { err, exitCode } = await sluice(['status', '--socket', '/nonexistent/sluice.sock']);
  assert.equal(exitCode, 1);
  assert.match(err, /^sluice: agent at \/nonexistent\/sluice\.sock: no agent runs here; .*lab exec/);
  assert.match((await sluice(['status'], { SLUICE_SOCKET: '' })).err, /agent at \/run\/sluice\/sluice\.sock/);
});

test('where an agent ends again and again the error says why', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  noteFailure(directory, { at: Date.now() - 4000, message: 'map conntrack is of another size' });
  const { err } = await sluice(['status', '--socket', join(directory, 'sluice.sock')]);
  assert.match(err, /sluice\.sock: it does not start: map conntrack is of another size \([45] s ago; see its log\)$/m);
});

test('an answer that is no JSON and one that is an error are told as such', async () => {
  using server = await agent({ '/status': 'oops' });
  assert.match((await sluice(['status', '--socket', server.socket])).err, /no JSON: oops/);
  assert.match((await sluice(['map', 'list', '--socket', server.socket])).err, /answers 404 to \/maps: no \/maps/);
});

test('an answer of another shape is one line that names the place, and no stack', async () => {
  const withoutKind = { ...status.kubernetes, watches: [{ synced: true, objects: 3 }] };
  for (const [command, path, answer, what] of [
    [['status'], '/status', null, 'it is no object'],
    [['status'], '/status', {}, 'node is missing'],
    [['status'], '/status', { ...status, modules: 7 }, 'modules is no list'],
    [['status'], '/status', { ...status, kubernetes: withoutKind }, 'kubernetes.watches[0].kind is missing'],
    [
      ['status'],
      '/status',
      { ...status, cni: { ...status.cni, state: 'fine' } },
      'cni.state is none of ok, off, degraded',
    ],
    [['map', 'list'], '/maps', {}, 'it is no list'],
    [['program', 'list'], '/programs', [{ name: 'pod' }], '[0].type is missing'],
    [['table'], '/tables', [{ name: 'nodes', rows: '1' }], '[0].rows is no number'],
    [['node', 'list'], '/tables/nodes', [], 'it is no object'],
    [['node', 'list'], '/tables/nodes', { columns: [] }, 'name is missing'],
    [['node', 'list'], '/tables/nodes', { cells: 'a' }, 'cells is no list'],
    [['service', 'list'], '/tables/frontends', { cells: [], row: {} }, 'row.backends is no list'],
    [['monitor', '--count', '1'], '/monitor?type=drop', '{"type":"drop","at":"now"}\n', 'at is no number'],
  ] as const) {
    using server = await agent({ [path]: answer === null ? 'null' : answer });
    const { err, exitCode } = await sluice([...command, '--socket', server.socket]);
    const expected = `sluice: agent's answer to ${path} is not understood: ${what}; is the agent of another version`;
    assert.ok(err.includes(expected), `${expected}\n${err}`);
    assert.equal(exitCode, 1);
    assert.doesNotMatch(err, /\n {4}at /);
  }
});

test('an unknown output format or command is refused with status 2, and help', async () => {
  using server = await agent({ '/tables/nodes': tableText(frontends) });
  const format = await sluice(['node', 'list', '-o', 'xml', '--socket', server.socket]);
  assert.deepEqual([format.exitCode, /--output xml: one of table, wide, json, yaml/.test(format.err)], [2, true]);
  const unknown = await sluice(['statsu']);
  assert.equal(unknown.exitCode, 2);
  assert.match(unknown.err, /unknown command 'statsu'[\s\S]*status/);
});

test('the status tells the fullest destination of the ports that connections share, and when few are left', async () => {
  const natPorts = {
    destination: '198.51.100.10:443/TCP',
    source: '10.10.30.101',
    portsMax: 32_768,
    isExhausted: false,
  };
  const lineOf = async (told: StatusReport['natPorts']) => {
    using server = await agent({ '/status': JSON.stringify({ ...status, natPorts: told }) });
    const { out } = await sluice(['status', '--socket', server.socket]);
    return /^NAT Ports: +(.*)$/m.exec(out)?.[1];
  };
  const of = (count: string) => `fullest: ${count} of 10.10.30.101 towards 198.51.100.10:443/TCP`;
  assert.equal(await lineOf(undefined), undefined);
  assert.equal(await lineOf({ ...natPorts, ports: 27_852 }), of('27852/32768 (85.0%)'));
  assert.equal(
    await lineOf({ ...natPorts, ports: 27_853 }),
    `${of('27853/32768 (85.0%)')}; nearly all: new connections there will be refused`,
  );
  assert.equal(
    await lineOf({ ...natPorts, ports: 32_000, isExhausted: true }),
    `${of('32000/32768 (97.7%)')}; none is left: new connections there are refused`,
  );
});

test('every command has help with an example', async () => {
  for (const command of [
    ['status'],
    ['table'],
    ['version'],
    ['service', 'list'],
    ['endpoint', 'list'],
    ['node', 'list'],
    ['map', 'list'],
    ['program', 'list'],
    ['ct', 'list'],
    ['nat', 'list'],
    ['nat', 'top'],
    ['monitor'],
    ['connectivity', 'test'],
  ]) {
    const { out, exitCode } = await sluice([...command, '--help']);
    assert.equal(exitCode, 0);
    assert.match(out, /Examples:\n {2}sluice /, command.join(' '));
  }
});

test('help shows that of a command inside another, and suggests where there is none', async () => {
  const help = await sluice(['help', 'explain', 'connect']);
  assert.deepEqual(
    [help.exitCode, help.out.split('\n')[0]],
    [0, 'Usage: sluice explain connect [options] <pod> <host:port>'],
  );
  assert.match((await sluice(['help'])).out, /^Usage: sluice \[options\] \[command\]\n/);
  const wrong = await sluice(['help', 'explain', 'conect']);
  assert.deepEqual([wrong.exitCode, wrong.err], [2, 'sluice: no command conect; did you mean connect?\n']);
  assert.match((await sluice(['help', 'status', 'more'])).err, /^sluice: no command more; there is none\n$/);
});

test('a number that is none is refused before anything is asked', async () => {
  for (const args of [
    ['status', '--wait', '--wait-duration', 'long'],
    ['monitor', '--count', '0'],
    ['connectivity', 'test', '--wait-seconds', '-1'],
  ]) {
    const { err, exitCode } = await sluice([...args, '--socket', '/nonexistent']);
    assert.equal(exitCode, 2);
    assert.match(err, /a whole number from [01] on, such as 10/, args.join(' '));
  }
});

test('connectivity test --list shows the cases and what they try, without a cluster', async () => {
  const { out, exitCode } = await sluice(['connectivity', 'test', '--list', '--test', 'hairpin/tcp']);
  assert.equal(exitCode, 0);
  assert.match(out, /^NAME +WHAT IT TRIES\n/);
  assert.match(out, /^pod-to-service\/hairpin\/tcp\/ipv4 +a pod reaches itself by a service of its own$/m);
  const json = await sluice(['connectivity', 'test', '--list', '-o', 'json']);
  assert.ok((JSON.parse(json.out) as unknown[]).length > 200);
});

test('a server of the world that is no address, and a pattern that is none, are refused with what would do', async () => {
  const world = (text: string) => sluice(['connectivity', 'test', '--world', text]);
  assert.match(
    (await world('example.org')).err,
    /--world example\.org: an address, or with a port 198\.51\.100\.10:8080/,
  );
  assert.match((await world('198.51.100.10:0')).err, /--world 198\.51\.100\.10:0: /);
  const named = await sluice(['connectivity', 'test'], { SLUICE_WORLD: '198.51.100.10 nonsense' });
  assert.match(named.err, /--world nonsense: /);
  const twice = await sluice(['connectivity', 'test', '--world', '192.0.2.1', '--world', '192.0.2.2']);
  assert.deepEqual([twice.exitCode, /more than one of IPv4/.test(twice.err)], [2, true]);
  assert.match((await sluice(['connectivity', 'test', '--test', '['])).err, /--test \[: /);
});

test('the connectivity test without a cluster says how to name one', async () => {
  for (const environment of [{}, { KUBECONFIG: '' }]) {
    const { err, exitCode } = await sluice(['connectivity', 'test'], environment);
    assert.equal(exitCode, 2);
    assert.match(err, /no cluster: give --kubeconfig FILE or set KUBECONFIG; that of a lab is \/run\/sluice-lab\//);
  }
});

test('an API server that does not answer is one line and status 1', async () => {
  const directory = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  const path = join(directory, 'kubeconfig');
  writeFileSync(
    path,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }],
      users: [{ name: 'u', user: {} }],
    }),
  );
  const { err, exitCode } = await sluice(['connectivity', 'test', '--kubeconfig', path]);
  rmSync(directory, { recursive: true });
  assert.equal(exitCode, 1);
  assert.match(err, /^sluice: connect to 127\.0\.0\.1:1: .*ECONNREFUSED.*\n$/);
});

test('identities are shown by their numbers', async () => {
  const row = (identity: number, ...labels: string[]) => ({ identity, labels, endpoints: 0 });
  const unused = { ...row(300, 'k8s:app=old'), unusedSince: Date.now() - 60_000 };
  const rows = [row(1, 'reserved:host'), row(4711, 'k8s:app=cart', 'k8s:b=1'), unused];
  using server = await agent({ '/identities': jsonLines(...rows) });
  const { out } = await sluice(['identity', 'list', '--socket', server.socket]);
  assert.equal(
    out,
    [
      'IDENTITY   ENDPOINTS HERE   UNUSED   LABELS',
      '1          0                         reserved:host',
      '300        0                for 1m   k8s:app=old',
      '4711       0                         k8s:app=cart,k8s:b=1',
      '',
    ].join('\n'),
  );
});

test('addresses are shown with what they are known by, and say when that is not known', async () => {
  const labels = ['k8s:app=cart', 'k8s:io.kubernetes.pod.namespace=shop'];
  const remote = {
    prefix: '10.244.1.15/32',
    identity: 4711,
    labels,
    node: 'k8s-cp2',
    source: 'slice',
    pod: 'shop/cart',
  };
  const others = [
    { prefix: '10.244.1.5/32', identity: 4800, labels: [], node: 'k8s-cp2', source: 'slice', pod: 'shop/new' },
    { prefix: '10.10.30.102/32', identity: 6, labels: ['reserved:remote-node'], node: 'k8s-cp2', source: 'node' },
  ];
  using server = await agent({ '/ips': jsonLines(remote, ...others) });
  const { out } = await sluice(['ip', 'list', '--socket', server.socket]);
  assert.deepEqual(
    out.split('\n').map((line) => line.replace(/ {3,}/g, ' | ')),
    [
      'PREFIX | IDENTITY | LABELS | NODE | SOURCE | POD',
      '10.10.30.102/32 | 6 | reserved:remote-node | k8s-cp2 | node',
      '10.244.1.5/32 | 4800 | 4800 is not known here yet | k8s-cp2 | slice | shop/new',
      '10.244.1.15/32 | 4711 | app=cart | k8s-cp2 | slice | shop/cart',
      '',
    ],
  );
  const wide = await sluice(['ip', 'list', '-o', 'wide', '--socket', server.socket]);
  assert.match(wide.out, /k8s:app=cart,k8s:io\.kubernetes\.pod\.namespace=shop/);
  const json = await sluice(['ip', 'list', '-o', 'json', '--socket', server.socket]);
  assert.deepEqual(JSON.parse(json.out).at(-1), remote);
});

test('with -o wide a table has what the row tells besides', async () => {
  const endpoint = {
    hostIfindex: 7,
    podMac: '02:00:00:00:00:01',
    mtu: 1450,
    hostPorts: [{ hostPort: 8080, containerPort: 80, protocol: 'TCP', hostIp: '10.0.0.1' }],
    createdAt: Date.now() - 65_000,
    labels: ['k8s:app=web', 'k8s:io.kubernetes.pod.namespace=shop'],
  };
  const node = { routerAddresses: ['10.244.1.1'], labels: { zone: 'a', 'role/x': '' } };
  const frontend = {
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Local',
    affinitySeconds: 60,
    algorithm: 'maglev',
    sourceRanges: ['10.0.0.0/8'],
    backends: [],
    unusedEndpoints: [
      { key: '10.244.1.7:8080/TCP', nodeName: 'k8s-cp2', zone: 'b', why: 'on another node' },
      { key: '10.244.0.9:8080/TCP', nodeName: 'k8s-cp1', why: 'not ready' },
    ],
  };
  const lines = (name: string, row: object) =>
    jsonLines({ name, revision: 1, initialized: true, columns: ['Name'] }, { cells: ['x'], row });
  using server = await agent({
    '/tables/endpoints': lines('endpoints', endpoint),
    '/tables/nodes': lines('nodes', node),
    '/tables/frontends': lines('frontends', frontend),
  });
  const list = async (noun: string, ...more: string[]) =>
    (await sluice([noun, 'list', ...more, '--socket', server.socket])).out.split(/ {3,}|\n/);
  assert.deepEqual(await list('endpoint'), ['NAME', 'x', '']);
  assert.deepEqual((await list('endpoint', '-o', 'wide')).slice(7), [
    ...['x', '7', '02:00:00:00:00:01', '1450', '10.0.0.1:8080->80/TCP', '1m5s', endpoint.labels.join(','), ''],
  ]);
  assert.deepEqual(await list('node', '-o', 'wide'), [
    'NAME',
    'ROUTER',
    'LABELS',
    'x',
    '10.244.1.1',
    'zone=a,role/x',
    '',
  ]);
  const service = await list('service', '-o', 'wide');
  assert.deepEqual(service, [
    ...['NAME', 'INTERNAL', 'EXTERNAL', 'AFFINITY', 'ALGORITHM', 'SOURCE RANGES', 'UNUSED ENDPOINTS'],
    ...['x', 'Cluster', 'Local', '60 s', 'maglev', '10.0.0.0/8'],
    '10.244.1.7:8080/TCP (on another node, k8s-cp2, b), 10.244.0.9:8080/TCP (not ready, k8s-cp1)',
    '',
  ]);
});

test('a table of 200,000 rows is a table', () => {
  const rows = Array.from({ length: 200_000 }, (_, index) => [String(index)]);
  assert.equal(alignTable({ columns: ['N'], rows }).split('\n').length, 200_002);
});
