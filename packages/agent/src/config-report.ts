import { options as allOptions, lackedOptions, optionValue } from '@sluice/config';
import type { Agent } from './agent.ts';
import type { AgentOptions } from './options.ts';
import type { ConfigReport } from './report.ts';

/** Every option as it stands, and whence; the values file's first, then those of the command line. */
export function configReport({ values, given, options, warnings }: Agent): ConfigReport {
  const fromFile = Object.entries(allOptions).map(([name, option]) => {
    const line = given.get(name);
    return {
      name,
      value: formatted(option, optionValue(values, name)),
      standard: formatted(option, option.standard),
      source: line === undefined ? 'default' : `${options.config}:${line}`,
      sentence: option.sentence,
      // What was asked for and is not done.
      warning: warnings.find((warning) => warning.startsWith(`${name}:`)),
    };
  });
  return {
    values,
    file: options.config,
    options: [...fromFile, ...commandLine(options)],
    lacked: lackedOptions,
    warnings,
  };
}

interface Formatting {
  readonly type: { format(value: never): string };
}

function formatted({ type }: Formatting, value: unknown): string {
  return type.format(value as never);
}

/** Paths and names are no part of the values: each node has its own. */
function commandLine(options: AgentOptions): ConfigReport['options'] {
  return Object.entries<AgentOptions[keyof AgentOptions]>({ ...options }).map(([name, value]) => ({
    name: `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    value: asTyped(value),
    standard: undefined,
    source: 'command line',
    sentence: 'Option of the command sluice-agent, or its default.',
    warning: undefined,
  }));
}

function asTyped(value: AgentOptions[keyof AgentOptions]): string {
  if (value === undefined) return '';
  return typeof value === 'object' ? `${value.namespace}/${value.name}` : String(value);
}
