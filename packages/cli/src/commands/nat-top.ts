import type { NamedAddress, NatPortsReport } from '@sluice/agent';
import { Command } from 'commander';
import { natPortsAnswer } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions, type OutputFormat } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { alignTable, show } from '../output.ts';
import { pathWithQuery } from '../traffic-options.ts';
import { endText } from '../traffic-text.ts';

const LIMIT = 10;

export function natTopCommand(context: Context): Command {
  return new Command('top')
    .description(
      "List the destinations towards which most ports of the node's range are taken, and the clients that have them; with -o wide all of these",
    )
    .option('--limit <n>', 'how many destinations at most; 0 for all', wholeNumber(0), LIMIT)
    .addHelpText(
      'after',
      '\nExamples:\n  sluice nat top\n  sluice nat top --limit 0 -o wide\n  sluice nat top --limit 1 -o json',
    )
    .action(async ({ limit }: { readonly limit: number }, command: Command) => {
      const path = pathWithQuery('/nat-ports', limit === 0 ? [] : [['limit', String(limit)]]);
      const rows = await agentOf(command, context).get(path, natPortsAnswer);
      const { output } = globalOptions(command, context);
      show(context, output, { data: rows, text: () => natTopText(rows, output) });
    });
}

const CLIENTS_SHOWN = 3;

function natTopText(rows: readonly NatPortsReport[], format: OutputFormat): string {
  return alignTable({
    columns: ['PROTOCOL', 'DESTINATION', 'SEEN AS', 'PORTS', 'SHARE', 'CLIENTS'],
    rows: rows.map(({ protocol, destination, source, ports, portsMax, isExhausted, clients }) => [
      ...[protocol, endText(destination), nameText(source, format), `${ports}/${portsMax}`],
      `${((100 * ports) / portsMax).toFixed(1)}%${isExhausted ? ' (none left)' : ''}`,
      clientsText(clients, format),
    ]),
  });
}

function clientsText(clients: NatPortsReport['clients'], format: OutputFormat): string {
  const shown = format === 'wide' ? clients : clients.slice(0, CLIENTS_SHOWN);
  const more = clients.length - shown.length;
  const texts = shown.map((client) => `${nameText(client, format)} ${client.ports}`);
  return `${texts.join(', ')}${more > 0 ? ` +${more} more` : ''}`;
}

function nameText({ address, name }: NamedAddress, format: OutputFormat): string {
  if (name === '') return address;
  return format === 'wide' ? `${name} (${address})` : name;
}
