// `npm run fuzz [-- --packets N --program P --seed S]`: random and mutated packets for our programs through the kernel's
// test runs. A failure prints the packet and keeps it in .cache/fuzz; the same seed sends the same packets again.
// `npm run fuzz -- --parsers [--seconds N]`: damaged input for everything that reads outside bytes, N seconds for each
// property of the damage tests (ELF, BTF, netlink, CNI, API objects, kubeconfig, values, ring records, state files).
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type FrameFuzzReport, fuzzedFrameProgram, fuzzFrames } from '../packages/datapath/test/fuzz/frames.ts';
import { FuzzFailure, type FuzzReport, fuzz, fuzzedPrograms } from '../packages/datapath/test/fuzz/fuzz.ts';

const PACKETS = 10_000_000;
const PROGRESS_EVERY_MS = 10_000;
/** Of each property of a parser. */
const SECONDS = 30;

const { values } = parseArgs({
  options: {
    packets: { type: 'string' },
    program: { type: 'string' },
    seed: { type: 'string' },
    parsers: { type: 'boolean', default: false },
    seconds: { type: 'string' },
  },
});
if (values.parsers) process.exit(fuzzParsers(wholeNumber('seconds', values.seconds, SECONDS)));
const packets = wholeNumber('packets', values.packets, PACKETS);
const seed = wholeNumber('seed', values.seed, Date.now() % 0x1_0000_0000);
const folder = join(resolve(import.meta.dirname, '..'), '.cache/fuzz');

process.stdout.write(`seed ${seed}, ${packets} packets a program\n`);
let failures = 0;
for (const program of chosenPrograms()) {
  try {
    const shots = { packets, seed, onProgress: progress(program) };
    if (program === fuzzedFrameProgram) printFrames(fuzzFrames(shots));
    else print(program, fuzz({ program, ...shots }));
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    failures += 1;
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${program}-${error.details.seed}-${error.details.index}.json`);
    writeFileSync(file, `${JSON.stringify({ problem: error.message, ...error.details }, undefined, 2)}\n`);
    process.stdout.write(`FAILED ${error.message}\n  kept in ${file}\n`);
  }
}
process.exitCode = failures === 0 ? 0 : 1;

function fuzzParsers(seconds: number): number {
  const root = resolve(import.meta.dirname, '..');
  const files = globSync('packages/*/src/**/damage.test.ts', { cwd: root }).sort();
  const env = { ...process.env, SLUICE_FUZZ_SECONDS: String(seconds) };
  return spawnSync(process.execPath, ['--test', ...files], { cwd: root, env, stdio: 'inherit' }).status ?? 1;
}

function chosenPrograms(): string[] {
  const names = [...fuzzedPrograms(), fuzzedFrameProgram];
  if (values.program === undefined) return names;
  if (names.includes(values.program)) return [values.program];
  throw new Error(`there is no program ${values.program}; there are ${names.join(', ')}`);
}

function wholeNumber(name: string, text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Error(`--${name} ${text} is no whole number`);
}

function progress(program: string): (done: number) => void {
  let last = performance.now();
  return (done) => {
    if (performance.now() - last < PROGRESS_EVERY_MS) return;
    last = performance.now();
    process.stdout.write(`  ${program}: ${done} of ${packets}\n`);
  };
}

function printFrames({ packets, seconds, sent, compared }: FrameFuzzReport): void {
  const rate = Math.round(packets / seconds);
  process.stdout.write(
    `ok ${fuzzedFrameProgram}: ${packets} frames in ${seconds.toFixed(0)} s (${rate}/s), ${sent} sent, ${compared} of those compared\n`,
  );
}

function print(program: string, report: FuzzReport): void {
  const rate = Math.round(report.packets / report.seconds);
  process.stdout.write(
    `ok ${program}: ${report.packets} packets in ${report.seconds.toFixed(0)} s (${rate}/s), ` +
      `${report.compared} compared with what became of them, ${report.changed} changed, ${report.passed} left alone, ` +
      `${report.taken} fragments taken, ${report.refused} not run\n`,
  );
  for (const [kind, counts] of [
    ['returned', report.actions],
    ['counted', report.reasons],
  ] as const) {
    const sorted = Object.entries(counts).sort(([, one], [, other]) => other - one);
    process.stdout.write(`  ${kind}: ${sorted.map(([name, count]) => `${name} ${count}`).join(', ')}\n`);
  }
}
