/**
 * The benchmark: `npm run bench [-- ROW... [--quick | --long] [-o json] [--write]]`. Each row is a file in rows/: it makes
 * what it measures, measures it beside its peers, and says whether its goal is met. README.md tells how to read it.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { nearest } from '@sluice/config';
import { installationRoot } from '@sluice/runtime';
import { removeLeftovers } from '../tools/leftovers.ts';
import { interrupted, listenForInterruption } from './interruption.ts';
import { type Measured, machineOf, printLine, writeResults } from './results.ts';
import { type Row, rowVerdict } from './row.ts';
import { rows } from './rows.ts';

const usage = `npm run bench [-- ROW... [OPTION...]]    as root; without ROW all but those on request

  --quick       enough to see that it works, too little to believe the figures
  --long        as often as a goal says (CNI: 1,000 cycles), however long it takes
  -o json       the results as JSON on standard output
  --write       into bench/RESULTS.md as well, rows that were not measured stay as they are
  --list        the rows and their goals
`;

const statuses = { allMet: 0, missed: 1, usage: 2 } as const;

const flag = { type: 'boolean', default: false } as const;
const options = {
  quick: flag,
  long: flag,
  write: flag,
  list: flag,
  help: { ...flag, short: 'h' },
  output: { type: 'string', short: 'o' },
} as const;

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  if (values.help) return say(usage);
  if (values.list) return say(rows.map(listLine).join(''));
  if (values.output !== undefined && values.output !== 'json') {
    throw new UsageError(`-o ${values.output}: there is json, or nothing for text`);
  }
  if (values.write && values.quick) throw new UsageError('--write with --quick: such figures are not worth keeping');
  const chosen = positionals.length > 0 ? positionals.map(rowNamed) : rows.filter(({ onRequest }) => !onRequest);
  listenForInterruption();
  warnIfBusy();
  for (const leftover of removeLeftovers(installationRoot()))
    process.stderr.write(`removed from an earlier run: ${leftover}\n`);
  const isJson = values.output === 'json';
  const measured: Measured[] = [];
  for (const row of chosen) {
    if (interrupted.aborted) break;
    const one = await measure(row, values);
    measured.push(one);
    if (!isJson) process.stdout.write(printLine(one));
    // At once: the rows after it may be interrupted.
    if (values.write && !interrupted.aborted) writeResults([one], rows);
  }
  if (isJson) say(`${JSON.stringify(measured, undefined, 2)}\n`);
  const isMissed =
    interrupted.aborted || measured.some(({ outcome }) => outcome === undefined || rowVerdict(outcome) === 'missed');
  return isMissed ? statuses.missed : statuses.allMet;
}

function warnIfBusy(): void {
  const [load = 0] = loadavg();
  if (load > cpus().length / 2) {
    process.stderr.write(`bench: the load average is ${load.toFixed(1)}: other work makes the intervals wide\n`);
  }
}

/** A row that cannot be measured is told, and the others run all the same. */
async function measure(row: Row, { quick, long }: { quick: boolean; long: boolean }): Promise<Measured> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const progress = (text: string) => process.stderr.write(`${row.name}: ${text} (${seconds().toFixed(0)} s)\n`);
  const facts = { row: row.name, machine: machineOf(), date: new Date().toISOString(), quick, long };
  progress('begins');
  try {
    const outcome = await row.run({ quick, long, progress });
    return { ...facts, seconds: seconds(), outcome };
  } catch (error) {
    return { ...facts, seconds: seconds(), error: error instanceof Error ? error.message : String(error) };
  }
}

function rowNamed(name: string): Row {
  const row = rows.find((candidate) => candidate.name === name);
  if (row) return row;
  const names = rows.map((candidate) => candidate.name);
  const meant = nearest(name, names);
  throw new UsageError(
    `there is no row ${name}${meant ? `, did you mean ${meant}?` : ''}; there are ${names.join(', ')}`,
  );
}

function listLine({ name, sentence, goal, onRequest }: Row): string {
  return `${name}${onRequest ? ' (on request)' : ''}\n  ${sentence}.\n  Goal: ${goal}.\n`;
}

function say(text: string): number {
  process.stdout.write(text);
  return statuses.allMet;
}

class UsageError extends Error {
  override readonly name = 'UsageError';
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // Wrong options come as TypeErrors with a code.
  const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
  if (!isUsage) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = statuses.usage;
}
