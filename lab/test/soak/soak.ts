// `npm run soak [-- --help]`: agents are killed with -9 at random instants, also in the middle of their start; pods and
// services come and go; a node loses its power or its cable; the machine has more to do than it can; and clients ask
// without a pause. No request may be lost, and at the end memory, descriptors, devices, routes, map rows and namespaces
// are what they were. The short form, in `npm test`, is agent-killed.lab.test.ts.
//
// What happened is printed as it happens, so that a lost request can be laid beside it. Exit status 1: something was lost.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { installationRoot } from '@sluice/runtime';
import { untilReady } from '../agents.ts';
import { type Client, startClient } from '../clients.ts';
import { settledRows } from '../configuration-maps.ts';
import { startCrowd } from '../crowds.ts';
import { type TestLab, testLab } from '../test-lab.ts';
import { churnNode, churnPods, churnServices } from './churn.ts';
import { judgeClients, judgeNodes, takeBaseline } from './judge.ts';
import { killAgents } from './kills.ts';
import { readOptions } from './options.ts';
import { pause, type SoakRun, say } from './run.ts';

const stayingNames = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];
const shakenName = 'k8s-cp4';
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

const options = readOptions();
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
say(`seed ${options.seed}, ${options.seconds} s of ${[...options.only].join(', ')}; ${options.hogs} hogs`);
process.exitCode = (await soak()) ? 0 : 1;

async function soak(): Promise<boolean> {
  await using lab = testLab();
  const nodes = stayingNames.map((name) => lab.layout.node(name));
  const shaken = lab.layout.node(shakenName);
  const all = [...nodes, shaken];
  await lab.must('up', '--nodes', String(all.length));
  await lab.must('kubectl', 'label', 'node', ...stayingNames, 'soak=stays');
  await keepNamesKnown(lab);
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'workload.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', 'pod/far', '--timeout=60s');
  const addresses = await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIPs[*]}');
  await Promise.all(all.map((node) => untilReady(node)));
  await settledRows(all);
  const baseline = await takeBaseline(lab, nodes, shaken);
  const clients = startClients(lab, addresses.split(' '));
  using running = new DisposableStack();
  for (const watched of watches) running.use(watchChanges(lab, watched));
  for (let hog = 0; hog < options.hogs; hog += 1) running.use(startHog());
  await shake({ lab, options, nodes, shaken, ended: interrupted.signal });
  await Promise.all(all.map((node) => untilReady(node)));
  const lost = await judgeClients(clients);
  running.dispose();
  const different = await judgeNodes(lab, baseline);
  if (different === 0) say('nodes and namespaces are as they were');
  return lost + different === 0;
}

/** Where both pods of the cluster's DNS lost their power, nobody could tell a name: no fault of ours. */
async function keepNamesKnown(lab: TestLab): Promise<void> {
  const staying = { spec: { template: { spec: { nodeSelector: { soak: 'stays' } } } } };
  const deployment = ['deployment/coredns', '--namespace', 'kube-system'];
  await lab.must('kubectl', 'patch', ...deployment, '--type', 'merge', '--patch', JSON.stringify(staying));
  await lab.must('kubectl', 'rollout', 'status', ...deployment, '--timeout=60s');
}

async function shake(run: SoakRun): Promise<void> {
  const over = new AbortController();
  const ended = AbortSignal.any([over.signal, run.ended]);
  const parts = { kills: killAgents, pods: churnPods, services: churnServices, nodes: churnNode };
  const running = Promise.all([...options.only].map((part) => parts[part]({ ...run, ended })));
  try {
    // Whatever fails ends all, and the lab is taken down.
    await Promise.race([pause(options.seconds * 1000, ended), running]);
  } finally {
    over.abort();
  }
  await running;
}

function startClients(lab: TestLab, [web4 = '', web6 = '']: readonly string[]): Client[] {
  const start = (pod: string, ...words: [protocol: string, address: string, ...options: string[]]) => {
    let shown = 0;
    const onLine = (line: string) => {
      shown += 1;
      if (shown <= failuresShownMax) say(`${pod} ${words.join(' ')}: ${line}`);
      if (shown === 1 && line.startsWith('failed')) void tellCauses(lab);
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
    ...(['near', 'far'] as const).map((pod, index) =>
      startCrowd(lab, pod, [index === 0 ? web4 : web6, 80], {
        kept: Math.ceil(options.kept / 2),
        rate: Math.ceil(options.rate / 2),
      }),
    ),
  ];
}

/**
 * What every node has dropped by now, and whether a CPU of the machine was stuck: a failure's cause is seen at once, or
 * never. Who loads thousands of nftables rules beside us keeps a CPU, and the packets that wait for it, for many seconds.
 */
async function tellCauses(lab: TestLab): Promise<void> {
  const { stdout: messages } = spawnSync('dmesg', { encoding: 'utf8' });
  const stuck = messages.split('\n').filter((line) => /lockup|stall/i.test(line));
  if (stuck.length > 0) say(`the kernel's own messages:\n${stuck.slice(-5).join('\n')}`);
  for (const name of [...stayingNames, shakenName]) {
    const { stdout } = await lab.run('exec', name, '--', 'sluice', 'metrics', 'list', '--match', 'drop_count');
    say(`drops of ${name}:\n${stdout}`);
  }
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
  return { [Symbol.dispose]: () => void endGroup(child) };
}

/** One that has ended by itself, as a watch does which the API server closes, has no group any more. */
function endGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL');
}

/** A process that never waits; it ends by itself, should we be killed. */
function startHog(): Disposable {
  const child = spawn('timeout', [`${options.seconds + 300}`, 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore' });
  return { [Symbol.dispose]: () => void child.kill() };
}
