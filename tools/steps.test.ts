import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { promisify } from 'node:util';
import { type Totals, totalsLine } from './steps.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
});
afterEach(() => rmSync(root, { recursive: true }));

interface Outcome {
  readonly good: boolean;
  readonly totals: Totals;
}

/**
 * What a run of these files gives; each is a body in which `assert` and `first` (true once a file) are known. One that says
 * `interrupt()` interrupts the run, as control-C does: npm passes on what has come to all.
 */
async function outcome(files: Readonly<Record<string, string>>): Promise<Outcome> {
  for (const [name, body] of Object.entries(files)) {
    writeFileSync(
      join(root, name),
      `import assert from 'node:assert/strict';
       import { existsSync, writeFileSync } from 'node:fs';
       import { test } from 'node:test';
       const mark = ${JSON.stringify(join(root, `${name}.mark`))};
       const first = !existsSync(mark);
       writeFileSync(mark, '');
       const send = () => process.kill(process.ppid, 'SIGINT');
       const interrupt = () => { send(); setTimeout(send, 5); };
       ${body}`,
    );
  }
  const script = `
    import { interruption } from ${JSON.stringify(join(import.meta.dirname, 'interruption.ts'))};
    import { runTestFiles } from ${JSON.stringify(join(import.meta.dirname, 'steps.ts'))};
    const totals = { passed: 0, failed: 0, skipped: 0, flaky: 0 };
    const run = { root: ${JSON.stringify(root)}, totals, signal: interruption() };
    const good = await runTestFiles(run, ${JSON.stringify(Object.keys(files))}, { concurrency: 2, seconds: 3 });
    console.log(JSON.stringify({ good, totals }));`;
  // In a process of its own, which does not take itself for a file of this run.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  writeFileSync(join(root, 'run.mjs'), script);
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'run.mjs')], { env });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

test('a file that fails once runs again, counts once, and is told as flaky', async () => {
  const { good, totals } = await outcome({
    'a.test.mjs': "test('steady', () => {}); test('now and then', () => assert.ok(!first));",
    'b.test.mjs': "test('good', () => {}); test('not here', { skip: 'no such machine' }, () => {});",
  });
  assert.ok(good);
  assert.deepEqual(totals, { passed: 3, failed: 0, skipped: 1, flaky: 1 });
  assert.equal(totalsLine(totals), '3 passed, 0 failed, 1 skipped, 1 FLAKY\n');
});

test('a file that fails twice fails', async () => {
  const { good, totals } = await outcome({
    'a.test.mjs': "test('never', () => assert.fail()); test('ever', () => {});",
  });
  assert.ok(!good);
  assert.deepEqual(totals, { passed: 1, failed: 1, skipped: 0, flaky: 0 });
});

test('a file whose process dies fails', async () => {
  const { good, totals } = await outcome({ 'a.test.mjs': 'process.exit(3)' });
  assert.ok(!good);
  assert.equal(totals.failed, 1);
});

test('many files that fail do not run again', async () => {
  const body = "test('now and then', () => assert.ok(!first));";
  const files = Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [`${name}.test.mjs`, body]));
  const { good, totals } = await outcome(files);
  assert.ok(!good);
  assert.equal(totals.failed, 4);
});

test('a test that never ends runs out of its time, and nothing waits for it', async () => {
  const { good, totals } = await outcome({
    'a.test.mjs': "test('hangs', async () => { for (;;) await new Promise((resolve) => setTimeout(resolve, 10)); });",
  });
  assert.ok(!good);
  assert.deepEqual(totals, { passed: 0, failed: 1, skipped: 0, flaky: 0 });
});

const untilKilled = 'await new Promise((resolve) => setTimeout(resolve, 2_500));';

test('an interrupted run ends the files under way, and runs none again', async () => {
  const { good, totals } = await outcome({
    'a.test.mjs': `test('goes on', async () => { interrupt(); ${untilKilled} });`,
  });
  assert.ok(!good);
  assert.deepEqual(totals, { passed: 0, failed: 1, skipped: 0, flaky: 0 });
});

test('nor does it wait for a file that it runs again, alone, or begin with the next', async () => {
  const { good, totals } = await outcome({
    'a.test.mjs': `test('again', async () => { assert.ok(!first); interrupt(); ${untilKilled} });`,
    'b.test.mjs': "test('now and then', () => assert.ok(!first));",
  });
  assert.ok(!good);
  assert.deepEqual(totals, { passed: 0, failed: 2, skipped: 0, flaky: 0 });
});
