import { Command, Option } from 'commander';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import type { ExaminationOptions } from '../examination.ts';
import { show } from '../output.ts';

const TEXT = `
Looks and changes nothing. No agent need run, so it is also what to run before the installation; of a running agent it asks
the configuration and what it knows of itself. Each finding says what comes of it and what to do. The exit status is 1 when
there is an error, something without which Sluice does not work here, and 0 with warnings and notes.

Examples:
  sluice doctor
  sluice doctor --config my-values.yaml     before the installation, with the values that it is to have
  sluice doctor --brief                     a line for each error and warning, nothing when all is well
  sluice doctor --machine --brief           what runs first in a lab, whose nodes have networks of their own
  sluice doctor -o json | jq '.findings[] | select(.severity == "error")'`;

interface Options extends ExaminationOptions {
  readonly brief?: boolean;
}

export function doctorCommand(context: Context): Command {
  return new Command('doctor')
    .description('What on this node would hurt, and what to do about it')
    .option('--config <file>', "Helm values, where no agent tells its own (tunnel's port, devices, MTU, families)")
    .option('--machine', 'only the machine: kernel, filesystems, limits, clock')
    .option('--brief', 'a line for each error and warning')
    .addOption(new Option('--proc <path>', 'where the node has /proc; in a container another').hideHelp())
    .addOption(new Option('--sys <path>', 'where the node has /sys').hideHelp())
    .addHelpText('after', TEXT)
    .action(async (options: Options, command: Command) => {
      // Loaded here: it reads the kernel by FFI, which no other command of this program needs.
      const { examine, hasErrors, textOf } = await import('../examination.ts');
      const diagnosis = await examine(options, agentOf(command, context));
      const text = () => textOf(diagnosis, { brief: options.brief ?? false });
      show(context, globalOptions(command, context).output, { data: diagnosis, text });
      if (hasErrors(diagnosis))
        throw new CommandError('this node has errors; the lines above name them', { exitCode: 1 });
    });
}
