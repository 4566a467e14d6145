import type { ConfigReport } from '@sluice/agent';
import { Command } from 'commander';
import { configAnswer } from '../agent-answers.ts';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { alignPairs, alignTable, show, tell } from '../output.ts';
import { wrongName } from '../wrong-name.ts';

type Option = ConfigReport['options'][number];

const EXAMPLES = `
Examples:
  sluice config                      # every option, its value, and where it was set
  sluice config --set                # those only that the values file sets
  sluice config get prometheus.port
  sluice config get ipam             # those below a name
  sluice config get encryption       # what happens instead of an option that Sluice lacks
  sluice config --lacked             # all of those
  sluice config -o json`;

export function configCommand(context: Context): Command {
  return new Command('config')
    .description("Show this node's configuration: each option with its value, and where it was set")
    .option('--set', 'only what the values file sets')
    .option('--lacked', 'options of the incumbent that Sluice lacks, and what happens instead')
    .addHelpText('after', EXAMPLES)
    .action((options: { set?: boolean; lacked?: boolean }, command: Command) => showAll(options, command, context))
    .addCommand(getCommand(context));
}

function getCommand(context: Context): Command {
  return new Command('get')
    .description('Show one option: what it does, its value, its default, and where it was set')
    .argument('<name>', 'such as ipam.mode')
    .addHelpText('after', '\nExamples:\n  sluice config get ipam.mode\n  sluice config get devices -o json')
    .action((name: string, _options: unknown, command: Command) => showOne(name, command, context));
}

async function showAll(
  { set, lacked }: { set?: boolean; lacked?: boolean },
  command: Command,
  context: Context,
): Promise<void> {
  const report = await agentOf(command, context).get('/config', configAnswer);
  const { output } = globalOptions(command, context);
  if (lacked) {
    const rows = Object.entries(report.lacked);
    show(context, output, { data: report.lacked, text: () => alignTable({ columns: ['OPTION', 'INSTEAD'], rows }) });
    return;
  }
  const options = report.options.filter(({ source }) => !set || source !== 'default');
  show(context, output, { data: options, text: () => optionsText(options) });
  for (const warning of report.warnings) tell(context, warning);
}

function optionsText(options: readonly Option[]): string {
  return alignTable({
    columns: ['OPTION', 'VALUE', 'SET BY'],
    rows: options.map(({ name, value, source }) => [name, value === '' ? '(empty)' : value, source]),
  });
}

/** Or all of those below a name. */
async function showOne(name: string, command: Command, context: Context): Promise<void> {
  const report = await agentOf(command, context).get('/config', configAnswer);
  const inside = report.options.filter((option) => option.name.startsWith(`${name}.`));
  if (inside.length > 0) {
    show(context, globalOptions(command, context).output, { data: inside, text: () => optionsText(inside) });
    const rest = report.lacked[name];
    if (rest !== undefined) tell(context, `Sluice lacks the rest of ${name}: ${rest}`);
    return;
  }
  const found = report.options.find((option) => option.name === name);
  const lacking = lackedBy(name, report.lacked);
  if (found === undefined && lacking !== undefined) {
    throw new CommandError(`Sluice lacks ${lacking}: ${report.lacked[lacking]}`, { exitCode: 1 });
  }
  if (found === undefined) {
    const names = [...report.options.map((option) => option.name), ...Object.keys(report.lacked)];
    throw wrongName({ what: 'option', name, names, list: 'sluice config' });
  }
  show(context, globalOptions(command, context).output, { data: found, text: () => `${optionText(found)}\n` });
}

/** A name covers all below it. */
function lackedBy(path: string, lacked: ConfigReport['lacked']): string | undefined {
  for (let name = path; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    if (Object.hasOwn(lacked, name)) return name;
  }
  return undefined;
}

function optionText({ name, value, standard, source, sentence, warning }: Option): string {
  return alignPairs([
    ['Option', name],
    ['Value', value === '' ? '(empty)' : value],
    ...(standard === undefined ? [] : [['Default', standard === '' ? '(empty)' : standard] as const]),
    ['Set by', source],
    ['Meaning', sentence],
    ...(warning === undefined ? [] : [['But', warning] as const]),
  ]);
}
