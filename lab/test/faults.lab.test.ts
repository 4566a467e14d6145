// Needs root and a kernel that Sluice runs on. One lab for all of these, and they build on one another: a cluster takes
// 40 seconds to miss a node, and here it misses two at once.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { installationRoot } from '@sluice/runtime';
import { testLab } from './test-lab.ts';

const lab = testLab();
before(async () => {
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'faults.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=30s');
});
after(() => lab[Symbol.asyncDispose]());

interface PodView {
  readonly metadata: { readonly uid: string };
  readonly status: {
    readonly podIP: string;
    readonly containerStatuses: readonly {
      readonly restartCount: number;
      readonly lastState: { readonly terminated?: { readonly exitCode: number; readonly reason: string } };
    }[];
  };
}

async function podNamed(name: string): Promise<PodView> {
  return JSON.parse(await lab.must('kubectl', 'get', 'pod', name, '-o', 'json'));
}

async function readyOf(node: string): Promise<{ status: string; message: string }> {
  const conditions = '{.status.conditions[?(@.type=="Ready")]}';
  return JSON.parse(await lab.must('kubectl', 'get', 'node', node, '-o', `jsonpath=${conditions}`));
}

let victim: PodView;

test('a killed node has no time to say anything: who talks to it meets silence, and the cluster still believes in it', async () => {
  victim = await podNamed('victim');
  const talking = talkTo(victim.status.podIP);
  await talking.answered;
  assert.match(await lab.must('node', 'kill', 'k8s-cp3'), /^k8s-cp3 is without power: [2-9] processes were killed/m);
  // Neither closed nor reset: nothing came any more.
  assert.match(await talking.end, /failed \d+ after \d+\.\d+ ms: answer: Connection timed out/);
  assert.equal((await readyOf('k8s-cp3')).status, 'True');
  const { netns, bpffs, runDirectory } = lab.layout.node('k8s-cp3');
  assert.deepEqual([netns, bpffs, runDirectory].filter(existsSync), [], 'what lived in memory');
});

function talkTo(address: string): { answered: Promise<unknown>; end: Promise<string> } {
  const command = ['client', 'tcp', address, '8080', '--stream', '--count', '0', '--interval', '20'];
  const args = ['lab', 'exec', '--name', lab.name, 'survivor', '--', ...command];
  const child = spawn(join(installationRoot(), 'bin/sluice'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    text += chunk;
  });
  return {
    answered: new Promise((resolve) => child.stdout.once('data', resolve)),
    end: new Promise((resolve) => child.once('close', () => resolve(text))),
  };
}

test('nobody gets onto a node without power, and it is said how to switch it on', async () => {
  const node = await lab.run('exec', 'k8s-cp3', '--', 'true');
  assert.equal(node.status, 1);
  assert.match(node.stderr, /k8s-cp3 is off since .* \(killed\)\n.*sluice lab node start k8s-cp3 --name/);
  assert.match((await lab.run('exec', 'victim', '--', 'true')).stderr, /victim has no running process/);
  assert.match((await lab.run('kubectl', 'exec', 'victim', '--', 'true')).stderr, /node k8s-cp3 is off/);
  assert.match(await lab.must('node', 'kill', 'k8s-cp3'), /^k8s-cp3 is off already$/m);
  assert.match(await lab.must('node', 'start', 'k8s-cp1'), /^k8s-cp1 is on already$/m);
  const nobody = await lab.run('node', 'stop', 'k8s-cp7');
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /there is no node k8s-cp7\n.*k8s-cp1, k8s-cp2, k8s-cp3/);
});

test('a node whose cable is cut goes on by itself, and its API server does not hear of it', async () => {
  assert.match(await lab.must('link', 'cut', 'k8s-cp2'), /^k8s-cp2: the cable of eno1 is cut$/m);
  await until('the API server has lost it', async () =>
    /node k8s-cp2 cannot be reached/.test((await lab.run('kubectl', 'exec', 'islander', '--', 'true')).stderr),
  );
  assert.match(await lab.must('exec', 'islander', '--', 'hostname'), /^islander$/m);
  // Deleted behind its back.
  await lab.must('kubectl', 'delete', 'pod', 'islander', '--wait=false');
  await lab.must('exec', 'islander', '--', 'true');
});

