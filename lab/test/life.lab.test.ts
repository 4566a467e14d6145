// Needs root and a kernel that Sluice runs on; each lab takes seconds.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { installationRoot } from '@sluice/runtime';
import { labTraces, leftBehind, machineDevices, tracesLeft } from './machine.ts';
import { type TestLab, testLab } from './test-lab.ts';

/** Name, process and restarts of each container that runs. */
async function containers(lab: TestLab): Promise<string[]> {
  const pods = JSON.parse(await lab.must('kubectl', 'get', 'pods', '-A', '-o', 'json'));
  const restarts = pods.items.map(
    (pod: { metadata: { name: string; uid: string }; status: { containerStatuses: { restartCount: number }[] } }) => [
      pod.metadata.uid,
      `${pod.metadata.name} restarts=${pod.status.containerStatuses[0]?.restartCount}`,
    ],
  );
  return restarts.map(([uid, text]: [string, string]) => `${text} process=${processOf(lab, uid)}`).toSorted();
}

function processOf(lab: TestLab, uid: string): string {
  const nodes = readdirSync(join(lab.layout.directory, 'nodes'));
  const directory = nodes.map((node) => join(lab.layout.node(node).pods, uid)).find((path) => existsSync(path));
  const file = directory && readdirSync(directory).find((name) => /^container-.*\.json$/.test(name));
  return directory && file ? JSON.stringify(JSON.parse(readFileSync(join(directory, file), 'utf8')).process) : 'none';
}

function daemonOf(lab: TestLab): number {
  return JSON.parse(readFileSync(lab.layout.pidFile, 'utf8')).pid;
}

test('down leaves nothing of a lab: no namespace, process, cgroup, mount, device, link or file', async () => {
  const devices = machineDevices();
  await using lab = testLab();
  await lab.must('up', '--nodes', '2');
  const traces = labTraces(lab.layout, devices);
  assert.ok(traces.links.length > 20, `the programs of two nodes are attached by ${traces.links.length} links`);
  const kinds = new Set(tracesLeft(traces).map((text) => text.split(' ')[0]));
  assert.deepEqual(
    [...kinds].toSorted(),
    ['cgroup', 'file', 'link', 'mounts', 'process'],
    'what is looked for is found',
  );
  assert.match(await lab.must('down'), /removed 1 daemon, \d+ processes, \d+ pins, \d+ mounts, \d+ cgroups, 1 folder/);
  assert.deepEqual(await leftBehind(traces), []);
  assert.equal(existsSync(lab.layout.directory), false);
  assert.match(await lab.must('down'), /nothing is there/);
});

test('up of what is up says so and touches nothing', async () => {
  await using lab = testLab();
  await lab.must('up', '--nodes', '2');
  const [daemon, pods] = [daemonOf(lab), await containers(lab)];
  assert.match(await lab.must('up'), /nothing to do: everything is up/);
  assert.deepEqual([daemonOf(lab), await containers(lab)], [daemon, pods]);
  await lab.must('status');
});

test('up with other nodes than the lab has is refused', async () => {
  await using lab = testLab();
  await lab.must('up', '--nodes', '1');
  const { status, stderr } = await lab.run('up', '--nodes', '2');
  assert.equal(status, 1);
  assert.match(stderr, /is there with 1 nodes, not 2/);
});

test('what is refused leaves nothing behind', async () => {
  await using lab = testLab();
  using directory = mkdtempDisposableSync('/tmp/lab-values-');
  const values = join(directory.path, 'values.yaml');
  writeFileSync(values, 'ipam: {mode: no-such-mode}\n');
  for (const refused of [
    ['--values', values],
    ['--values', '/nope.yaml'],
    ['--nodes', '99'],
  ]) {
    const { status, stderr } = await lab.run('up', ...refused);
    assert.equal(status, 1, `${refused.join(' ')} is refused`);
    assert.doesNotMatch(stderr, /^ +at /m, 'no stack is printed');
    assert.equal(existsSync(lab.layout.directory), false, `${refused.join(' ')} leaves nothing`);
  }
});

