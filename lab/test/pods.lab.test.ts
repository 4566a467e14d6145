// Needs root and a kernel that Sluice runs on. One lab of two nodes for all of these.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { installationRoot } from '@sluice/runtime';
import { lanName } from '../src/topology.ts';
import { untilAgent, untilReady } from './agents.ts';
import { testLab } from './test-lab.ts';

const lab = testLab();
before(() => lab.must('up', '--nodes', '2'));
after(() => lab[Symbol.asyncDispose]());

const kubectl = (...args: string[]) => lab.must('kubectl', ...args);
const namespaces = () => readdirSync(dirname(lab.layout.netns(lanName))).filter((name) => name.startsWith('pod-'));

async function runPod(name: string, image: string, ...args: string[]): Promise<void> {
  const overrides = args.length > 0 ? ['--', ...args] : [];
  await kubectl('run', name, `--image=sluice-lab/${image}`, ...overrides);
  await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s');
}

test('a pod has an address of each family, the name of its own as host name, and the cluster in its resolv.conf', async () => {
  await runPod('whoami', 'client');
  const pod = JSON.parse(await kubectl('get', 'pod', 'whoami', '-o', 'json'));
  const addresses = pod.status.podIPs.map(({ ip }: { ip: string }) => ip);
  assert.match(addresses.join(' '), /^10\.244\.\d+\.\d+ fd00:10:244:/);
  const seen = await lab.must('exec', 'whoami', '--', 'ip', '-o', 'address', 'show', 'eth0');
  for (const address of addresses) assert.ok(seen.includes(` ${address}/`), `${address} in ${seen}`);
  assert.equal(await lab.must('exec', 'whoami', '--', 'hostname'), 'whoami\n');
  const resolvConf = await kubectl('exec', 'whoami', '--', 'cat', '/etc/resolv.conf');
  assert.match(resolvConf, /^nameserver 10\.96\.0\.10$/m);
  assert.match(resolvConf, /^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local$/m);
});

test("what a pod writes stays in the pod, and the machine's files are read-only", async () => {
  await runPod('writer', 'client');
  const own = `/tmp/written-${lab.name}`;
  await kubectl('exec', 'writer', '--', 'sh', '-c', `printf hers > ${own}`);
  assert.equal(await lab.must('exec', 'writer', '--', 'cat', own), 'hers');
  assert.equal(existsSync(own), false, 'the machine does not see it');
  for (const directory of ['/etc', '/usr', installationRoot(), join(installationRoot(), 'dist')]) {
    const path = join(directory, `written-${lab.name}`);
    const { status, stderr } = await lab.run('exec', 'writer', '--', 'touch', path);
    assert.equal(existsSync(path), false, `the machine's ${directory} is written`);
    // A checkout below /tmp lies in a folder of the pod's own: what is written there is the pod's.
    if (status !== 0) assert.match(stderr, /Read-only file system|No such file/);
    else assert.match(directory, /^\/(tmp|var\/tmp|run|root|home)\//);
  }
});

test('names of services resolve in pods, short and long, forwards and backwards', async () => {
  await runPod('asker', 'client');
  const ask = (...args: string[]) => lab.must('exec', 'asker', '--', 'resolve', ...args);
  assert.match(await ask('kubernetes'), /^10\.96\.0\.1$/m);
  assert.match(await ask('kube-dns.kube-system.svc.cluster.local'), /^10\.96\.0\.10\nfd00:10:96::a$/m);
  assert.equal(await ask('10.0.96.10.in-addr.arpa', 'PTR'), 'PTR kube-dns.kube-system.svc.cluster.local\n');
  const { status, stderr } = await lab.run('exec', 'asker', '--', 'resolve', 'nobody.kube-system');
  assert.equal(status, 1);
  assert.match(stderr, /nobody\.kube-system: no such name/);
});

test('kubectl logs gives what the pod printed, and only its end when asked', async () => {
  await runPod('talker', 'echo');
  assert.equal(await kubectl('logs', 'talker'), 'listening on TCP port 8080\nlistening on UDP port 8080\n');
  assert.equal(await kubectl('logs', 'talker', '--tail=1'), 'listening on UDP port 8080\n');
});

test('kubectl exec gives the exit status of the command', async () => {
  await runPod('worker', 'client');
  const { status } = await lab.run('kubectl', 'exec', 'worker', '--', 'sh', '-c', 'exit 7');
  assert.equal(status, 7);
});

test('a pod with an unknown image says which there are and stays pending', async () => {
  await kubectl('run', 'stranger', '--image=nginx');
  await kubectl(
    'wait',
    'pod/stranger',
    '--for=jsonpath={.status.containerStatuses[*].state.waiting.reason}=CreateContainerError',
  );
  const pod = JSON.parse(await kubectl('get', 'pod', 'stranger', '-o', 'json'));
  assert.match(
    pod.status.containerStatuses[0].state.waiting.message,
    /nginx is not one of the lab's images: sluice-lab\/echo/,
  );
  assert.equal(pod.status.phase, 'Pending');
});

test('a container that fails is started again, and the pod tells how often', async () => {
  await kubectl('run', 'crasher', '--image=sluice-lab/client', '--command', '--', 'sh', '-c', 'sleep 0.1; exit 3');
  await kubectl('wait', 'pod/crasher', '--for=jsonpath={.status.containerStatuses[*].restartCount}=2', '--timeout=30s');
  const pod = JSON.parse(await kubectl('get', 'pod', 'crasher', '-o', 'json'));
  assert.equal(pod.status.containerStatuses[0].lastState.terminated.exitCode, 3);
  await kubectl('delete', 'pod', 'crasher');
});

test('a pod that is deleted leaves no namespace, also when it does not want to end', async () => {
  await kubectl(
    'run',
    'stubborn',
    '--image=sluice-lab/client',
    '--command',
    '--',
    'sh',
    '-c',
    "trap '' TERM; while :; do sleep 0.1; done",
  );
  await kubectl('wait', '--for=condition=Ready', 'pod/stubborn', '--timeout=30s');
  const during = namespaces();
  await kubectl('delete', 'pod', 'stubborn', '--grace-period=1');
  assert.equal(namespaces().length, during.length - 1);
});

test('a pod is reached at its host ports, from outside, from other nodes and its own, until it is gone', async () => {
  const ports = [
    { containerPort: 8080, hostPort: 8088 },
    { containerPort: 8080, hostPort: 8088, protocol: 'UDP', hostIP: '10.10.30.101' },
  ];
  const containers = [{ name: 'ported', image: 'sluice-lab/echo', ports }];
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'ported' },
    spec: { nodeName: 'k8s-cp1', containers },
  };
  await kubectl('run', 'ported', '--image=sluice-lab/echo', `--overrides=${JSON.stringify(pod)}`);
  await kubectl('wait', '--for=condition=Ready', 'pod/ported', '--timeout=30s');
  const asked = (where: string, ...words: string[]) => lab.must('exec', where, '--', 'client', ...words);
  for (const where of ['client', 'k8s-cp2', 'k8s-cp1']) {
    assert.match(await asked(where, 'tcp', '10.10.30.101', '8088'), /host=ported/);
    assert.match(await asked(where, 'udp', '10.10.30.101', '8088'), /host=ported/);
  }
  assert.match(await asked('k8s-cp1', 'tcp', '127.0.0.1', '8088'), /host=ported/);
  await kubectl('delete', 'pod', 'ported');
  const after = await lab.run('exec', 'client', '--', 'client', 'tcp', '10.10.30.101', '8088');
  assert.match(after.stdout, /refused/);
});

