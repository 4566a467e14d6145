// The steps of `npm run check` and `npm test`, in order of their cost. A step prints one line when it passes and
// everything it has to say when it does not.
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { diagnosisLines, examineMachine, hasErrors } from '../packages/doctor/src/index.ts';
import { complaints } from './rules.ts';

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
  /** Failed, and passed when their file ran once more, alone. */
  flaky: number;
}

export interface Run {
  readonly root: string;
  readonly totals: Totals;
  /** Aborted: the step under way is ended, the others do not begin. */
  readonly signal: AbortSignal;
}

export interface Step {
  readonly name: string;
  readonly run: (run: Run) => Promise<boolean>;
}

const KERNEL_TESTS = ['packages/*/{src,test}/**/*.kernel.test.ts', 'bench/**/*.kernel.test.ts'];
const LAB_TESTS = ['lab/test/**/*.lab.test.ts'];
/** `npm run test:kubernetes` runs them, in the cluster that it brings up. */
const CLUSTER_TESTS = ['kubernetes/test/**/*.cluster.test.ts'];
/** They need no kernel of ours, but each starts the real kubectl or helm many times, or builds the image. */
const KUBECTL_TESTS = ['lab/src/apiserver/kubectl*.test.ts', 'tools/chart/*.test.ts', 'tools/image/image.test.ts'];

export const checks: readonly Step[] = [
  command('types', 'node_modules/.bin/tsc', ['--noEmit']),
  command('lint and format', 'node_modules/.bin/biome', ['check', '--error-on-warnings', '.']),
  { name: 'format of C', run: formatOfC },
  { name: 'repository rules', run: async ({ root }) => report(complaints(root)) },
  command('generated files fresh', process.execPath, ['tools/generate.ts', '--check']),
  tests(
    'unit tests',
    [
      'packages/*/src/**/*.test.ts',
      'packages/*/test/**/*.test.ts',
      'lab/src/**/*.test.ts',
      'lab/test/conformance/page.test.ts',
      'tools/**/*.test.ts',
      'bench/**/*.test.ts',
      'kubernetes/**/*.test.ts',
    ],
    {
      without: [...KERNEL_TESTS, ...LAB_TESTS, ...KUBECTL_TESTS, ...CLUSTER_TESTS],
      concurrency: availableParallelism(),
      seconds: 120,
    },
  ),
];

export const slowSteps: readonly Step[] = [
  tests('kubectl, chart and image tests', KUBECTL_TESTS, {
    without: [],
    concurrency: availableParallelism(),
    seconds: 120,
  }),
  { name: 'machine', run: examine },
  tests('kernel tests', KERNEL_TESTS, { without: [], concurrency: 2, seconds: 240 }),
  tests('lab tests', LAB_TESTS, { without: [], concurrency: 2, seconds: 600 }),
];

/** Runs the steps in order, all of them even when one fails; false if any failed. */
export async function runSteps(steps: readonly Step[], run: Run): Promise<boolean> {
  let good = true;
  for (const step of steps) {
    if (run.signal.aborted) return false;
    const started = performance.now();
    process.stdout.write(`-- ${step.name}\n`);
    const passed = await step.run(run);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`${passed ? 'ok' : 'FAILED'} ${step.name} (${seconds} s)\n`);
    good &&= passed;
  }
  return good;
}

function command(name: string, file: string, args: readonly string[]): Step {
  return { name, run: (run) => succeeds(run, file, args) };
}

function succeeds({ root, signal }: Run, file: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], signal });
    child.once('error', (error) => {
      if (!signal.aborted) process.stdout.write(`${file}: ${error.message}; run 'npm run setup'\n`);
      resolve(false);
    });
    child.once('exit', (code) => resolve(code === 0));
  });
}

