// Needs root and a kernel that Sluice runs on. One lab for all of these; connections are open from the first test to the last.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { untilAgent, untilReady } from './agents.ts';
import { type Client, startClient } from './clients.ts';
import { configurationRows } from './configuration-maps.ts';
import { testLab } from './test-lab.ts';

const lab = testLab();
const nodes = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'].map((name) => lab.layout.node(name));
const [first, second] = nodes as [(typeof nodes)[number], (typeof nodes)[number], (typeof nodes)[number]];
/** Until an API server that says nothing shows in the status; asking for it takes a moment, too. */
const shownMsMax = 35_000;
/** Backoff of half a minute, a connection that takes its time, lists. */
const convergedMsMax = 60_000;
const clients: Client[] = [];
const failures: string[] = [];

before(async () => {
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'bad-api.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', 'deployment/churn', '--timeout=60s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', 'pod/far', '--timeout=30s');
  await Promise.all(nodes.map((node) => untilReady(node)));
  const addresses = await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIPs[*]}');
  const [web4 = '', web6 = ''] = addresses.split(' ');
  const onLine = (line: string) => void (line.includes('failed') && !line.includes('sent=') && failures.push(line));
  const open = (pod: string, words: readonly [string, string, ...string[]]) =>
    clients.push(startClient(lab, pod, words, { intervalMs: 50, onLine }));
  open('near', ['tcp', web4, '--stream']);
  open('far', ['tcp', web6, '--stream']);
  open('far', ['tcp', web4]);
  open('near', ['tcp', web6]);
  open('far', ['udp', web4, '--unconnected']);
});

after(() => lab[Symbol.asyncDispose]());

interface KubernetesStatus {
  readonly kubernetes: { readonly state: string; readonly lastError?: string };
}

async function kubernetesOf(node: string): Promise<KubernetesStatus['kubernetes']> {
  const { stdout } = await lab.run('exec', node, '--', 'sluice', 'status', '-o', 'json');
  return stdout === '' ? { state: 'no agent' } : (JSON.parse(stdout) as KubernetesStatus).kubernetes;
}

/** Backends of churn as the node has them, and as the API has them. */
async function backendsOn(node: string): Promise<string> {
  const rows: { service: string; backends: { key: string }[] }[] = JSON.parse(
    await lab.must('exec', node, '--', 'sluice', 'service', 'list', '-o', 'json'),
  );
  const keys = rows.filter(({ service }) => service === 'default/churn').flatMap(({ backends }) => backends);
  return keys
    .map(({ key }) => key)
    .sort()
    .join(' ');
}

async function wantedBackends(): Promise<string> {
  const pods = await lab.must('kubectl', 'get', 'pods', '-l', 'app=churn', '-o', 'jsonpath={.items[*].status.podIP}');
  return pods
    .split(' ')
    .map((address) => `${address}:8080/TCP`)
    .sort()
    .join(' ');
}

async function until(what: string, ms: number, look: () => Promise<boolean>): Promise<number> {
  const startedAt = performance.now();
  while (!(await look())) {
    if (performance.now() - startedAt > ms) assert.fail(`${what}: not after ${ms} ms`);
    await delay(100);
  }
  return performance.now() - startedAt;
}

async function untilShown(pattern: RegExp): Promise<void> {
  const everywhere = nodes.map(({ name }) =>
    until(`${name} tells of its API server`, shownMsMax, async () => {
      const { state, lastError = '' } = await kubernetesOf(name);
      return state === 'degraded' && pattern.test(lastError);
    }),
  );
  await Promise.all(everywhere);
}

async function untilConverged(): Promise<void> {
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/churn', '--timeout=60s');
  await lab.must('kubectl', 'rollout', 'status', 'deployment/churn', '--timeout=60s');
  const wanted = await wantedBackends();
  const everywhere = nodes.map(({ name }) =>
    until(`${name} has what the API server has`, convergedMsMax, async () => {
      return (await kubernetesOf(name)).state === 'ok' && (await backendsOn(name)) === wanted;
    }),
  );
  await Promise.all(everywhere);
  for (const pod of ['near', 'far']) await lab.must('exec', pod, '--', 'client', 'tcp', 'churn', '80', '--count', '9');
}

const blackHole = (action: 'add' | 'delete') =>
  Promise.all([
    lab.must('exec', 'lan', '--', 'ip', 'rule', action, 'to', '10.10.30.0/24', 'priority', '7', 'type', 'blackhole'),
    lab.must(
      'exec',
      'lan',
      '--',
      'ip',
      '-6',
      'rule',
      action,
      'to',
      'fd00:10:10:30::/64',
      'priority',
      '7',
      'type',
      'blackhole',
    ),
  ]);

/** A pod of churn loses its only process; whether its node hears of the API server or not, its kubelet starts another. */
async function killProcessOf(pod: PodView): Promise<void> {
  const folder = join(lab.layout.node(pod.spec.nodeName).directory, 'pods', pod.metadata.uid);
  const pidOf = () => Number(JSON.parse(readFileSync(join(folder, 'container-echo.json'), 'utf8')).process.pid);
  const killed = pidOf();
  process.kill(killed, 'SIGKILL');
  await until(`${pod.metadata.name} runs again`, 20_000, async () => pidOf() !== killed);
}

interface PodView {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly nodeName: string };
}

async function churnPods(): Promise<readonly PodView[]> {
  return JSON.parse(await lab.must('kubectl', 'get', 'pods', '-l', 'app=churn', '-o', 'json')).items;
}

test('an API server behind a black hole shows on every node; agents restart and pods are killed without it', async () => {
  const [before, maps] = [await wantedBackends(), nodes.map(configurationRows)];
  await blackHole('add');
  try {
    await untilShown(/10\.10\.30\.10:6443/);
    const killed = await untilAgent(second);
    process.kill(killed, 'SIGKILL');
    await untilReady(second, killed);
    const [pod] = await churnPods();
    assert.ok(pod);
    await killProcessOf(pod);
    // Nobody hears of these but the API server.
    await lab.must('kubectl', 'delete', 'pod', '-l', 'app=churn', '--wait=false');
    await lab.must('kubectl', 'scale', 'deployment/churn', '--replicas=5');
    for (const [index, node] of nodes.entries())
      assert.deepEqual(configurationRows(node), maps[index], 'what is known serves on');
    assert.equal((await kubernetesOf(second.name)).state, 'degraded', 'nor has the new agent reached it');
  } finally {
    await blackHole('delete');
  }
  await untilConverged();
  assert.notEqual(await wantedBackends(), before);
});

test('an API server that stalls shows on every node, and when it goes on nothing was lost', async () => {
  const { pid }: { pid: number } = JSON.parse(readFileSync(lab.layout.pidFile, 'utf8'));
  await lab.must('kubectl', 'scale', 'deployment/churn', '--replicas=2');
  process.kill(pid, 'SIGSTOP');
  let killed: number;
  try {
    await untilShown(/no answer/);
    killed = await untilAgent(first);
    process.kill(killed, 'SIGKILL');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await untilReady(first, killed);
  await untilConverged();
});

test('no connection broke and no new one failed, and the agents kept to their memory', async () => {
  for (const client of clients) {
    const text = await client.end();
    assert.match(text, /sent=(\d{3,}) answered=\1 failed=0/, client.what);
  }
  assert.deepEqual(failures, []);
  for (const node of nodes) {
    const status = readFileSync(`/proc/${await untilAgent(node)}/status`, 'utf8');
    const residentMib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
    assert.ok(residentMib < 110, `the agent of ${node.name} takes ${residentMib} MiB`);
  }
});