test('a readiness probe is asked from the node: a pod that listens is ready, one that does not is not', async () => {
  const pod = (name: string, port: number) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      containers: [
        {
          name: 'c',
          image: 'sluice-lab/echo',
          args: ['--http', '8080'],
          readinessProbe: { httpGet: { port }, periodSeconds: 1 },
        },
      ],
    },
  });
  for (const [name, port] of [
    ['listens', 8080],
    ['elsewhere', 8081],
  ] as const) {
    await kubectl('create', 'namespace', name);
    await kubectl('run', name, '-n', name, '--image=sluice-lab/echo', `--overrides=${JSON.stringify(pod(name, port))}`);
  }
  await kubectl('wait', '-n', 'listens', '--for=condition=Ready', 'pod/listens', '--timeout=30s');
  await kubectl('wait', '-n', 'elsewhere', '--for=jsonpath={.status.phase}=Running', 'pod/elsewhere', '--timeout=30s');
  await untilEvent('elsewhere', 'Unhealthy');
  const unready = JSON.parse(await kubectl('get', 'pod', '-n', 'elsewhere', 'elsewhere', '-o', 'json'));
  assert.equal(unready.status.conditions.find(({ type }: { type: string }) => type === 'Ready').status, 'False');
});

test('describe tells what of a pod and a service is not served, once, also after the agent was started anew', async () => {
  await kubectl('create', 'namespace', 'unserved');
  // A port that is for services alone.
  const ports = [{ containerPort: 8080, hostPort: 30_888 }];
  const spec = { containers: [{ name: 'held', image: 'sluice-lab/client', ports }] };
  await kubectl('run', 'held', '-n', 'unserved', '--image=x', `--overrides=${JSON.stringify({ spec })}`);
  await kubectl('create', 'service', 'clusterip', 'outer', '-n', 'unserved', '--tcp=80');
  const sctp = { spec: { ports: [{ name: 'sctp', port: 81, protocol: 'SCTP' }] } };
  await kubectl('patch', 'service', 'outer', '-n', 'unserved', `--patch=${JSON.stringify(sctp)}`);
  await untilEvent('unserved', 'HostPortNotServed');
  await untilEvent('unserved', 'NotServed');
  const describe = (what: string) => kubectl('describe', '-n', 'unserved', what);
  assert.match(
    await describe('pod/held'),
    /Warning +HostPortNotServed +\S+ +sluice-agent +host ports are not served: \*:30888\/TCP for port 8080: 30888 is one of/,
  );
  assert.match(await describe('service/outer'), /Warning +NotServed +\S+ +sluice-operator +SCTP is not served/);
  const node = lab.layout.node(
    await kubectl('get', 'pod', 'held', '-n', 'unserved', '-o', 'jsonpath={.spec.nodeName}'),
  );
  const killed = await untilAgent(node);
  process.kill(killed, 'SIGKILL');
  await untilReady(node, killed);
  const counted = ['get', 'events', '-n', 'unserved', '--field-selector', 'reason=HostPortNotServed', '-o'];
  await untilTrue(
    'the new agent raises the count',
    async () => (await kubectl(...counted, 'jsonpath={.items[0].count}')) === '2',
  );
  assert.equal((await kubectl(...counted, 'name')).trim().split('\n').length, 1);
});

async function untilTrue(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await look())) if (performance.now() > deadline) assert.fail(`${what}: not after 30 s`);
}

async function untilEvent(namespace: string, reason: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const reasons = await kubectl('get', 'events', '-n', namespace, '-o', 'jsonpath={.items[*].reason}');
    if (reasons.split(' ').includes(reason)) return;
  }
  assert.fail(`no event ${reason} in namespace ${namespace} after 30 s`);
}
