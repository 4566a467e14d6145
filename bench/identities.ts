/**
 * What 100,000 identities cost: `node bench/identities.ts` (root, after `npm run build`; two minutes). A made-up API server
 * has 100,000 pods with labels of their own in 5,000 namespaces. The operator makes their identities; then an agent starts
 * that sees them all, and what 30,000 endpoints on 273 other nodes have of them. `agent` as an argument leaves the operator out.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { recommendedEnvironment, recommendedNodeFlags, type StatusReport } from '@sluice/agent';
import { installationRoot } from '@sluice/runtime';
import { temporaryBpffs, temporaryCgroup, temporaryDirectory, temporaryNetworkNamespace } from '@sluice/testing';
import { cpuSecondsOf, memoryOf } from '../lab/test/process-cost.ts';

const pods = 100_000;
const endpoints = 30_000;
const port = 6443;
const root = installationRoot();

await using stack = new AsyncDisposableStack();
const directory = stack.use(temporaryDirectory());
const namespace = stack.use(temporaryNetworkNamespace());
const bpffs = stack.use(temporaryBpffs());
const cgroup = stack.use(temporaryCgroup());
const kubeconfig = join(directory.path, 'kubeconfig');
const socket = join(directory.path, 'run/sluice.sock');
mkdirSync(join(directory.path, 'state'));
writeFileSync(
  join(directory.path, 'state/node.json'),
  JSON.stringify({ name: 'here', addresses: ['10.10.30.101'], podCidrs: ['10.244.0.0/24', 'fd00:10:244::/64'] }),
);
writeFileSync(
  kubeconfig,
  `{apiVersion: v1, kind: Config, current-context: b, contexts: [{name: b, context: {cluster: b, user: b}}],
    users: [{name: b, user: {token: b}}], clusters: [{name: b, cluster: {server: 'http://127.0.0.1:${port}'}}]}`,
);

function start(args: readonly string[], output: 'pipe' | 'ignore' = 'ignore'): ChildProcess {
  const child = spawn('nsenter', [`--net=${namespace.path}`, process.execPath, ...args], {
    stdio: ['ignore', output, 'inherit'],
    env: { ...process.env, ...recommendedEnvironment },
  });
  stack.defer(() => void child.kill('SIGKILL'));
  return child;
}

function run(command: string, ...args: string[]): Promise<void> {
  const child = spawn('nsenter', [`--net=${namespace.path}`, command, ...args], { stdio: 'inherit' });
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** Of the server, whose loopback is in the namespace: asked by a process there. */
async function ask(path: string): Promise<string> {
  const script = `fetch('http://127.0.0.1:${port}${path}').then((r) => r.text()).then((t) => process.stdout.write(t))`;
  const child = start(['-e', script], 'pipe');
  let text = '';
  for await (const chunk of child.stdout ?? []) text += chunk;
  return text;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > 600_000) throw new Error(`${what}: not after ten minutes`);
    await delay(200);
  }
  return (performance.now() - began) / 1000;
}

function agentGet<Answer>(path: string): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const asked = httpGet({ socketPath: socket, path }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(response.statusCode === 200 ? (JSON.parse(text) as Answer) : undefined));
    });
    asked.once('error', () => resolve(undefined));
  });
}

const figures: [what: string, value: string][] = [];
function figure(what: string, value: number, unit: string): void {
  const text = `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  figures.push([what, text]);
  process.stderr.write(`${what}: ${text}\n`);
}

function memory(what: string, child: ChildProcess): void {
  const { rssMiB, anonymousMiB } = memoryOf(child.pid ?? 0);
  figure(`${what}, resident`, rssMiB, 'MiB');
  figure(`${what}, of it anonymous`, anonymousMiB, 'MiB');
}

await run('ip', 'link', 'set', 'lo', 'up');
await run('ip', 'link', 'add', 'eno1', 'type', 'veth', 'peer', 'name', 'lan');
for (const name of ['eno1', 'lan']) await run('ip', 'link', 'set', name, 'up');
await run('ip', 'address', 'add', '10.10.30.101/24', 'dev', 'eno1');
const server = start([join(root, 'bench/large-cluster.ts'), String(port)], 'pipe');
await new Promise((resolve) => server.stdout?.once('data', resolve));

const agentArguments = [
  ...[...recommendedNodeFlags, join(root, 'dist/agent.js'), '--node-name', 'here', '--kubeconfig', kubeconfig],
  ...['--state-dir', join(directory.path, 'state'), '--run-dir', join(directory.path, 'run')],
  ...['--bpffs', bpffs.path, '--cgroup-root', cgroup.path, '--log-level', 'warn'],
];
const synced = async (): Promise<boolean> => {
  const report = await agentGet<StatusReport>('/status');
  const watches = report?.kubernetes.watches ?? [];
  return watches.length > 0 && watches.every((watch) => watch.synced || watch.off !== undefined);
};

async function measureAgent(what: string): Promise<ChildProcess> {
  const agent = start(agentArguments);
  figure(`${what}: start until all lists are in`, await until('the lists', synced), 's');
  await delay(5_000);
  memory(what, agent);
  figure(`${what}: CPU time since its start`, cpuSecondsOf(agent.pid ?? 0), 's');
  return agent;
}

async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

async function measureOperator(): Promise<void> {
  await ask(`/fill?pods=${pods}`);
  const operator = start([
    '--max-semi-space-size=1',
    '--optimize-for-size',
    join(root, 'dist/operator.js'),
    '--kubeconfig',
    kubeconfig,
    '--log-level',
    'warn',
  ]);
  const created = await until('identities', async () => Number(await ask('/count/ciliumidentities')) >= pods);
  figure(`operator: ${pods} identities created`, created, 's');
  await delay(5_000);
  memory(`operator, ${pods} pods and identities`, operator);
  const cpuBefore = cpuSecondsOf(operator.pid ?? 0);
  await ask(`/pod/${pods + 1}`);
  await until('one more', async () => Number(await ask('/count/ciliumidentities')) > pods - 1);
  figure('operator: CPU time so far', cpuBefore, 's');
  await end(operator);
}

await end(await measureAgent('agent, empty cluster'));
if (process.argv[2] === 'agent') await ask(`/identify?pods=${pods}`);
else await measureOperator();

await end(await measureAgent(`agent, ${pods} identities`));
await ask(`/publish?endpoints=${endpoints}`);
const agent = await measureAgent(`agent, ${pods} identities and ${endpoints} endpoints elsewhere`);
const rows = (await agentGet<{ name: string; entries: number }[]>('/maps'))?.find((map) => map.name === 'ipcache');
figure('rows of map ipcache', rows?.entries ?? 0, '');
const idleBefore = cpuSecondsOf(agent.pid ?? 0);
await delay(20_000);
figure('agent: CPU without changes', ((cpuSecondsOf(agent.pid ?? 0) - idleBefore) * 1000) / 20, 'millicores');

const busy = loadavg()[0] ?? 0;
const table = ['| what | value |', '|---|---|', ...figures.map(([what, value]) => `| ${what} | ${value} |`)].join('\n');
const machine = `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}, Node ${process.versions.node}`;
process.stdout.write(`${table}\n\nMachine: ${machine}, load average ${busy.toFixed(1)}, other work included.\n`);
