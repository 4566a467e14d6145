// Runs on a machine with the kernel under test: the test files that it is given, one after the other. Each line of
// its output that begins with MARK is a record for who started the machine; the rest is for people.
import { release } from 'node:os';
import { resolve } from 'node:path';
import { run } from 'node:test';
import { MARK } from './results.ts';

/** Emulated, on a machine that does other things as well. */
const SECONDS_PER_FILE = 1800;
const ATTEMPTS = 3;

function tell(record: unknown): void {
  process.stdout.write(`\n${MARK}${JSON.stringify(record)}\n`);
}

tell({ type: 'kernel', release: release() });
// Proof of life, while a file takes its time.
const pulse = setInterval(() => tell({ type: 'pulse' }), 60_000);
for (const file of process.argv.slice(2)) {
  const started = performance.now();
  let { records, hasDied } = await runFile(file);
  for (let again = 1; hasDied && again < ATTEMPTS; again += 1) {
    process.stdout.write(`Node died in ${file}: again\n`);
    ({ records, hasDied } = await runFile(file));
  }
  for (const record of records) tell(record);
  tell({ type: 'file', file, seconds: Math.round((performance.now() - started) / 1000) });
}
clearInterval(pulse);
tell({ type: 'end' });

/** Its results, and whether Node itself gave up rather than a test: it does in the emulator, in one of ten processes. */
async function runFile(file: string): Promise<{ records: unknown[]; hasDied: boolean }> {
  const records: unknown[] = [];
  let hasDied = false;
  const stream = run({ files: [resolve(file)], concurrency: 1, timeout: SECONDS_PER_FILE * 1000 });
  for await (const event of stream) {
    if (event.type === 'test:stderr' || event.type === 'test:stdout') {
      process.stdout.write(event.data.message);
      hasDied ||= event.data.message.includes('# Fatal error in');
    }
    if (event.type === 'test:diagnostic') records.push({ type: 'diagnostic', file, text: event.data.message });
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { name, details, skip } = event.data;
    if (details.type === 'suite') continue;
    // The file itself, and none of its tests: its process has ended before it could say anything.
    hasDied ||= event.type === 'test:fail' && name.endsWith(file);
    const error = event.type === 'test:fail' ? describe(event.data.details.error) : undefined;
    const skipped = skip === undefined || skip === false ? undefined : String(skip);
    records.push({ type: 'test', file, name, skipped, error });
  }
  return { records, hasDied };
}

function describe(error: Error): string {
  const { cause } = error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error.message);
}
