// `npm run soak:kills`: agents killed with -9 at random instants, also in the middle of their start, while the machine has
// more to do than it can, pods come and go and clients ask without a pause. No request may be lost, and no pod left behind.
// The short form of it, in `npm test`, is agent-killed.lab.test.ts.
//
//   npm run soak:kills -- --seconds 120 --kills 24 --hogs 4 --interval 2 --seed 7
//
// What happened is printed as it happens, so that a lost request can be laid beside it. Exit status 1: something was lost.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { NodeLayout } from '@sluice/lab';
import { installationRoot } from '@sluice/runtime';
import { labCgroup, processesIn } from '../src/host/cgroup.ts';
import { untilReady } from './agents.ts';
import { type Client, startClient } from './clients.ts';
import { configurationRows, settledRows } from './configuration-maps.ts';
import { type TestLab, testLab } from './test-lab.ts';

const options = readOptions();
const random = generator(options.seed);
const startedAt = performance.now();
const churnIntervalMs = 3_000;
const churnReplicasMax = 9;
/** Of one client; what follows is counted in its summary all the same. */
const failuresShownMax = 20;

const readyColumn = "jsonpath={.metadata.name} {.status.conditions[?(@.type=='Ready')].status}{'\\n'}";
/** What Kubernetes thinks of nodes and backends: without a ready backend a service has to refuse. */
const watches = [
  ['nodes', '-o', readyColumn],
  ['pods', '-l', 'app=web', '-o', readyColumn],
  [
    'endpointslices',
    '-l',
    'kubernetes.io/service-name=web',
    '-o',
    "jsonpath={.metadata.name} ready: {.endpoints[*].conditions.ready}{'\\n'}",
  ],
] as const;
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

say(`seed ${options.seed}, ${options.kills} kills in ${options.seconds} s, ${options.hogs} hogs`);
process.exitCode = (await soak()) ? 0 : 1;

async function soak(): Promise<boolean> {
  await using lab = testLab();
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'agent-killed.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', 'pod/far', '--timeout=60s');
  const addresses = await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIPs[*]}');
  const nodes = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'].map((name) => lab.layout.node(name));
  await Promise.all(nodes.map((node) => untilReady(node)));
  const before = await settledRows(nodes);
  const clients = startClients(lab, addresses.split(' '));
  using _running = new DisposableStack();
  for (const watched of watches) _running.use(watchChanges(lab, watched));
  for (let hog = 0; hog < options.hogs; hog += 1) _running.use(startHog());
  const churn = churnPods(lab);
  await killAtRandom(lab, nodes);
  await churn.end();
  await Promise.all(nodes.map((node) => untilReady(node)));
  const lost = await judgeClients(clients);
  return lost + (await judgeNodes(lab, nodes, before)) === 0;
}

function startClients(lab: TestLab, [web4 = '', web6 = '']: readonly string[]): Client[] {
  const start = (pod: string, ...words: [protocol: string, address: string, ...options: string[]]) => {
    let shown = 0;
    const onLine = (line: string) => {
      shown += 1;
      if (shown <= failuresShownMax) say(`${pod} ${words.join(' ')}: ${line}`);
    };
    return startClient(lab, pod, words, { intervalMs: options.interval, onLine });
  };
  return [
    start('near', 'tcp', web4, '--stream'),
    start('far', 'tcp', web6, '--stream'),
    start('far', 'tcp', web4),
    start('near', 'tcp', web6),
    start('far', 'udp', web4, '--unconnected'),
    start('near', 'udp', web6, '--unconnected'),
    start('near', 'udp', web4),
    start('far', 'udp', web6),
    start('near', 'tcp', 'web.default.svc.cluster.local'),
  ];
}

/** Says a line when it differs from the last one of the same object. */
function watchChanges(lab: TestLab, words: readonly string[]): Disposable {
  const args = ['lab', 'kubectl', '--name', lab.name, 'get', ...words, '--watch'];
  const child = spawn(join(installationRoot(), 'bin/sluice'), args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const last = new Map<string, string>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [name = ''] = line.split(' ');
    if (last.has(name) && last.get(name) !== line) say(`${words[0]}: ${line}`);
    last.set(name, line);
  });
  return { [Symbol.dispose]: () => void (child.pid && process.kill(-child.pid, 'SIGKILL')) };
}

