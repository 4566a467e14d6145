/**
 * What an agent costs with the sample workload and no traffic: `npm run bench [-- --write]`. It makes a lab of its own,
 * takes two minutes, and prints the table; with `--write` into bench/RESULTS.md, too.
 */
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeLayout } from '@sluice/lab';
import { installationRoot, writeFileAtomic } from '@sluice/runtime';
import { untilReady } from '../lab/test/agents.ts';
import { cpuSecondsOf, memoryOf, startedAtMs } from '../lab/test/process-cost.ts';
import { type TestLab, testLab } from '../lab/test/test-lab.ts';

const root = installationRoot();
const sluice = join(root, 'bin/sluice');
const nodeNames = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];
const settleMs = 10_000;
const idleMs = 60_000;
const starts = 9;

interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The most that it may be; undefined: only told. */
  readonly goal?: number;
}

async function measure(lab: TestLab): Promise<Figure[]> {
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(root, 'examples/demo'));
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod', '--all', '-A', '--timeout=60s');
  const nodes = nodeNames.map((name) => lab.layout.node(name));
  const agents = await Promise.all(nodes.map((node) => untilReady(node)));
  await delay(settleMs);
  const before = agents.map(cpuSecondsOf);
  await delay(idleMs);
  const milliCores = agents.map((pid, index) => ((cpuSecondsOf(pid) - (before[index] ?? 0)) * 1e6) / idleMs);
  const memory = agents.map(memoryOf);
  for (const { name } of nodes) await lab.must('exec', name, '--', sluice, 'status');
  const asked = agents.map(memoryOf);
  const mapsMiB = await Promise.all(nodes.map((node) => mapsOf(lab, node)));
  const measured = await measureStarts(nodes);
  const readyMs = measured.map((start) => start.readyMs);
  const cpuMs = measured.map((start) => start.cpuMs);
  return [
    { what: 'resident memory', value: most(memory.map(({ rssMiB }) => rssMiB)), unit: 'MiB', goal: 110 },
    { what: 'of it anonymous', value: most(memory.map(({ anonymousMiB }) => anonymousMiB)), unit: 'MiB', goal: 60 },
    { what: 'resident after `sluice status`', value: most(asked.map(({ rssMiB }) => rssMiB)), unit: 'MiB', goal: 110 },
    { what: 'CPU without traffic, over 60 s', value: most(milliCores), unit: 'millicores', goal: 20 },
    { what: 'BPF maps', value: most(mapsMiB), unit: 'MiB', goal: 24 },
    { what: `start after kill -9 to ready, median of ${starts}`, value: median(readyMs), unit: 'ms', goal: 900 },
    { what: 'the slowest of them', value: most(readyMs), unit: 'ms' },
    { what: 'CPU time of a start, median', value: median(cpuMs), unit: 'ms' },
  ];
}

async function mapsOf(lab: TestLab, node: NodeLayout): Promise<number> {
  const maps: { bytes: number }[] = JSON.parse(
    await lab.must('exec', node.name, '--', sluice, 'map', 'list', '-o', 'json'),
  );
  return maps.reduce((sum, { bytes }) => sum + bytes, 0) / (1 << 20);
}

interface Start {
  readonly readyMs: number;
  /** What a busy machine does not change much. */
  readonly cpuMs: number;
}

/** From the process's start, so with Node's own, until it says that it is ready. */
async function measureStarts(nodes: readonly NodeLayout[]): Promise<Start[]> {
  const measured: Start[] = [];
  for (let round = 0; round < starts; round += 1) {
    const node = nodes[round % nodes.length];
    if (!node) break;
    const killed = await untilReady(node);
    process.kill(killed, 'SIGKILL');
    const pid = await untilReady(node, killed);
    measured.push({ readyMs: Date.now() - startedAtMs(pid), cpuMs: 1000 * cpuSecondsOf(pid) });
    await delay(1_000);
  }
  return measured;
}

function most(values: readonly number[]): number {
  return Math.max(...values);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, value, unit, goal }) => {
    const shown = value < 10 ? value.toFixed(1) : String(Math.round(value));
    const verdict = goal === undefined ? '' : value <= goal ? 'met' : 'MISSED';
    return `| ${what} | ${shown} ${unit} | ${goal === undefined ? '' : `${goal} ${unit}`} | ${verdict} |`;
  });
  return ['| the most of three agents | value | goal | verdict |', '|---|---|---|---|', ...rows].join('\n');
}

async function loadOf(lab: TestLab): Promise<string> {
  const counts = ['nodes', 'services', 'endpointslices', 'pods'].map(async (kind) => {
    const names = await lab.must('kubectl', 'get', kind, '-A', '-o', 'name');
    return `${names.trim().split('\n').length} ${kind}`;
  });
  return `${(await Promise.all(counts)).join(', ')}, no traffic but the agents' own`;
}

function machine(): string {
  const gibibytes = Math.round(totalmem() / (1 << 30));
  const [busy = 0] = loadavg();
  return [
    `${cpus().length} x ${cpus()[0]?.model}, ${gibibytes} GiB, Linux ${release()}, Node ${process.versions.node}`,
    `load average ${busy.toFixed(1)}, other work included`,
  ].join(', ');
}

await using lab = testLab();
const table = tableOf(await measure(lab));
const page = `# What an agent costs

${table}

- Load: ${await loadOf(lab)}.
- Machine: ${machine()}; ${new Date().toISOString().slice(0, 10)}.
- Memory is that of \`/proc/PID/smaps_rollup\`, maps are the kernel's own account (\`memlock\`), the start counts from the
  process's own. Again: \`npm run bench -- --write\`.
`;
process.stdout.write(page);
if (process.argv.includes('--write')) writeFileAtomic(join(root, 'bench/RESULTS.md'), page);
if (table.includes('MISSED')) process.exitCode = 1;
