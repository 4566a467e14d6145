// Needs root and a kernel that Sluice runs on. What `sluice explain` tells is held against what a real client gets.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ExplainReport, ServiceExplainReport } from '@sluice/agent';
import { installationRoot } from '@sluice/runtime';
import { testLab } from './test-lab.ts';

const lab = testLab();
const sluice = join(installationRoot(), 'bin/sluice');
const kubectl = (...args: string[]) => lab.must('kubectl', ...args);

before(async () => {
  await lab.must('up', '--nodes', '2');
  for (const [name, node, image] of [
    ['asker', 'k8s-cp1', 'client'],
    ['near', 'k8s-cp1', 'echo'],
    ['far', 'k8s-cp2', 'echo'],
  ] as const) {
    await kubectl('run', name, `--image=sluice-lab/${image}`, `--overrides={"spec":{"nodeName":"${node}"}}`);
  }
  await kubectl('wait', '--for=condition=Ready', 'pod/asker', 'pod/near', 'pod/far', '--timeout=30s');
  await kubectl('expose', 'pod', 'far', '--name=web', '--port=80', '--target-port=8080');
  await kubectl('create', 'service', 'clusterip', 'nobody', '--tcp=80:8080');
});
after(() => lab[Symbol.asyncDispose]());

/** Asks until the objects have reached the node's tables. */
async function explain(...args: readonly string[]): Promise<ExplainReport> {
  for (let attempt = 0; ; attempt += 1) {
    const { stdout, stderr } = await lab.run(
      'exec',
      'k8s-cp1',
      '--',
      sluice,
      'explain',
      'connect',
      ...args,
      '-o',
      'json',
    );
    if (stdout !== '') return JSON.parse(stdout);
    if (attempt === 20) assert.fail(stderr);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const step = ({ steps }: ExplainReport, name: string) => steps.find((each) => each.step === name);

test('a service whose only backend is on another node is told as the client finds it', async () => {
  const report = await explain('default/asker', 'web.default.svc.cluster.local:80');
  assert.equal(report.verdict, 'forwarded');
  assert.match(step(report, 'service')?.text ?? '', /^ClusterIP of service default\/web; 1 backend; no affinity$/);
  assert.equal(step(report, 'socket')?.facts.pod, 'default/far');
  assert.equal(step(report, 'route')?.facts.way, 'tunnel');
  assert.equal(step(report, 'route')?.facts.node, 'k8s-cp2');
  const seen = await lab.must('exec', 'asker', '--', 'client', 'tcp', 'web.default', '80');
  assert.match(seen, /\bfar\b/);
});

test('past the socket hooks the packet itself is told as translated', async () => {
  const report = await explain('default/asker', 'default/web:80', '--past-hooks');
  assert.equal(step(report, 'socket'), undefined);
  assert.match(step(report, 'translation')?.text ?? '', /becomes backend 10\.244\.1\.\d+:8080 \(default\/far\)/);
});

test('a service without backends is told as refused, and refuses', async () => {
  const report = await explain('default/asker', 'nobody:80');
  assert.equal(report.verdict, 'dropped');
  assert.match(report.summary, /ECONNREFUSED/);
  assert.match(step(report, 'service')?.text ?? '', /no backend, as no pod has the labels/);
  const { status } = await lab.run('exec', 'asker', '--', 'client', 'tcp', 'nobody.default', '80');
  assert.notEqual(status, 0);
  const { status: told } = await lab.run(
    'exec',
    'k8s-cp1',
    '--',
    sluice,
    'explain',
    'connect',
    'default/asker',
    'nobody:80',
  );
  assert.equal(told, 1);
});

test('the internet is told with the device and the address that it sees', async () => {
  const report = await explain('default/asker', '198.51.100.10:80');
  assert.equal(step(report, 'route')?.facts.interface, 'eno1');
  assert.equal(step(report, 'masquerade')?.facts.source, '10.10.30.101');
});

test('the node itself, a pod of another node and names that nobody has are answered too', async () => {
  assert.match((await explain('host', 'web.default:80')).summary, /default\/far on node k8s-cp2/);
  const elsewhere = await lab.run('exec', 'k8s-cp1', '--', sluice, 'explain', 'connect', 'default/far', 'nobody:80');
  assert.match(elsewhere.stderr, /pod default\/far is on node k8s-cp2: ask the agent there/);
  const unknown = await lab.run(
    'exec',
    'k8s-cp1',
    '--',
    sluice,
    'explain',
    'connect',
    'default/asker',
    'example.org:80',
  );
  assert.match(unknown.stderr, /^sluice: example\.org is no address and no Service/);
});

/** Until the node knows the Service, and every endpoint of it. */
async function explainService(endpoints: number, ...args: readonly string[]): Promise<ServiceExplainReport> {
  for (let attempt = 0; ; attempt += 1) {
    const asked = ['k8s-cp1', '--', sluice, 'service', 'explain', ...args, '-o', 'json'];
    const { stdout, stderr } = await lab.run('exec', ...asked);
    const report = stdout === '' ? undefined : (JSON.parse(stdout) as ServiceExplainReport);
    if (report?.endpoints.length === endpoints && report.places.every(({ verdict }) => verdict !== 'not asked'))
      return report;
    if (attempt === 50) assert.fail(stderr || stdout);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('a service is told for each kind of client as the kernel has it, and as a client outside finds it', async () => {
  await kubectl('label', 'pod', 'near', 'far', 'app=echo');
  const spec = {
    type: 'NodePort',
    externalTrafficPolicy: 'Local',
    selector: { app: 'echo' },
    ports: [{ port: 80, targetPort: 8080, nodePort: 30_180 }],
  };
  await kubectl('create', 'service', 'nodeport', 'both', '--tcp=80:8080', '--node-port=30180');
  await kubectl('patch', 'service', 'both', '-p', JSON.stringify({ spec }));
  const report = await explainService(2, 'default/both');
  const told = report.places.map(({ type, client, verdict, backends }) => {
    const pods = backends.map(({ pod }) => pod.slice('default/'.length)).sort();
    return `${type} ${client.replace(/ \(.*/, '')}: ${verdict} ${pods.join(' ')}`.trim();
  });
  assert.deepEqual(told, [
    'ClusterIP a pod here: served far near',
    'ClusterIP processes of k8s-cp1: served far near',
    'ClusterIP anybody outside: not served',
    'NodePort a pod here: served far near',
    'NodePort processes of k8s-cp1: served far near',
    'NodePort anybody outside: served near',
  ]);
  const far = report.endpoints.find(({ pod }) => pod === 'default/far');
  assert.deepEqual(far?.unused, [{ frontend: '0.0.0.0:30180/TCP/external', why: 'on another node' }]);
  for (let attempt = 0; attempt < 6; attempt += 1)
    assert.match(await lab.must('exec', 'client', '--', 'client', 'tcp', '10.10.30.101', '30180'), /\bnear\b/);
  await kubectl('delete', 'service', 'both');
});

test('a service that serves nobody ends with status 1, and a name that nobody has with the one that was meant', async () => {
  const asked = (...args: readonly string[]) => lab.run('exec', 'k8s-cp1', '--', sluice, 'service', 'explain', ...args);
  const nobody = await asked('default/nobody', '--from', 'asker');
  assert.equal(nobody.status, 1);
  assert.match(nobody.stdout, /refused: +no backend: connect\(\) fails with ECONNREFUSED/);
  assert.match((await asked('default/nobdy')).stderr, /did you mean default\/nobody\?/);
});

test('questions are not counted and leave no connection behind', async () => {
  const before = await lab.must(
    'exec',
    'k8s-cp1',
    '--',
    sluice,
    'ct',
    'list',
    '--from-pod',
    'default/asker',
    '-o',
    'json',
  );
  await explain('default/asker', '10.244.0.250:80');
  await explain('default/asker', '198.51.100.99:80');
  const after = await lab.must(
    'exec',
    'k8s-cp1',
    '--',
    sluice,
    'ct',
    'list',
    '--from-pod',
    'default/asker',
    '-o',
    'json',
  );
  const names = (text: string) =>
    (JSON.parse(text) as { destination: { address: string } }[]).map((row) => row.destination.address);
  // What is over may go meanwhile.
  const known = new Set(names(before));
  assert.deepEqual(
    names(after).filter((address) => !known.has(address)),
    [],
  );
});

test('doctor finds nothing on a good node, and on a bad one what was done to it', async () => {
  const doctor = async () => {
    const { stdout, status } = await lab.run('exec', 'k8s-cp2', '--', sluice, 'doctor', '-o', 'json');
    const { findings } = JSON.parse(stdout) as { findings: { check: string; severity: string }[] };
    return { status, errors: findings.filter(({ severity }) => severity === 'error').map(({ check }) => check) };
  };
  assert.deepEqual(await doctor(), { status: 0, errors: [] });
  await lab.must('exec', 'k8s-cp2', '--', 'ip', 'link', 'set', 'eno1', 'mtu', '1290');
  assert.deepEqual(await doctor(), { status: 1, errors: ['mtu'] });
});
