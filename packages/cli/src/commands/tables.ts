import type { MapUsage, ProgramUsage, TableReport } from '@sluice/agent';
import { Command } from 'commander';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { alignTable, show, type TextTable } from '../output.ts';

/** Commands that print one of the agent's tables: noun, table, sentence. */
const LISTS: readonly { readonly noun: string; readonly table: string; readonly text: string }[] = [
  { noun: 'service', table: 'frontends', text: 'frontends of services with their backends' },
  { noun: 'endpoint', table: 'endpoints', text: 'pods of this node that Sluice connects' },
  { noun: 'node', table: 'nodes', text: 'nodes of the cluster as this one knows them' },
];

export function tableCommands(context: Context): Command[] {
  return [
    ...LISTS.map((list) => listCommand(list, context)),
    mapCommand(context),
    programCommand(context),
    anyTable(context),
  ];
}

function listCommand(list: (typeof LISTS)[number], context: Context): Command {
  return new Command(list.noun).description(`Show ${list.text}`).addCommand(
    new Command('list')
      .alias('ls')
      .description(`List ${list.text}`)
      .addHelpText('after', `\nExamples:\n  sluice ${list.noun} list\n  sluice ${list.noun} list -o json`)
      .action((_options: unknown, command: Command) => showTable(command, context, list.table)),
  );
}

function anyTable(context: Context): Command {
  return new Command('table')
    .description('Show a table of the agent, or the names of all of them')
    .argument('[name]', 'name of the table')
    .addHelpText('after', '\nExamples:\n  sluice table\n  sluice table devices\n  sluice table frontends -o json')
    .action((name: string | undefined, _options: unknown, command: Command) =>
      name === undefined ? showTableNames(command, context) : showTable(command, context, name),
    );
}

async function showTable(command: Command, context: Context, name: string): Promise<void> {
  const report = (await agentOf(command, context).get(`/tables/${encodeURIComponent(name)}`)) as TableReport;
  show(context, globalOptions(command, context).output, {
    data: report.rows,
    text: () => alignTable({ columns: report.columns.map((column) => column.toUpperCase()), rows: report.cells }),
  });
  if (!report.initialized)
    context.err.write(`table ${name} is not complete yet: a source has not delivered its first list\n`);
}

async function showTableNames(command: Command, context: Context): Promise<void> {
  const tables = (await agentOf(command, context).get('/tables')) as readonly { name: string; rows: number }[];
  show(context, globalOptions(command, context).output, {
    data: tables,
    text: () =>
      alignTable({ columns: ['NAME', 'ROWS'], rows: tables.map((table) => [table.name, String(table.rows)]) }),
  });
}

function mapCommand(context: Context): Command {
  return new Command('map').description('Show the BPF maps of this node').addCommand(
    new Command('list')
      .alias('ls')
      .description('List the BPF maps with their fill, as the kernel has them')
      .addHelpText('after', '\nExamples:\n  sluice map list\n  sluice map list -o json')
      .action(async (_options: unknown, command: Command) => {
        const maps = (await agentOf(command, context).get('/maps')) as readonly MapUsage[];
        show(context, globalOptions(command, context).output, { data: maps, text: () => alignTable(mapTable(maps)) });
      }),
  );
}

export function mapTable(maps: readonly MapUsage[]): TextTable {
  return {
    columns: ['NAME', 'TYPE', 'ENTRIES', 'MAX', 'FILL', 'MEMORY'],
    rows: maps.map((map) => [
      map.name,
      map.type,
      map.entries === undefined ? '-' : String(map.entries),
      String(map.maxEntries),
      map.entries === undefined || map.maxEntries === 0 ? '-' : `${((100 * map.entries) / map.maxEntries).toFixed(1)}%`,
      map.bytes === undefined ? '-' : `${(map.bytes / 1_048_576).toFixed(1)} MiB`,
    ]),
  };
}

function programCommand(context: Context): Command {
  return new Command('program').description('Show the BPF programs of this node').addCommand(
    new Command('list')
      .alias('ls')
      .description('List the BPF programs with where they are attached and what they cost')
      .addHelpText(
        'after',
        '\nExamples:\n  sluice program list\n  sysctl kernel.bpf_stats_enabled=1   # then RUNS and AVERAGE count',
      )
      .action(async (_options: unknown, command: Command) => {
        const programs = (await agentOf(command, context).get('/programs')) as readonly ProgramUsage[];
        show(context, globalOptions(command, context).output, {
          data: programs,
          text: () => alignTable(programTable(programs)),
        });
      }),
  );
}

function programTable(programs: readonly ProgramUsage[]): TextTable {
  return {
    columns: ['NAME', 'TYPE', 'ID', 'INSTRUCTIONS', 'RUNS', 'AVERAGE', 'ATTACHED TO'],
    rows: programs.map((program) => [
      program.name,
      program.type,
      String(program.id),
      String(program.instructions),
      program.runCount === undefined ? '-' : String(program.runCount),
      program.averageNs === undefined ? '-' : `${program.averageNs.toFixed(0)} ns`,
      program.attachedTo.length === 0 ? '-' : program.attachedTo.join(', '),
    ]),
  };
}
