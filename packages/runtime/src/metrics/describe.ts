import type { Metric } from './metric.ts';

/** A table of them for people, in Markdown. */
export function describeMetrics(metrics: readonly Metric<never>[]): string {
  return [
    '| metric | type | labels | |',
    '| --- | --- | --- | --- |',
    ...metrics
      .toSorted((left, right) => (left.name < right.name ? -1 : 1))
      .map(
        ({ name, type, labels, help }) =>
          `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${cell(help)} |`,
      ),
    '',
  ].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '\\<');
}