/** Other pods than those that are asked: the plugin is called while agents die. */
function churnPods(lab: TestLab) {
  const ended = new AbortController();
  const random = generator(options.seed + 1);
  const scale = (replicas: number) => lab.must('kubectl', 'scale', 'deployment/churn', `--replicas=${replicas}`);
  const run = async () => {
    await lab.must('kubectl', 'create', 'deployment', 'churn', '--image=sluice-lab/echo');
    while (!ended.signal.aborted) {
      await scale(Math.floor(random() * (churnReplicasMax + 1)));
      await delay(churnIntervalMs, undefined, { signal: ended.signal }).catch(() => undefined);
    }
    await scale(churnReplicasMax);
    await lab.must('kubectl', 'rollout', 'status', 'deployment/churn', '--timeout=120s');
    await lab.must('kubectl', 'delete', 'deployment/churn');
    await lab.must('kubectl', 'wait', '--for=delete', 'pod', '-l', 'app=churn', '--timeout=120s');
  };
  const running = run();
  return {
    end: () => {
      ended.abort();
      return running;
    },
  };
}

/** A process that never waits; it ends by itself, should we be killed. */
function startHog(): Disposable {
  const child = spawn('timeout', [`${options.seconds + 300}`, 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore' });
  return { [Symbol.dispose]: () => void child.kill() };
}

/** Half of the instants fall anywhere; the other half soon after the one before, into the start that it caused. */
async function killAtRandom(lab: TestLab, nodes: readonly NodeLayout[]): Promise<void> {
  const spanMs = options.seconds * 1000;
  const first = Array.from({ length: Math.ceil(options.kills / 2) }, () => random() * spanMs);
  const again = first.slice(0, Math.floor(options.kills / 2)).map((at) => at + random() * 8_000);
  const kills = first.flatMap((at, index) => {
    const node = nodes[Math.floor(random() * nodes.length)];
    return [at, again[index]].flatMap((when) => (node && when !== undefined ? [{ when, node }] : []));
  });
  const beginning = performance.now();
  for (const { when, node } of kills.sort((left, right) => left.when - right.when)) {
    await pauseUntil(beginning + when);
    if (interrupted.signal.aborted) return;
    const agent = processesIn(join(labCgroup(lab.name), node.name, 'agent'));
    for (const pid of agent) process.kill(pid, 'SIGKILL');
    say(agent.length > 0 ? `killed the agent of ${node.name}` : `the agent of ${node.name} is not even started`);
    if (agent.length > 0) void untilReady(node, agent[0]).then(() => say(`the agent of ${node.name} is ready`), say);
  }
  await pauseUntil(beginning + spanMs);
}

function pauseUntil(at: number): Promise<void> {
  return delay(Math.max(0, at - performance.now()), undefined, { signal: interrupted.signal }).catch(() => undefined);
}

async function judgeClients(clients: readonly Client[]): Promise<number> {
  let bad = 0;
  for (const client of clients) {
    const text = await client.end();
    if (/sent=(\d{2,}) answered=\1 failed=0/.test(text)) continue;
    bad += 1;
    say(`LOST: ${client.what}: ${text.split('\n').at(-1)}`);
  }
  return bad;
}

async function judgeNodes(
  lab: TestLab,
  nodes: readonly NodeLayout[],
  before: readonly ReturnType<typeof configurationRows>[],
): Promise<number> {
  let bad = 0;
  for (const [index, node] of nodes.entries()) {
    try {
      assert.deepEqual(configurationRows(node), before[index]);
    } catch (error) {
      bad += 1;
      say(`DIFFERENT: the maps of ${node.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    const { status, stdout, stderr } = await lab.run('exec', node.name, '--', 'sluice', 'status', '--wait');
    if (status === 0) continue;
    bad += 1;
    say(`UNWELL: ${node.name}\n${stdout}${stderr}`);
  }
  if (bad > 0) for (const node of nodes) say(`log of ${node.name}:\n${logOf(lab, node)}`);
  return bad;
}

function logOf(lab: TestLab, node: NodeLayout): string {
  return readFileSync(join(lab.layout.logs, `agent-${node.name}.log`), 'utf8')
    .split('\n')
    .slice(-40)
    .join('\n');
}

function say(what: unknown): void {
  process.stdout.write(`${((performance.now() - startedAt) / 1000).toFixed(3).padStart(8)} s  ${String(what)}\n`);
}

function readOptions() {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { seconds: text, kills: text, hogs: text, interval: text, seed: text } });
  const number = (name: keyof typeof values, otherwise: number) => {
    const value = Number(values[name] ?? otherwise);
    assert.ok(Number.isSafeInteger(value) && value >= 0, `--${name} ${values[name]}: a whole number`);
    return value;
  };
  return {
    seconds: number('seconds', 120),
    kills: number('kills', 24),
    hogs: number('hogs', 2 * availableParallelism()),
    interval: number('interval', 2),
    seed: number('seed', Date.now() % 1_000_000),
  };
}

/** mulberry32: the same seed, the same kills. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
