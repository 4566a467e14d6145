import { chartOptions } from './chart/chart-options.ts';
import { lackedOptions } from './lacked.ts';
import { type Option, optionPaths, options } from './options.ts';

/** docs/configuration.md: every option, and what becomes of those of the incumbent that we lack. */
export function describeOptions(): string {
  return [
    '# Configuration',
    '',
    'Generated from packages/config by `npm run generate`; do not edit.',
    '',
    "Sluice takes the incumbent's Helm values. What is unknown or of the wrong type is refused with its path and line.",
    '',
    '| option | type | default | |',
    '| --- | --- | --- | --- |',
    ...optionPaths.map((path) => optionLine(path, options[path])),
    '',
    '## What the chart makes of it',
    '',
    'These shape the objects in the cluster; the processes do not read them, and the lab does not either.',
    '',
    '| option | default | |',
    '| --- | --- | --- |',
    ...Object.entries(chartOptions).map(
      ([path, { standard, sentence }]) => `| \`${path}\` | \`${cell(JSON.stringify(standard))}\` | ${cell(sentence)} |`,
    ),
    '',
    '## Options of the incumbent that Sluice lacks',
    '',
    'They are accepted with a warning that says what happens instead. A name covers everything below it; what is switched',
    'off or empty needs no warning.',
    '',
    '| option | instead |',
    '| --- | --- |',
    ...Object.entries(lackedOptions).map(([path, sentence]) => `| \`${path}\` | ${cell(sentence)} |`),
    '',
  ].join('\n');
}

function optionLine(path: string, option: Option<unknown>): string {
  const standard = option.type.format(option.standard);
  const unsupported = Object.entries(option.unsupported ?? {}).map(([word, instead]) => `\`${word}\`: ${instead}.`);
  const pending = option.pending === undefined ? [] : [`At present ${option.pending}.`];
  const text = [option.sentence, ...pending, ...unsupported].join(' ');
  return `| \`${path}\` | ${cell(option.type.description)} | ${standard === '' ? '' : `\`${standard}\``} | ${cell(text)} |`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
