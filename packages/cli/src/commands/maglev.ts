import type { MaglevReport } from '@sluice/agent';
import { Command } from 'commander';
import { maglevLine } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { alignTable, show } from '../output.ts';
import { addServiceOptions, type ServiceOptions, serviceQuery } from '../service-options.ts';
import { collect, pathWithQuery } from '../traffic-options.ts';

interface Options extends ServiceOptions {
  readonly backend?: readonly string[];
}

export function maglevCommand(context: Context): Command {
  return new Command('maglev')
    .description('Show the Maglev tables, by which clients from outside are given backends')
    .addCommand(
      addServiceOptions(new Command('list'))
        .alias('ls')
        .description("List each backend's share of its frontend's Maglev table, as the kernel has it")
        .option('--backend <address|prefix>', 'of backends at this address, or one of this prefix', collect)
        .addHelpText(
          'after',
          '\nExamples:\n  sluice maglev list\n  sluice maglev list --service shop/web\n  sluice maglev list --backend 10.244.1.0/24 -o json',
        )
        .action(async (options: Options, command: Command) => {
          const { backend = [] } = options;
          const path = pathWithQuery('/maglev', [
            ...serviceQuery(options),
            ...backend.map((prefix) => ['backend', prefix] as const),
          ]);
          const rows = await agentOf(command, context).rows(path, maglevLine);
          rows.sort((left, right) => collator.compare(orderOf(left), orderOf(right)));
          show(context, globalOptions(command, context).output, { data: rows, text: () => maglevText(rows) });
        }),
    );
}

const collator = new Intl.Collator('en', { numeric: true });

const orderOf = ({ service, frontend, backend }: MaglevReport): string => `${service} ${frontend} ${backend}`;

function maglevText(rows: readonly MaglevReport[]): string {
  return alignTable({
    columns: ['SERVICE', 'FRONTEND', 'TABLE', 'BACKEND', 'NODE', 'ENTRIES', 'SHARE', 'PROBLEM'],
    rows: rows.map(({ service, frontend, size, backend, node, entries, problem }) => [
      ...[service, frontend, String(size), backend, node, String(entries)],
      `${((100 * entries) / size).toFixed(2)}%`,
      problem ?? '',
    ]),
  });
}