test('what is broken stays so when the daemon ends and when up repairs the rest, and the status tells it', async () => {
  process.kill(JSON.parse(readFileSync(lab.layout.pidFile, 'utf8')).pid, 'SIGKILL');
  const shown = await lab.must('up');
  assert.match(shown, /k8s-cp3 is off since .* \(killed\)/);
  assert.match(shown, /k8s-cp2: the cable of eno1 is cut/);
  assert.match(
    await lab.must('status'),
    /k8s-cp3 +off[\s\S]*not ready: pod default\/victim on k8s-cp3: the node is switched off/,
  );
  const { isReady, nodes } = JSON.parse(await lab.must('status', '-o', 'json'));
  assert.equal(isReady, true, 'it is as its users want it');
  assert.deepEqual(
    nodes.map(({ off, cut }: { off?: { how: string }; cut: string[] }) => [off?.how, cut]),
    [
      [undefined, []],
      [undefined, ['eno1']],
      ['killed', []],
    ],
  );
});

test('the cluster misses both after 40 seconds', async () => {
  await lab.must('kubectl', 'wait', '--for=condition=Ready=Unknown', 'node/k8s-cp2', 'node/k8s-cp3', '--timeout=60s');
  assert.match(
    await lab.must('kubectl', 'get', 'nodes'),
    /k8s-cp1 +Ready[\s\S]*k8s-cp2 +NotReady[\s\S]*k8s-cp3 +NotReady/,
  );
  assert.equal((await readyOf('k8s-cp3')).message, 'Kubelet stopped posting node status.');
});

test('a cable that is mended brings the node back, and what was deleted meanwhile goes', async () => {
  await lab.must('link', 'heal', 'k8s-cp2');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'node/k8s-cp2', '--timeout=30s');
  await lab.must('kubectl', 'wait', '--for=delete', 'pod/islander', '--timeout=30s');
  assert.match((await lab.run('exec', 'islander', '--', 'true')).stderr, /no pod is called islander/);
});

test('a node that is switched on makes its pods again, as after a reboot', async () => {
  assert.match(await lab.must('node', 'start', 'k8s-cp3'), /^k8s-cp3 is ready after/m);
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/victim', '--timeout=30s');
  const again = await podNamed('victim');
  const [container] = again.status.containerStatuses;
  assert.equal(again.metadata.uid, victim.metadata.uid);
  assert.deepEqual([container?.restartCount, container?.lastState.terminated?.reason], [1, 'Unknown']);
  await lab.must('exec', 'survivor', '--', 'client', 'tcp', again.status.podIP, '8080');
  await until('it reaches the others', async () =>
    /Cluster health: +3\/3 reachable/.test(await lab.must('exec', 'k8s-cp3', '--', 'sluice', 'status')),
  );
});

test('a node that is stopped says that it goes, ends its pods in order, and comes back', async () => {
  assert.match(
    await lab.must('node', 'stop', 'k8s-cp1'),
    /k8s-cp1 is off: its pods, its kubelet and its agent have ended/,
  );
  assert.deepEqual(await readyOf('k8s-cp1').then(({ status, message }) => [status, message]), [
    'False',
    'node is shutting down',
  ]);
  const ended = readFileSync(join(lab.layout.logs, 'agent-k8s-cp1.log'), 'utf8');
  assert.match(ended.trimEnd().split('\n').slice(-3).join('\n'), /stopping/);
  // The operator ran there.
  assert.match(await lab.must('status'), /operator +process \d+/);
  assert.match(await lab.must('node', 'start', 'k8s-cp1'), /^k8s-cp1 is ready after/m);
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/survivor', '--timeout=30s');
  assert.equal((await podNamed('survivor')).status.containerStatuses[0]?.restartCount, 1);
});

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await look())) {
    if (performance.now() > deadline) assert.fail(`${what}: not after 60 s`);
    await delay(50);
  }
}