function formatOfC(run: Run): Promise<boolean> {
  const files = globSync(['bpf/**/*.{c,h}', 'packages/*/c/**/*.{c,h}', 'lab/c/**/*.{c,h}', 'bench/c/**/*.{c,h}'], {
    cwd: run.root,
  });
  return succeeds(run, 'clang-format-19', [
    '--dry-run',
    '--Werror',
    ...files.filter((f) => !/\/(build|include|generated)\//.test(f)),
  ]);
}

/** What the tests below need of this machine, as an operator is told it. */
async function examine(): Promise<boolean> {
  const machine = examineMachine();
  report(diagnosisLines(machine));
  return !hasErrors(machine);
}

function report(lines: readonly string[]): boolean {
  for (const line of lines) process.stdout.write(`${line}\n`);
  return lines.length === 0;
}

function tests(
  name: string,
  patterns: readonly string[],
  options: { readonly without: readonly string[]; readonly concurrency: number; readonly seconds: number },
): Step {
  return {
    name,
    run: async (started) => {
      const { root } = started;
      const without = new Set(globSync([...options.without], { cwd: root }));
      const files = globSync([...patterns], { cwd: root })
        .filter((file) => !without.has(file))
        .sort();
      return files.length === 0
        ? report([`no test file matches ${patterns.join(' ')}`])
        : runTestFiles(started, files, options);
    },
  };
}

/** More files than this that fail are no accident of a busy machine, and do not run again. */
const FILES_AGAIN_MAX = 3;

interface FileRun {
  readonly concurrency: number;
  readonly seconds: number;
}

/**
 * False if any failed twice; what failed and what was skipped is printed. A file in which a test fails runs once more,
 * alone: what passes then is counted as flaky, which nobody can overlook and which stops nobody's work.
 */
export async function runTestFiles(started: Run, files: readonly string[], options: FileRun): Promise<boolean> {
  const results = await runOnce(started, files, options);
  const failed = [...results].filter(([, { failed }]) => failed > 0);
  if (failed.length <= FILES_AGAIN_MAX) {
    for (const [file, first] of failed) {
      if (started.signal.aborted) break;
      process.stdout.write(`again, alone: ${file}\n`);
      const again = (await runOnce(started, [file], { ...options, concurrency: 1 })).get(file);
      if (again === undefined || again.failed > 0) continue;
      process.stdout.write(`FLAKY, passed the second time: ${file}\n`);
      results.set(file, { ...again, flaky: first.failed });
    }
  }
  for (const result of results.values()) {
    for (const key of ['passed', 'failed', 'skipped', 'flaky'] as const) started.totals[key] += result[key];
  }
  return [...results.values()].every(({ failed }) => failed === 0);
}

/** By the file's path. */
async function runOnce(
  { root, signal }: Run,
  files: readonly string[],
  { concurrency, seconds }: FileRun,
): Promise<Map<string, Totals>> {
  const results = new Map<string, Totals>();
  const paths = files.map((file) => join(root, file));
  const timeout = seconds * 1000;
  // A test that ran out of its time may go on for ever: its process ends all the same.
  const execArgv = ['--import', `data:text/javascript,setTimeout(() => process.exit(124), ${timeout + 5_000}).unref()`];
  const stream = run({ cwd: root, files: paths, concurrency, timeout, signal, execArgv });
  for await (const event of stream) {
    if (event.type === 'test:stderr' || event.type === 'test:stdout') process.stdout.write(event.data.message);
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { data } = event;
    if (data.details.type === 'suite') continue;
    const file = relative(root, data.file ?? data.name);
    const result = results.get(file) ?? { passed: 0, failed: 0, skipped: 0, flaky: 0 };
    results.set(file, result);
    if (event.type === 'test:fail') {
      result.failed += 1;
      process.stdout.write(
        `not ok: ${data.file ?? ''}:${data.line ?? ''} ${data.name}\n${failure(event.data.details.error)}\n`,
      );
    } else if (data.skip !== undefined && data.skip !== false) {
      result.skipped += 1;
      process.stdout.write(`skipped: ${data.name}: ${String(data.skip)}\n`);
    } else result.passed += 1;
  }
  return results;
}

/** The last line of a run. */
export function totalsLine({ passed, failed, skipped, flaky }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped${flaky > 0 ? `, ${flaky} FLAKY` : ''}\n`;
}

function failure(error: Error): string {
  const cause = error.cause;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error.message);
}
