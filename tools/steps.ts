// The steps of `npm run check` and `npm test`, in order of their cost. A step prints one line when it passes and
// everything it has to say when it does not.
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { complaints } from './rules.ts';

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

export interface Step {
  readonly name: string;
  readonly run: (root: string, totals: Totals) => Promise<boolean>;
}

const KERNEL_TESTS = ['packages/*/{src,test}/**/*.kernel.test.ts'];
const LAB_TESTS = ['lab/test/**/*.lab.test.ts'];

export const checks: readonly Step[] = [
  command('types', 'node_modules/.bin/tsc', ['--noEmit']),
  command('lint and format', 'node_modules/.bin/biome', ['check', '--error-on-warnings', '.']),
  { name: 'format of C', run: (root) => formatOfC(root) },
  { name: 'repository rules', run: async (root) => report(complaints(root)) },
  command('generated files fresh', process.execPath, ['tools/generate.ts', '--check']),
  tests(
    'unit tests',
    ['packages/*/src/**/*.test.ts', 'packages/*/test/**/*.test.ts', 'lab/src/**/*.test.ts', 'tools/**/*.test.ts'],
    {
      without: [...KERNEL_TESTS, ...LAB_TESTS],
      concurrency: availableParallelism(),
      seconds: 120,
    },
  ),
];

export const kernelSteps: readonly Step[] = [
  tests('kernel tests', KERNEL_TESTS, { without: [], concurrency: 1, seconds: 240 }),
  tests('lab tests', LAB_TESTS, { without: [], concurrency: 1, seconds: 600 }),
];

/** Runs the steps in order, all of them even when one fails; false if any failed. */
export async function runSteps(steps: readonly Step[], root: string, totals: Totals): Promise<boolean> {
  let good = true;
  for (const step of steps) {
    const started = performance.now();
    process.stdout.write(`-- ${step.name}\n`);
    const passed = await step.run(root, totals);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`${passed ? 'ok' : 'FAILED'} ${step.name} (${seconds} s)\n`);
    good &&= passed;
  }
  return good;
}

function command(name: string, file: string, args: readonly string[]): Step {
  return { name, run: (root) => succeeds(root, file, args) };
}

function succeeds(root: string, file: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', (error) => {
      process.stdout.write(`${file}: ${error.message}; run 'npm run setup'\n`);
      resolve(false);
    });
    child.once('exit', (code) => resolve(code === 0));
  });
}

function formatOfC(root: string): Promise<boolean> {
  const files = globSync(['bpf/**/*.{c,h}', 'packages/*/c/**/*.{c,h}', 'lab/c/**/*.{c,h}'], { cwd: root });
  return succeeds(root, 'clang-format-19', ['--dry-run', '--Werror', ...files.filter((f) => !f.includes('/build/'))]);
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
    run: async (root, totals) => {
      const without = new Set(globSync([...options.without], { cwd: root }));
      const files = globSync([...patterns], { cwd: root })
        .filter((file) => !without.has(file))
        .sort();
      return files.length === 0
        ? report([`no test file matches ${patterns.join(' ')}`])
        : runTests(root, files, options, totals);
    },
  };
}

async function runTests(
  root: string,
  files: readonly string[],
  options: { readonly concurrency: number; readonly seconds: number },
  totals: Totals,
): Promise<boolean> {
  const before = totals.failed;
  const stream = run({
    cwd: root,
    files: files.map((file) => join(root, file)),
    concurrency: options.concurrency,
    timeout: options.seconds * 1000,
  });
  for await (const event of stream) {
    if (event.type === 'test:stderr' || event.type === 'test:stdout') process.stdout.write(event.data.message);
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { data } = event;
    if (data.details.type === 'suite') continue;
    if (event.type === 'test:fail') {
      totals.failed += 1;
      process.stdout.write(
        `not ok: ${data.file ?? ''}:${data.line ?? ''} ${data.name}\n${failure(event.data.details.error)}\n`,
      );
    } else if (data.skip !== undefined && data.skip !== false) {
      totals.skipped += 1;
      process.stdout.write(`skipped: ${data.name}: ${String(data.skip)}\n`);
    } else totals.passed += 1;
  }
  return totals.failed === before;
}

function failure(error: Error): string {
  const cause = error.cause;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error.message);
}
