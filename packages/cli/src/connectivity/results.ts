/** How the results of the test are told: a line for each case, the end of it all, and the data. */
import { counted, printable } from '../output.ts';
import type { CaseResult } from './run.ts';

/** What was not run has no line of its own: `notRunLines` tells of it by its reason. */
export function resultLines(result: CaseResult, colour: boolean): string {
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  switch (result.status) {
    case 'passed': {
      const repeated = result.tries > 1 ? `, ${result.tries} tries` : '';
      return `${paint(32, 'ok  ')} ${result.name} (${result.ms.toFixed(0)} ms${repeated})\n`;
    }
    case 'failed': {
      const { from, command, wanted, came, hint } = result.failure;
      const head = `${paint(31, 'FAIL')} ${result.name} (${result.tries === 1 ? '1 try' : `${result.tries} tries`})`;
      const story = [
        ['tries', result.summary],
        ['ran', `in ${from}: ${command}`],
        ['wanted', wanted],
        ['came', came],
        ['next', hint],
      ];
      return `${[head, ...story.map(([label = '', text = '']) => `     ${`${label}:`.padEnd(8)}${printable(text)}`)].join('\n')}\n`;
    }
    case 'not-run':
      return '';
    default:
      return result satisfies never;
  }
}

export function notRunLines(results: readonly CaseResult[]): string {
  const reasons = Map.groupBy(
    results.filter((result) => result.status === 'not-run'),
    ({ why }) => why,
  );
  return [...reasons].map(([why, of]) => `--   not run, ${counted(of.length, 'case')}: ${printable(why)}\n`).join('');
}

export function summary(results: readonly CaseResult[], seconds: number): string {
  const count = (status: CaseResult['status']): number => results.filter((result) => result.status === status).length;
  const notRun = count('not-run') > 0 ? `, ${count('not-run')} not run` : '';
  return `${count('passed')} passed, ${count('failed')} failed${notRun} (${seconds.toFixed(1)} s)\n`;
}

export type ResultData = CaseResult & { readonly ok: boolean };

export function resultData(result: CaseResult): ResultData {
  const ok = result.status === 'passed';
  if (result.status === 'not-run') return { ...result, ok };
  return { ...result, ok, ms: Math.round(result.ms * 100) / 100 };
}
