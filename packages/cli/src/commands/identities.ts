import type { IdentityRow, IpListRow } from '@sluice/agent';
import { ownLabels } from '@sluice/identity';
import { identityName } from '@sluice/model';
import { Command } from 'commander';
import { identityLine, ipLine } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions, type OutputFormat } from '../context.ts';
import { alignTable, formatAge, show } from '../output.ts';
import type { Shape } from '../shape.ts';

/** Who is who: identities by number, and addresses by what they are known as. */
export function identityCommands(context: Context): Command[] {
  return [
    listCommand(context, {
      noun: 'identity',
      text: 'identities of the cluster with their labels',
      path: '/identities',
      shape: identityLine,
      compare: (left, right) => left.identity - right.identity,
      columns: ['Identity', 'Endpoints here', 'Unused', 'Labels'],
      cells: (row) => [String(row.identity), String(row.endpoints), unusedFor(row), row.labels.join(',')],
    }),
    listCommand(context, {
      noun: 'ip',
      text: 'addresses with the identity that this node knows them by, with -o wide all labels and where packets go',
      path: '/ips',
      shape: ipLine,
      compare: (left, right) => left.prefix.localeCompare(right.prefix, 'en', { numeric: true }),
      columns: ['Prefix', 'Identity', 'Labels', 'Node', 'Source', 'Pod'],
      wideColumns: ['Tunnel'],
      cells: (row, format) => [
        ...[row.prefix, String(row.identity), labelsOf(row, format), row.node, row.source, row.pod ?? ''],
        ...(format === 'wide' ? [row.tunnelEndpoint ?? ''] : []),
      ],
    }),
  ];
}

interface List<Row> {
  readonly noun: string;
  readonly text: string;
  readonly path: string;
  readonly shape: Shape<Row>;
  readonly compare: (left: Row, right: Row) => number;
  readonly columns: readonly string[];
  /** Besides, with -o wide. */
  readonly wideColumns?: readonly string[];
  readonly cells: (row: Row, format: OutputFormat) => string[];
}

function listCommand<Row>(context: Context, list: List<Row>): Command {
  return new Command(list.noun).description(`Show ${list.text}`).addCommand(
    new Command('list')
      .alias('ls')
      .description(`List ${list.text}`)
      .addHelpText('after', `\nExamples:\n  sluice ${list.noun} list\n  sluice ${list.noun} list -o json`)
      .action((_options: unknown, command: Command) => showList(command, context, list)),
  );
}

async function showList<Row>(command: Command, context: Context, list: List<Row>): Promise<void> {
  const rows = (await agentOf(command, context).rows(list.path, list.shape)).sort(list.compare);
  const { output } = globalOptions(command, context);
  const wide = output === 'wide' ? (list.wideColumns ?? []) : [];
  const columns = [...list.columns, ...wide].map((column) => column.toUpperCase());
  show(context, output, {
    data: rows,
    text: () => alignTable({ columns, rows: rows.map((row) => list.cells(row, output)) }),
  });
}

function unusedFor({ unusedSince }: IdentityRow): string {
  return unusedSince === undefined ? '' : `for ${formatAge((Date.now() - unusedSince) / 1_000)}`;
}

/** All of them with -o wide; else without those that say where the pod is, for that is in other columns. */
function labelsOf({ identity, labels }: IpListRow, format: OutputFormat): string {
  if (labels.length === 0) return `${identityName(identity)} is not known here yet`;
  return (format === 'wide' ? labels : ownLabels(labels)).join(',');
}
