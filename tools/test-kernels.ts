// `npm run test:kernels [-- --kernel 6.12] [--programs | --all | --test TEXT]`: our programs, and packets through them, on
// other kernels than the one that runs here. Each series that the distribution offers is booted in an emulated machine;
// what is older than we support must be refused properly. With --all every kernel test of ours runs there, which takes an
// hour. Writes the table of instructions into bpf/README.md, this machine's kernel in the last columns.
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { compileObjects } from './bpf-build.ts';
import { compareReleases, type KernelImage, offeredKernels, unpackKernel } from './kernels/images.ts';
import { runMachine } from './kernels/machine.ts';
import { collectResults, type KernelResults } from './kernels/results.ts';
import { writeRoot } from './kernels/root.ts';
import { withTable } from './kernels/table.ts';

const FLOOR = '6.6';
const MEMORY_MIB = 2048;
const SILENCE_MS_MAX = 10 * 60_000;
const GUEST = 'tools/kernels/guest.ts';
const FLOOR_TEST = 'packages/datapath/src/kernel-floor.kernel.test.ts';
/** Every program under every configuration; they print the instructions. */
const PROGRAM_TESTS = [
  'packages/datapath/src/programs.kernel.test.ts',
  'packages/datapath/src/other-programs.kernel.test.ts',
];
/** Pods, services at the socket and per packet, every way in, also at XDP. */
const PACKET_TESTS = ['datapath', 'sock', 'service-packets', 'ways-in', 'dsr', 'xdp'].map(
  (name) => `packages/datapath/src/${name}.kernel.test.ts`,
);
const TESTS = ['packages/{ffi,netlink,bpf,datapath}/{src,test}/**/*.kernel.test.ts'];

const root = resolve(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    kernel: { type: 'string' },
    programs: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    // Of the test files only those that have it in their name, for who looks into a failure.
    test: { type: 'string' },
  },
});
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort());

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`test:kernels: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<boolean> {
  await compileObjects({ root, log: print });
  const kernels = chosenKernels();
  const results: KernelResults[] = [];
  for (const kernel of kernels) results.push(await testKernel(kernel));
  const isWhole = values.kernel === undefined && values.test === undefined;
  if (isWhole) results.push(await testHere());
  const good = results.every(({ failed, passed, ended }) => failed === 0 && passed > 0 && ended);
  if (good && isWhole) writeTable(results.filter(({ programs }) => programs.size > 0));
  const sum = (count: (result: KernelResults) => number) => results.reduce((all, result) => all + count(result), 0);
  print(`${sum((r) => r.passed)} passed, ${sum((r) => r.failed)} failed, ${sum((r) => r.skipped)} skipped`);
  return good;
}

function chosenKernels(): KernelImage[] {
  const offered = offeredKernels();
  const chosen = offered.filter(({ series }) => values.kernel === undefined || series === values.kernel);
  if (chosen.length > 0) return chosen;
  const found = offered.map(({ series }) => series).join(', ') || 'none';
  throw new Error(
    `apt offers no image of ${values.kernel ?? 'any kernel'} (found: ${found}); run apt-get update first`,
  );
}

function testsFor(series: string): string[] {
  if (compareReleases(series, FLOOR) < 0) return [FLOOR_TEST];
  if (values.programs) return PROGRAM_TESTS;
  const { test } = values;
  if (!values.all && test === undefined) return [...PROGRAM_TESTS, ...PACKET_TESTS];
  const files = globSync(TESTS, { cwd: root }).sort();
  if (test !== undefined) return files.filter((file) => file.includes(test));
  return [...PROGRAM_TESTS, ...files.filter((file) => !PROGRAM_TESTS.includes(file))];
}

async function testKernel(kernel: KernelImage): Promise<KernelResults> {
  const cache = join(root, '.cache/kernels');
  mkdirSync(cache, { recursive: true });
  print(`-- Linux ${kernel.release}`);
  const started = performance.now();
  const unpacked = unpackKernel(kernel, cache);
  const folder = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  try {
    const archive = join(folder, 'root.cpio');
    writeRoot(archive, { root, kernel: unpacked, script: GUEST, args: testsFor(kernel.series) });
    const collector = collectResults(print);
    await runMachine({
      image: unpacked.image,
      archive,
      memoryMiB: MEMORY_MIB,
      silenceMsMax: SILENCE_MS_MAX,
      signal: interrupted.signal,
      onLine: collector.line,
    });
    return report(collector.results(), started);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** This machine's kernel, for comparison. */
async function testHere(): Promise<KernelResults> {
  print('-- this machine');
  const started = performance.now();
  const collector = collectResults(print);
  const child = spawn(process.execPath, [GUEST, ...PROGRAM_TESTS], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    signal: interrupted.signal,
  });
  for await (const line of createInterface({ input: child.stdout })) collector.line(line);
  return report(collector.results(), started);
}

function report(results: KernelResults, started: number): KernelResults {
  const { release, passed, failed, skipped, programs, ended } = results;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const how = ended ? '' : ', and did not come to its end';
  print(
    `Linux ${release}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${programs.size} programs (${seconds} s)${how}`,
  );
  return results;
}

function writeTable(results: readonly KernelResults[]): void {
  const path = join(root, 'bpf/README.md');
  const before = readFileSync(path, 'utf8');
  const after = withTable(before, results);
  if (after === before) return;
  writeFileSync(path, after);
  print('wrote the table of instructions in bpf/README.md');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