test("values that cannot be read and users' pods that are not ready: one is refused, the other shown", async () => {
  await using lab = testLab();
  await lab.must('up', '--nodes', '1');
  assert.match(
    (await lab.run('up', '--values', '/nope.yaml')).stderr,
    /^sluice lab: the values \/nope\.yaml cannot be read: ENOENT/,
  );
  await lab.must('kubectl', 'run', 'broken', '--image=no-such-image');
  assert.match(await lab.must('up'), /nothing to do/);
  assert.match(await lab.must('status'), /not ready: pod default\/broken/);
  const report = JSON.parse(await lab.must('status', '-o', 'json'));
  assert.deepEqual([report.isReady, report.pods.byNamespace.default], [true, { total: 1, ready: 0, out: 0 }]);
  assert.match(await lab.must('status', '-o', 'yaml'), /^isReady: true$/m);
  assert.match(await lab.must('kubectl', 'get', 'nodes'), /k8s-cp1 +Ready +control-plane /);
});

test('a lab of another checkout is not touched; a new build restarts what runs the old one, but no pod', async () => {
  using copy = mkdtempDisposableSync('/tmp/lab-checkout-');
  await using lab = testLab();
  const here = installationRoot();
  for (const part of ['package.json', 'examples', 'lab', 'packages', 'node_modules'])
    symlinkSync(join(here, part), join(copy.path, part));
  mkdirSync(join(copy.path, 'bpf'));
  for (const part of ['dist', 'bpf/build']) cpSync(join(here, part), join(copy.path, part), { recursive: true });
  const up = async () => {
    const { status, stdout, stderr } = await lab.runFrom(copy.path, 'up', '--nodes', '1');
    assert.equal(status, 0, stderr);
    return stdout;
  };
  await up();
  const { status, stderr } = await lab.run('up');
  assert.equal(status, 1);
  assert.ok(stderr.includes(copy.path) && stderr.includes('--name OTHER'), stderr);
  assert.ok((await lab.must('status')).includes(`another checkout, ${copy.path}`));

  const [daemon, pods] = [daemonOf(lab), await containers(lab)];
  appendFileSync(join(copy.path, 'dist/agent.js'), '\n// another build\n');
  assert.match((await lab.runFrom(copy.path, 'status')).stdout, /runs another build than the present one/);
  assert.match(await up(), /a new build: restarting daemon, agents and operator/);
  assert.notEqual(daemonOf(lab), daemon);
  assert.deepEqual(await containers(lab), pods);
  assert.match(await up(), /nothing to do/);
});

