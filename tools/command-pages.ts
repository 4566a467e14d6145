// A page for each command of `sluice`, from its help: what a person reads in docs/commands is what the command itself says.
import type { Command } from 'commander';
import { labCommand } from '../lab/src/index.ts';
import { createProgram } from '../packages/cli/src/index.ts';

export const COMMAND_PAGES = 'docs/commands';

/** Text by file name. */
export function commandPages(): Map<string, string> {
  const nobody = { write: () => true };
  const context = { environment: {}, out: nobody, err: nobody, signal: new AbortController().signal };
  const program = createProgram(context, [labCommand()]);
  const commands = [...visibleOf(program)].sort((one, other) => one.name().localeCompare(other.name(), 'en'));
  return new Map([
    ['README.md', indexPage(program, commands)],
    ...commands.map((command): [string, string] => [`${command.name()}.md`, commandPage(command)]),
  ]);
}

const generated = '<!-- Generated from the help of the commands by "npm run generate": do not edit. -->\n';

function indexPage(program: Command, commands: readonly Command[]): string {
  const rows = commands.flatMap((command) =>
    leavesOf(command).map((leaf) => [`[\`${pathOf(leaf)}\`](${linkOf(command, leaf)})`, cell(leaf.description())]),
  );
  return [
    generated,
    '# The commands\n',
    `${program.description()}. The same text as \`--help\` gives, a page for each command; which one to use when something is wrong is in [operations](../operations.md).\n`,
    table(['command', 'does'], rows),
    blockOf(afterHelpOf(program)),
  ].join('\n');
}

function commandPage(command: Command): string {
  const leaves = leavesOf(command);
  const below = leaves.filter((leaf) => leaf !== command);
  return [
    generated,
    `# ${pathOf(command)}\n`,
    ...(below.length < leaves.length ? bodyOf(command) : [`${command.description()}.\n`]),
    ...below.flatMap((leaf) => [`## ${pathOf(leaf)}\n`, ...bodyOf(leaf)]),
  ].join('\n');
}

function bodyOf(command: Command): string[] {
  const help = command.createHelp();
  // Within a table a bar ends the cell, in code as well.
  const term = (text: string) => `\`${text.replaceAll('|', '\\|')}\``;
  const args = help
    .visibleArguments(command)
    .map((argument) => [term(help.argumentTerm(argument)), cell(help.argumentDescription(argument))]);
  const options = help
    .visibleOptions(command)
    .filter((option) => option.long !== '--help')
    .map((option) => [term(help.optionTerm(option)), cell(help.optionDescription(option))]);
  return [
    `${command.description()}.\n`,
    `    ${help.commandUsage(command)}\n`,
    ...(args.length > 0 ? [table(['argument', ''], args)] : []),
    table(['option', ''], options),
    blockOf(afterHelpOf(command)),
  ];
}

/** Commands that do something, and so have examples: the command itself, those below, or both. */
function leavesOf(command: Command): Command[] {
  const below = visibleOf(command);
  const own = below.length === 0 || afterHelpOf(command) !== '' ? [command] : [];
  return [...own, ...below.flatMap(leavesOf)];
}

function visibleOf(command: Command): Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help');
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

/** The page, and there its heading as sites for Git make anchors of it. */
function linkOf(command: Command, leaf: Command): string {
  return leaf === command ? `${command.name()}.md` : `${command.name()}.md#${pathOf(leaf).replaceAll(' ', '-')}`;
}

/** What `addHelpText('after', …)` gave: examples, and what does not fit into a sentence. */
function afterHelpOf(command: Command): string {
  let written = '';
  const before = command.configureOutput();
  // Of one width, whatever terminal this runs in.
  const append = (text: string) => {
    written += text;
  };
  command.configureOutput({ ...before, writeOut: append, getOutHelpWidth: () => 120 });
  const own = command.helpInformation();
  command.outputHelp();
  command.configureOutput(before);
  if (!written.startsWith(own)) throw new Error(`the help of ${pathOf(command)} does not begin with its usage`);
  return written.slice(own.length).trim();
}

function blockOf(text: string): string {
  return text === '' ? '' : `\`\`\`\n${text}\n\`\`\`\n`;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [columns, columns.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}

function cell(text: string): string {
  return text.replaceAll(' (default: [])', '').replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');
}
