/** How the results of the test are told: a line for each case, the end of it all, and the data. */
import type { CaseResult } from './run.ts';

export function resultLine(result: CaseResult, colour: boolean): string {
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const repeated = result.tries > 1 ? `, ${result.tries} tries` : '';
  if (result.failure === undefined)
    return `${paint(32, 'ok  ')} ${result.name} (${result.ms.toFixed(0)} ms${repeated})`;
  const tries = result.tries === 1 ? '1 try' : `${result.tries} tries`;
  return `${paint(31, 'FAIL')} ${result.name} (${tries})\n     ${result.failure}\n     in pod ${result.from}: ${result.command}`;
}

/** `kept`: the namespace that is still there. */
export function summary(results: readonly CaseResult[], kept: string | undefined): string {
  const failed = results.filter((result) => result.failure !== undefined).length;
  const stays = kept === undefined ? '' : `namespace ${kept} stays, for the next run; --cleanup deletes it\n`;
  return `${results.length - failed} passed, ${failed} failed\n${stays}`;
}

export interface ResultData extends CaseResult {
  readonly ok: boolean;
}

export function resultData(result: CaseResult): ResultData {
  const { name, ...rest } = result;
  return { name, ok: result.failure === undefined, ...rest, ms: Math.round(result.ms * 100) / 100 };
}
