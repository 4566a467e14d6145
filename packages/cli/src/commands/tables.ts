import type { TableHead, TableLine } from '@sluice/agent';
import { Field } from '@sluice/kube';
import { formatPrefix, type Prefix } from '@sluice/net';
import { Command } from 'commander';
import { type FrontendRow, frontendLine, tableLine, tablesAnswer } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions, type OutputFormat } from '../context.ts';
import { alignTable, show, type TextTable, tell } from '../output.ts';
import { addServiceOptions, type ServiceOptions, serviceQuery } from '../service-options.ts';
import { pathWithQuery } from '../traffic-options.ts';
import { wrongName } from '../wrong-name.ts';
import { serviceExplainCommand } from './service-explain.ts';
import { wideColumns } from './wide-columns.ts';

/** Commands that print one of the agent's tables: noun, table, sentence. */
const LISTS: readonly {
  readonly noun: string;
  readonly table: string;
  readonly text: string;
  readonly more?: string;
  /** What narrows it down, and an example of it. */
  readonly narrowed?: { readonly addOptions: (command: Command) => Command; readonly example: string };
}[] = [
  {
    noun: 'service',
    table: 'frontends',
    text: 'frontends of services with their mode, their first backends, and how many endpoints are not used and why',
    more: `
-o wide has all backends and each unused endpoint with its reason, their nodes and zones, both traffic policies, session
affinity, algorithm and source ranges; -o json and yaml have all of it. MODE is that of clients outside who are led to other
nodes (snat, dsr), and empty where there are none.
`,
    narrowed: { addOptions: addServiceOptions, example: 'sluice service list -n shop --service web' },
  },
  {
    noun: 'endpoint',
    table: 'endpoints',
    text: 'pods of this node that Sluice connects, with -o wide their interfaces, host ports and all labels',
  },
  {
    noun: 'node',
    table: 'nodes',
    text: 'nodes of the cluster as this one knows them, with -o wide their labels',
  },
];

export function tableCommands(context: Context): Command[] {
  const commands = LISTS.map((list) => listCommand(list, context));
  for (const command of commands) if (command.name() === 'service') command.addCommand(serviceExplainCommand(context));
  return [...commands, anyTable(context)];
}

function listCommand({ noun, table, text, more, narrowed }: (typeof LISTS)[number], context: Context): Command {
  const list = new Command('list').alias('ls').description(`List ${text}`);
  narrowed?.addOptions(list);
  const narrow = narrowed === undefined ? '' : `\n  ${narrowed.example}`;
  const examples = `\nExamples:\n  sluice ${noun} list${narrow}\n  sluice ${noun} list -o wide\n  sluice ${noun} list -o json`;
  list
    .addHelpText('after', `${more ?? ''}${examples}`)
    .action((options: ServiceOptions, command: Command) => showTable(command, context, table, serviceQuery(options)));
  return new Command(noun).description(`Show ${text}`).addCommand(list);
}

function anyTable(context: Context): Command {
  return new Command('table')
    .description('Show a table of the agent, or the names of all of them')
    .argument('[name]', 'name of the table')
    .addHelpText('after', '\nExamples:\n  sluice table\n  sluice table devices\n  sluice table frontends -o json')
    .action((name: string | undefined, _options: unknown, command: Command) =>
      name === undefined ? showTableNames(command, context) : showNamedTable(command, context, name),
    );
}

async function showNamedTable(command: Command, context: Context, name: string): Promise<void> {
  const names = (await tableSizes(command, context)).map((table) => table.name);
  if (!names.includes(name)) throw wrongName({ what: 'table', name, names, list: 'sluice table' });
  await showTable(command, context, name);
}

async function showTable(
  command: Command,
  context: Context,
  name: string,
  query: ReturnType<typeof serviceQuery> = [],
): Promise<void> {
  const shape = name === 'frontends' ? frontendLine : tableLine;
  const path = pathWithQuery(`/tables/${encodeURIComponent(name)}`, query);
  const lines = await agentOf(command, context).rows(path, shape);
  const table = { head: lines.find(isHead), lines: lines.filter(isLine) };
  const { output } = globalOptions(command, context);
  const data = table.lines.map(({ row }) => withPrefixesAsText(row));
  show(context, output, { data, text: () => alignTable(textTable(table, output)) });
  if (table.head?.initialized === false)
    tell(context, `table ${name} is not complete yet: a source has not delivered its first list`);
}

const isHead = (line: TableHead | TableLine): line is TableHead => 'columns' in line;
const isLine = (line: TableHead | TableLine): line is TableLine => 'cells' in line;

const BACKENDS_SHOWN = 2;

interface ShownTable {
  readonly head: TableHead | undefined;
  readonly lines: readonly TableLine[];
}

function textTable({ head, lines }: ShownTable, format: OutputFormat): TextTable {
  const columns = head?.columns ?? [];
  const column = head?.name === 'frontends' && format === 'table' ? columns.indexOf('Backends') : -1;
  const wide = format === 'wide' ? (wideColumns[head?.name ?? ''] ?? []) : [];
  return {
    columns: [...columns, ...wide.map(({ name }) => name)].map((name) => name.toUpperCase()),
    rows: lines.map(({ cells, row }) => [
      ...cells.map((cell, index) => (index === column ? firstBackends(row) : cell)),
      ...wide.map(({ cell }) => cell(new Field(row))),
    ]),
  };
}

function firstBackends(row: unknown): string {
  const { backends } = row as FrontendRow;
  const more = backends.length - BACKENDS_SHOWN;
  const shown = backends
    .slice(0, BACKENDS_SHOWN)
    .map(({ key, state }) => (state === 'active' ? key : `${key} (${state})`));
  return `${shown.join(', ')}${more > 0 ? ` +${more} more` : ''}`;
}

/** Prefixes are two fields in the agent, and `10.244.0.0/24` everywhere else. */
function withPrefixesAsText(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withPrefixesAsText);
  if (typeof value !== 'object' || value === null) return value;
  if (isPrefix(value)) return formatPrefix(value);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withPrefixesAsText(field)]));
}

function isPrefix(value: object): value is Prefix {
  const fields = Object.keys(value).sort().join(' ');
  return fields === 'address length';
}

function tableSizes(command: Command, context: Context) {
  return agentOf(command, context).get('/tables', tablesAnswer);
}

async function showTableNames(command: Command, context: Context): Promise<void> {
  const tables = await tableSizes(command, context);
  show(context, globalOptions(command, context).output, {
    data: tables,
    text: () =>
      alignTable({ columns: ['NAME', 'ROWS'], rows: tables.map((table) => [table.name, String(table.rows)]) }),
  });
}
