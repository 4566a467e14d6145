import type { ConnectionReport, NamedEnd } from '@sluice/agent';
import { Command } from 'commander';
import { connectionLine } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions, type OutputFormat } from '../context.ts';
import { alignTable, formatAge, show, type TextTable } from '../output.ts';
import { addTrafficOptions, pathWithQuery, type TrafficOptions, trafficQuery } from '../traffic-options.ts';
import { endText, type ShowEnd, translationTexts } from '../traffic-text.ts';
import { natTopCommand } from './nat-top.ts';

type Row = ConnectionReport;
type Columns = readonly (readonly [title: string, cell: (row: Row, end: ShowEnd) => string])[];

const CT_COLUMNS: Columns = [
  ['PROTOCOL', (row) => row.protocol],
  ['SOURCE', (row, end) => end(row.source)],
  ['DESTINATION', (row, end) => end(row.destination)],
  ['STATE', (row) => row.state],
  ['AGE', (row) => formatAge(row.ageSeconds)],
  ['EXPIRES IN', (row) => formatAge(row.expiresSeconds)],
  ['PACKETS', (row) => `${row.packets.sent}/${row.packets.replied}`],
  ['BYTES', (row) => `${row.bytes.sent}/${row.bytes.replied}`],
  ['TRANSLATED', (row, end) => [...translationTexts(row, end), ...dsrTexts(row)].join(', ')],
];

function dsrTexts({ dsr }: Row): string[] {
  if (dsr === undefined) return [];
  return [dsr === 'asked' ? 'answered by the node of the backend' : 'asked at another node'];
}

const NAT_COLUMNS: Columns = [
  ['PROTOCOL', (row) => row.protocol],
  ['CLIENT', (row, end) => end(row.source)],
  ['ASKS', (row, end) => end(row.frontend ?? row.destination)],
  ['GOES TO', (row, end) => end(row.destination)],
  ['SEEN AS', (row, end) => end(row.translatedSource ?? row.source)],
  ['AGE', (row) => formatAge(row.ageSeconds)],
];

export function connectionCommands(context: Context): Command[] {
  const ct = list(context, {
    text: 'the connections that this node tracks, sent and replied packets and bytes of each',
    noun: 'ct',
    columns: CT_COLUMNS,
    parameters: [],
  });
  const nat = list(context, {
    text: 'the connections whose packets this node translates: to a backend of a service, from an address of its own',
    noun: 'nat',
    columns: NAT_COLUMNS,
    parameters: [['translated', 'true']],
  });
  return [
    new Command('ct').description('Show the connections of this node').addCommand(ct),
    new Command('nat')
      .description('Show what is translated packet by packet')
      .addCommand(nat)
      .addCommand(natTopCommand(context)),
  ];
}

interface List {
  readonly text: string;
  readonly noun: string;
  readonly columns: Columns;
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

function list(context: Context, { text, noun, columns, parameters }: List): Command {
  return addTrafficOptions(new Command('list').alias('ls').description(`List ${text}`))
    .addHelpText(
      'after',
      `\nExamples:\n  sluice ${noun} list\n  sluice ${noun} list --pod gitlab/web --protocol tcp -o wide\n  sluice ${noun} list --ip 10.96.0.10 -o json`,
    )
    .action(async (options: TrafficOptions, command: Command) => {
      const path = pathWithQuery('/connections', [...parameters, ...trafficQuery(options)]);
      const rows = sorted(await agentOf(command, context).rows(path, connectionLine));
      const { output } = globalOptions(command, context);
      show(context, output, { data: rows, text: () => alignTable(textTable(rows, columns, output)) });
    });
}

function textTable(rows: readonly Row[], columns: Columns, format: OutputFormat): TextTable {
  const end = format === 'wide' ? endWithAddress : endText;
  return {
    columns: columns.map(([title]) => title),
    rows: rows.map((row) => columns.map(([, cell]) => cell(row, end))),
  };
}

function endWithAddress(end: NamedEnd): string {
  return end.name === '' ? endText(end) : `${endText(end)} (${end.address})`;
}

const collator = new Intl.Collator('en', { numeric: true });

function sorted(rows: readonly Row[]): Row[] {
  const keyed = rows.map((row) => ({ row, key: `${row.protocol} ${endText(row.source)} ${endText(row.destination)}` }));
  return keyed.sort((left, right) => collator.compare(left.key, right.key)).map(({ row }) => row);
}
