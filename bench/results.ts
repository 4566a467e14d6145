/** How results are shown: a line when a row ends, and the whole in RESULTS.md, whose facts are kept in results.json. */
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { installationRoot, writeFileAtomic } from '@sluice/runtime';
import { type Figure, type Goal, type Outcome, type Row, rowVerdict, verdictOf } from './row.ts';

export interface Measured {
  readonly row: string;
  readonly machine: string;
  /** ISO 8601; of the oldest the day alone. */
  readonly date: string;
  readonly quick: boolean;
  readonly long: boolean;
  /** How long the row took. */
  readonly seconds?: number;
  /** Absent: it could not be measured, see `error`. */
  readonly outcome?: Outcome;
  readonly error?: string;
}

const folder = join(installationRoot(), 'bench');
const factsFile = join(folder, 'results.json');

export function machineOf(): string {
  const gibibytes = Math.round(totalmem() / (1 << 30));
  const processors = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${gibibytes} GiB`;
  const [load = 0] = loadavg();
  return `${processors}, Linux ${release()}, Node ${process.versions.node}, load average ${load.toFixed(1)}`;
}

export function printLine({ row, outcome, error, seconds, quick }: Measured): string {
  const time = `${seconds?.toFixed(0)} s${quick ? ', quick: not to be believed' : ''}`;
  if (!outcome) return `${row}: FAILED: ${error} (${time})\n`;
  const figures = outcome.figures.map((figure) => `  ${figureText(figure)}\n`).join('');
  const notes = (outcome.notes ?? []).map((note) => `  note: ${note}\n`).join('');
  return `${row}: ${rowVerdict(outcome) ?? 'no goal'} (${time})\n${figures}${notes}`;
}

function figureText(figure: Figure): string {
  const [goal, verdict] = [goalText(figure), verdictOf(figure)];
  const judged = verdict ? `, goal ${goal}: ${verdict}` : '';
  return `${figure.peer ? `[${figure.peer}] ` : ''}${figure.what}: ${valueText(figure)}${judged}`;
}

function valueText({ value, unit, interval }: Figure): string {
  const between = interval ? ` (${interval.map((end) => numberText(end)).join(' to ')})` : '';
  return `${numberText(value)}${unitText(unit)}${between}`;
}

function unitText(unit: Figure['unit']): string {
  return unit === '' || unit === '/s' ? unit : ` ${unit}`;
}

/** Three digits, or all of those before the point. */
function numberText(value: number): string {
  const rounded = Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
  return rounded.toLocaleString('en-US', { maximumFractionDigits: 6 });
}

function goalText({ goal, unit }: Figure): string {
  if (!goal) return '';
  return `${comparison(goal)}${unitText(unit)}`;
}

function comparison(goal: Goal): string {
  return 'atMost' in goal ? `<= ${numberText(goal.atMost)}` : `>= ${numberText(goal.atLeast)}`;
}

/** Rows that were measured now replace those of before. */
export function writeResults(measured: readonly Measured[], rows: readonly Row[]): void {
  const known = new Map([...readFacts(), ...measured].map((one) => [one.row, one]));
  const kept = rows.flatMap(({ name }) => known.get(name) ?? []);
  writeFileAtomic(factsFile, `${JSON.stringify(kept, undefined, 2)}\n`);
  writeFileAtomic(join(folder, 'RESULTS.md'), pageOf(kept, rows));
}

function readFacts(): Measured[] {
  try {
    return JSON.parse(readFileSync(factsFile, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw new Error(`${factsFile} cannot be read: mend it or remove it`, { cause: error });
  }
}

function pageOf(measured: readonly Measured[], rows: readonly Row[]): string {
  const sections = measured.flatMap((one) => {
    const row = rows.find(({ name }) => name === one.row);
    return row ? [section(row, one)] : [];
  });
  return `# What it costs, beside its peers

Written by \`npm run bench -- --write\`; [README.md](README.md) tells how to read and repeat it. A value in brackets is the interval of
its median (bootstrap, 95 %), and its worse end must reach the goal. What is lost is shown, too.

${summary(measured, rows)}

${sections.join('\n')}`;
}

function summary(measured: readonly Measured[], rows: readonly Row[]): string {
  const lines = measured.map((one) => {
    const row = rows.find(({ name }) => name === one.row);
    const verdict = one.outcome ? (rowVerdict(one.outcome) ?? '') : 'could not be measured';
    return `| [${one.row}](#${one.row}) | ${row?.goal ?? ''} | ${verdict === 'missed' ? '**missed**' : verdict} |`;
  });
  return ['| row | goal | verdict |', '|---|---|---|', ...lines].join('\n');
}

function section({ name, sentence }: Row, { outcome, error, machine, date, seconds, long }: Measured): string {
  const lines = (outcome?.figures ?? []).map(tableLine);
  const table = ['| what | whose | value | goal | verdict |', '|---|---|---|---|---|', ...lines].join('\n');
  const notes = (outcome?.notes ?? []).map((note) => `- ${note}\n`).join('');
  const command = `npm run bench -- ${name}${long ? ' --long' : ''} --write`;
  return `## ${name}

${sentence}.

${outcome ? table : `Could not be measured: ${error}`}

${notes}- ${machine}; ${dateText(date)}${seconds === undefined ? '' : `; ${seconds.toFixed(0)} s`}. Again: \`${command}\`
`;
}

function dateText(date: string): string {
  return date.includes('T') ? `${date.slice(0, 16).replace('T', ' ')} UTC` : date;
}

function tableLine(figure: Figure): string {
  const verdict = verdictOf(figure);
  const cells = [
    figure.what,
    figure.peer ?? 'Sluice',
    valueText(figure),
    goalText(figure),
    verdict === 'missed' ? '**missed**' : (verdict ?? ''),
  ];
  return `| ${cells.join(' | ')} |`;
}
