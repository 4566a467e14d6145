// Needs root and a kernel that Sluice runs on. The homelab's operator: everything that `npm run lab` promises, and the
// commands that an operator types then.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { StatusReport } from '@sluice/agent';
import { installationRoot } from '@sluice/runtime';
import { type TestLab, testLab } from './test-lab.ts';

const sluice = join(installationRoot(), 'bin/sluice');
const nodes = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];

let lab: TestLab;
let shown: string;

before(async () => {
  lab = testLab();
  shown = await lab.must('up', '--demo');
});

after(() => lab[Symbol.asyncDispose]());

async function onNode(node: string, ...command: readonly string[]): Promise<string> {
  return lab.must('exec', node, '--', ...command);
}

test('up with the demo runs the connectivity test, shows the status and what to try next', () => {
  assert.match(shown, /^\d{3} passed, 0 failed\b/m);
  assert.match(shown, /^KubeProxyReplacement: +True {3}\[eno1 10\.10\.30\.101/m);
  assert.match(shown, /sluice lab down/);
});

test('every way of talking works, in both families, and none is left out', async () => {
  // Its exit status says no more than its results do.
  const { stdout } = await lab.run('exec', 'k8s-cp1', '--', sluice, 'connectivity', 'test', '--keep', '-o', 'json');
  const results = JSON.parse(stdout) as { name: string; status: string }[];
  assert.deepEqual(
    results.filter(({ status }) => status !== 'passed'),
    [],
  );
  for (const family of ['ipv4', 'ipv6']) {
    assert.ok(results.filter(({ name }) => name.endsWith(family)).length > 100, `cases of ${family}`);
  }
});

test('no kube-proxy runs, and no node has a rule of iptables or nftables', async () => {
  assert.equal(
    await lab.must('kubectl', 'get', 'pods', '-n', 'kube-system', '-l', 'k8s-app=kube-proxy', '-o', 'name'),
    '',
  );
  for (const node of nodes) {
    assert.equal(await onNode(node, 'nft', 'list', 'ruleset'), '');
    const report = JSON.parse(await onNode(node, sluice, 'status', '-o', 'json')) as StatusReport;
    assert.deepEqual([report.foreignRules, report.foreignRulesUnknown], [[], undefined]);
  }
});

test('everything that can be looked at answers as data, on a node that lacks nothing', async () => {
  const lists = ['service', 'backend', 'endpoint', 'identity', 'node', 'ip', 'ct', 'nat', 'map', 'program', 'metrics'];
  for (const command of [...lists.map((noun) => `${noun} list`), 'map dump frontends', 'config', 'table', 'version']) {
    const answer: unknown = JSON.parse(await onNode('k8s-cp1', sluice, ...command.split(' '), '-o', 'json'));
    assert.ok(Object.keys(answer as object).length > 0, command);
  }
  const { findings } = JSON.parse(await onNode('k8s-cp1', sluice, 'doctor', '-o', 'json')) as {
    findings: { check: string; severity: string }[];
  };
  // The machine's clock and cgroup hierarchy are its own; an agent that could not be asked would be a finding.
  assert.deepEqual(
    findings.filter(({ check, severity }) => check === 'agent' || severity === 'error'),
    [],
  );
});

test('rules that somebody else makes are counted and named', async () => {
  await onNode('k8s-cp2', 'nft', 'add table ip somebody; add chain ip somebody c; add rule ip somebody c accept');
  const report = JSON.parse(await onNode('k8s-cp2', sluice, 'status', '-o', 'json')) as StatusReport;
  assert.deepEqual(
    report.foreignRules.map(({ kind, count }) => [kind, count]),
    [['nftables', 1]],
  );
  await onNode('k8s-cp2', 'nft', 'delete table ip somebody');
});

test('the address pool and the L2 policy are stored, and the status says that nothing acts on them', async () => {
  const pools = await lab.must('kubectl', 'get', 'ippools,l2announcement', '-o', 'name');
  assert.match(pools, /homelab-pool[\s\S]*homelab-l2/);
  const report = JSON.parse(await onNode('k8s-cp1', sluice, 'status', '-o', 'json')) as StatusReport;
  for (const name of ['load-balancer-ipam', 'l2-announcements']) {
    const module = report.modules.find((candidate) => candidate.name === name);
    assert.equal(module?.state, 'off');
    assert.match(module?.why ?? '', /^1 Cilium\w+ stored, nothing acts on (it|them) yet/);
  }
});

test('a pool that its schema does not allow is refused with the path', async () => {
  const bad = JSON.stringify([{ op: 'replace', path: '/spec/blocks', value: 'everything' }]);
  const { status, stderr } = await lab.run('kubectl', 'patch', 'ippool', 'homelab-pool', '--type=json', '-p', bad);
  assert.equal(status, 1);
  assert.match(stderr, /spec\.blocks/);
});

test('a name of a service resolves in a pod and leads to one of its pods', async () => {
  const answer = await lab.must('exec', 'monitoring/grafana', '--', 'client', 'http', 'gitlab.gitlab', '80');
  assert.match(answer, /host=gitlab-webservice-/);
});

test('a drop is seen by monitor with the names of pod and service, and with a hint', async () => {
  const args = ['lab', 'exec', '--name', lab.name, 'k8s-cp1', '--', sluice, 'monitor', '--count', '1'];
  const monitor = spawn(sluice, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = new Promise<string>((resolve) => monitor.stdout.once('data', (data) => resolve(String(data))));
  // It says that it listens.
  await new Promise((resolve) => monitor.stderr.once('data', resolve));
  const { stdout } = await lab.run('exec', 'sluice-test/client', '--', 'client', 'udp', '10.96.0.1', '9999');
  assert.match(stdout, /refused/);
  assert.match(await said, /no backend\).* sluice-test\/client -> .*default\/kubernetes[\s\S]*sluice service list/);
});
