import type { ProgramUsage } from '@sluice/agent';
import { Command } from 'commander';
import { programsAnswer } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { alignTable, formatBytes, show, type TextTable, tell } from '../output.ts';

const EXAMPLES = `
Examples:
  sluice program list
  sluice program list --measure 5           # count for 5 s, some 20 ns a run, and stop counting
  sysctl kernel.bpf_stats_enabled=1         # count from now on
  sluice program list -o json`;

export function programCommand(context: Context): Command {
  return new Command('program').description('Show the BPF programs of this node').addCommand(
    new Command('list')
      .alias('ls')
      .description('List the BPF programs with where they are attached and what they cost')
      .option('--measure <seconds>', 'have the kernel count runs and time for so long, and show those', wholeNumber(1))
      .addHelpText('after', EXAMPLES)
      .action((options: { measure?: number }, command: Command) => list(options, command, context)),
  );
}

async function list({ measure }: { measure?: number }, command: Command, context: Context): Promise<void> {
  const path = measure === undefined ? '/programs' : `/programs?measure=${measure}`;
  const timeoutMs = 5_000 + 1_000 * (measure ?? 0);
  const programs = await agentOf(command, context).get(path, programsAnswer, { timeoutMs });
  show(context, globalOptions(command, context).output, {
    data: programs,
    text: () => alignTable(programTable(programs)),
  });
  if (programs.length > 0 && programs.every(({ runCount }) => runCount === undefined)) {
    tell(context, 'RUNS and AVERAGE: nobody has them counted; --measure 5 does for 5 s, see --help');
  }
}

function programTable(programs: readonly ProgramUsage[]): TextTable {
  return {
    columns: ['NAME', 'TYPE', 'ID', 'INSTRUCTIONS', 'MEMORY', 'RUNS', 'AVERAGE', 'ATTACHED TO'],
    rows: programs.map((program) => [
      program.name,
      program.type,
      String(program.id),
      String(program.instructions),
      formatBytes(program.bytes),
      program.runCount === undefined ? '-' : String(program.runCount),
      program.averageNs === undefined ? '-' : `${program.averageNs.toFixed(0)} ns`,
      program.attachedTo.length === 0 ? '-' : program.attachedTo.join(', '),
    ]),
  };
}
