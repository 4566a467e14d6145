import { stringify } from 'yaml';
import { type Option, optionPaths, options } from '../options.ts';
import { chartOptions } from './chart-options.ts';

interface Line {
  readonly path: string;
  /** Undefined: it stands there as a comment, for the processes know it themselves. */
  readonly value: unknown;
  readonly comment: readonly string[];
  readonly shown: string;
}

/** charts/sluice/values.yaml: every option that is not rare, with its default and what it does. */
export function valuesFile(): string {
  const common = optionPaths.filter((path) => !(options[path] as Option<unknown>).isRare);
  const lines = [...Object.keys(chartOptions).map(chartLine), ...common.map(optionLine)];
  const names = new Set(lines.map(({ path }) => path.split('.')[0] ?? path));
  return [
    "# The values of Sluice, which are the incumbent's: what stands here as a comment is the default.",
    '# Generated from packages/config by `npm run generate`; do not edit. docs/configuration.md lists the options that few',
    '# need, and those of the incumbent that Sluice lacks: they are taken with a warning that says what happens instead.',
    ...[...names].flatMap((name) => ['', ...block(lines, [name])]),
    '',
  ].join('\n');
}

function chartLine(path: string): Line {
  const { sentence, standard } = chartOptions[path] ?? { sentence: '', standard: undefined };
  return { path, value: standard, comment: wrapped(sentence), shown: '' };
}

function optionLine(path: (typeof optionPaths)[number]): Line {
  const { type, sentence, standard, pending }: Option<unknown> = options[path];
  const now = pending === undefined ? '' : ` At present ${pending}.`;
  const shown = type.format(standard);
  const isText = typeof standard === 'string' || Array.isArray(standard);
  return {
    path,
    value: undefined,
    comment: wrapped(`${sentence}${now} It is ${type.description}.`),
    shown: isText ? JSON.stringify(shown) : shown,
  };
}

/** One name with all below it; a map of which nothing is active is a comment itself. */
function block(lines: readonly Line[], names: readonly string[]): string[] {
  const [path, depth] = [names.join('.'), names.length];
  const indent = '  '.repeat(depth - 1);
  const name = names[depth - 1] ?? '';
  const own = lines.find((line) => line.path === path);
  if (own) return [...own.comment.map((text) => `${indent}# ${text}`), ...entry(own, { indent, name })];
  const inside = lines.filter((line) => line.path.startsWith(`${path}.`));
  const children = new Set(inside.map((line) => line.path.split('.')[depth] ?? ''));
  const isActive = inside.some(({ value }) => value !== undefined);
  return [
    isActive ? `${indent}${name}:` : `${indent}# ${name}:`,
    ...[...children].flatMap((child) => block(lines, [...names, child])),
  ];
}

function entry({ value, shown }: Line, { indent, name }: { indent: string; name: string }): string[] {
  if (value === undefined) return [`${indent}# ${name}: ${shown}`];
  const text = stringify({ [name]: value }, { lineWidth: 0 }).trimEnd();
  return text.split('\n').map((line) => `${indent}${line}`);
}

const widthMax = 112;

function wrapped(sentence: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of sentence.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > widthMax) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
