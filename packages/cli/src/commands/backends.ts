import type { BackendReport } from '@sluice/agent';
import { Command } from 'commander';
import { backendLine } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions, type OutputFormat } from '../context.ts';
import { alignTable, show } from '../output.ts';
import { addServiceOptions, type ServiceOptions, serviceQuery } from '../service-options.ts';
import { pathWithQuery } from '../traffic-options.ts';

export function backendCommand(context: Context): Command {
  return new Command('backend').description('Show what is behind services').addCommand(
    addServiceOptions(new Command('list'))
      .alias('ls')
      .description('List backends as the kernel has them, with the services that use each, with -o wide all of them')
      .addHelpText(
        'after',
        '\nExamples:\n  sluice backend list\n  sluice backend list --service shop/web\n  sluice backend list -o json',
      )
      .action(async (options: ServiceOptions, command: Command) => {
        const path = pathWithQuery('/backends', serviceQuery(options));
        const rows = await agentOf(command, context).rows(path, backendLine);
        rows.sort((left, right) => collator.compare(left.backend, right.backend));
        const { output } = globalOptions(command, context);
        show(context, output, { data: rows, text: () => backendText(rows, output) });
      }),
  );
}

const collator = new Intl.Collator('en', { numeric: true });
const SERVICES_SHOWN = 2;

function backendText(rows: readonly BackendReport[], format: OutputFormat): string {
  return alignTable({
    columns: ['ID', 'BACKEND', 'STATE', 'NODE', 'ZONE', 'INSTANCES', 'SERVICES', 'PROBLEM'],
    rows: rows.map(({ id, backend, state, node, zone, instances, services, problem }) => [
      ...[id === undefined ? 'none' : String(id), backend, state, node, zone, String(instances)],
      format === 'wide' ? services.join(', ') : firstOf(services),
      problem ?? '',
    ]),
  });
}

function firstOf(services: readonly string[]): string {
  const more = services.length - SERVICES_SHOWN;
  return `${services.slice(0, SERVICES_SHOWN).join(', ')}${more > 0 ? ` +${more} more` : ''}`;
}