test('control-C of up says what completes and what removes it', async () => {
  await using lab = testLab();
  const args = ['lab', 'up', '--name', lab.name, '--nodes', '1'];
  const child = spawn(join(installationRoot(), 'bin/sluice'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  child.stderr.on('data', (chunk) => output.push(String(chunk)));
  // The first line of progress says that it is at work.
  child.stdout.once('data', () => child.kill('SIGINT'));
  const [code] = await once(child, 'close');
  assert.equal(code, 130);
  assert.match(output.join(''), /interrupted: `sluice lab up --name \S+` completes it, `sluice lab down --name/);
});

for (const afterMs of [60, 150, 250, 400, 700, 1_200]) {
  test(`up interrupted after ${afterMs} ms: up again completes it`, async () => {
    await using lab = testLab();
    await lab.interrupt('up', afterMs, '--nodes', '2');
    await lab.must('up', '--nodes', '2');
    await lab.must('status');
  });

  test(`up interrupted after ${afterMs} ms: down removes it`, async () => {
    const devices = machineDevices();
    await using lab = testLab();
    await lab.interrupt('up', afterMs, '--nodes', '2');
    const traces = labTraces(lab.layout, devices);
    await lab.must('down');
    assert.deepEqual(await leftBehind(traces), []);
  });
}

test('down interrupted: down again removes the rest', async () => {
  const devices = machineDevices();
  await using lab = testLab();
  await lab.must('up', '--nodes', '2');
  const traces = labTraces(lab.layout, devices);
  await lab.interrupt('down', 250);
  await lab.must('down');
  assert.deepEqual(await leftBehind(traces), []);
});

test('pods outlive a killed daemon, and the next one finds them again, and another port if somebody has taken its own', async () => {
  await using lab = testLab();
  await lab.must('up', '--nodes', '2');
  const pods = await containers(lab);
  process.kill(daemonOf(lab), 'SIGKILL');
  assert.match(await lab.must('up'), /API server and kubelets: started/);
  assert.deepEqual(await containers(lab), pods);

  const daemon = daemonOf(lab);
  process.kill(daemon, 'SIGKILL');
  while (existsSync(`/proc/${daemon}`)) await delay(5);
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(readFileSync(lab.layout.kubeconfig, 'utf8'))?.[1]);
  await using somebody = createServer();
  await new Promise<void>((resolve) => somebody.listen(port, '127.0.0.1', resolve));
  assert.match(
    await lab.must('up'),
    new RegExp(`port ${port} of 127\\.0\\.0\\.1 is taken: the API server is at \\d+ now`),
  );
  assert.deepEqual(await containers(lab), pods);
});

test('a node whose network was taken away is repaired by up', async () => {
  await using lab = testLab();
  await lab.must('up', '--nodes', '2');
  await lab.must('exec', 'k8s-cp2', '--', 'ip', 'link', 'delete', 'eno1');
  assert.match(await lab.must('up'), /k8s-cp2 \(network repaired\)/);
  assert.match(await lab.must('exec', 'k8s-cp2', '--', 'ip', 'address', 'show', 'eno1'), /10\.10\.30\.102\/24/);

  for (const route of ['10.10.30.0/24', 'fd00:10:10:30::/64'])
    await lab.must('exec', 'k8s-cp2', '--', 'ip', 'route', 'delete', route);
  assert.match(await lab.must('up'), /k8s-cp2 \(network repaired\)/);
  await lab.must('exec', 'k8s-cp2', '--', 'client', 'tcp', '198.51.100.10', '80');
  await lab.must('exec', 'k8s-cp2', '--', 'client', 'tcp', '2001:db8:100::10', '80');
  assert.match(await lab.must('up'), /nothing to do/);
});

test('a node whose namespace was taken away comes back empty, and its pods are started again', async () => {
  await using lab = testLab();
  await lab.must('up', '--nodes', '1');
  const run = spawnSync('umount', ['--lazy', lab.layout.netns('k8s-cp1')], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  assert.match(await lab.must('up'), /network: made k8s-cp1/);
  await lab.must('kubectl', 'run', 'asker', '--image=sluice-lab/client');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/asker', '--timeout=30s');
  // A resolver asks again, too: the name server has just moved to another address.
  let answer = '';
  for (let attempt = 1; attempt <= 5 && answer === ''; attempt += 1) {
    answer = (await lab.run('exec', 'asker', '--', 'resolve', 'kubernetes')).stdout;
  }
  assert.match(answer, /^10\.96\.0\.1$/m);
});

test('two labs with the same addresses do not meet', async () => {
  await using one = testLab();
  await using other = testLab();
  await Promise.all([one.must('up', '--nodes', '1'), other.must('up', '--nodes', '1')]);
  await one.must('kubectl', 'create', 'namespace', 'only-here');
  const { status } = await other.run('kubectl', 'get', 'namespace', 'only-here');
  assert.equal(status, 1);
  await one.must('node', 'kill', 'k8s-cp1');
  await other.must('exec', 'k8s-cp1', '--', 'client', 'tcp', '198.51.100.10', '80');
  await one.must('down');
  await other.must('status');
});
