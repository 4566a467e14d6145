import type { Diagnosis, Finding } from './finding.ts';

/** For people: each finding with what comes of it and what to do. */
export function diagnosisText({ findings, well }: Diagnosis): string {
  const blocks = findings.map(
    ({ severity, check, what, meaning, remedy }) =>
      `${severity.padEnd(8)} ${what}   [${check}]\n         ${meaning}\n         -> ${remedy}\n`,
  );
  return [...blocks, summaryText({ findings, well })].join('\n');
}

/** A line for each error and warning; empty when there is none. */
export function diagnosisLines({ findings }: Diagnosis): string[] {
  return findings
    .filter(({ severity }) => severity !== 'note')
    .map(({ severity, what, remedy }) => `${severity}: ${what}: ${remedy}`);
}

function summaryText({ findings, well }: Diagnosis): string {
  const count = (severity: Finding['severity']) => findings.filter((finding) => finding.severity === severity).length;
  const plural = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  const counts = (['error', 'warning', 'note'] as const).map((severity) => plural(count(severity), severity));
  return `${counts.join(', ')}; ${plural(well.length, 'check')} found nothing\n`;
}

export function hasErrors({ findings }: Diagnosis): boolean {
  return findings.some(({ severity }) => severity === 'error');
}
