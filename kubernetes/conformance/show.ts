// node show.ts REPORT.json...: what a run of e2e.sh has told, a line a case.
import { readFileSync } from 'node:fs';
import { readReport, type SpecResult } from './report.ts';

const mark = { passed: 'ok  ', failed: 'FAIL', skipped: 'skip' } as const;

function line({ name, status, seconds, reason }: SpecResult): string {
  const why = reason === '' ? '' : `\n       ${reason.slice(0, 600).replaceAll('\n', '\n       ')}`;
  return `${mark[status]} ${seconds.toFixed(1).padStart(6)} s  ${name}${why}\n`;
}

for (const path of process.argv.slice(2)) {
  const { results, failedNodes } = readReport(readFileSync(path, 'utf8'));
  for (const result of [...results, ...failedNodes]) process.stdout.write(line(result));
  const count = (status: SpecResult['status']) => results.filter((result) => result.status === status).length;
  process.stdout.write(
    `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped themselves\n`,
  );
}
