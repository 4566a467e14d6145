import { Command } from 'commander';
import { versionAnswer } from '../agent-answers.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { alignTable, show } from '../output.ts';
import { VERSION } from '../version.ts';

export function versionCommand(context: Context): Command {
  return new Command('version')
    .description('Show the versions of this command and of the agent')
    .addHelpText('after', '\nExamples:\n  sluice version -o json')
    .action(async (_options: unknown, command: Command) => {
      const agent = await agentVersion(command, context);
      const rows = [
        ['client', VERSION],
        ['agent', agent],
      ];
      show(context, globalOptions(command, context).output, {
        data: { client: VERSION, agent },
        text: () => alignTable({ columns: ['PROGRAM', 'VERSION'], rows }),
      });
    });
}

async function agentVersion(command: Command, context: Context): Promise<string> {
  try {
    const answer = await agentOf(command, context).get('/version', versionAnswer);
    return answer.version;
  } catch (error) {
    return `none (${error instanceof Error ? error.message : String(error)})`;
  }
}
