import { KubeError } from '@sluice/kube';
import { Command, CommanderError } from 'commander';
import type { ClusterOptions } from './cluster-access.ts';
import { CommandError } from './command-error.ts';
import { backendCommand } from './commands/backends.ts';
import { cleanupCommand } from './commands/cleanup.ts';
import { configCommand } from './commands/config.ts';
import { connectionCommands } from './commands/connections.ts';
import { connectivityCommand } from './commands/connectivity.ts';
import { doctorCommand } from './commands/doctor.ts';
import { explainCommand } from './commands/explain.ts';
import { identityCommands } from './commands/identities.ts';
import { maglevCommand } from './commands/maglev.ts';
import { mapCommand } from './commands/maps.ts';
import { metricsCommand } from './commands/metrics.ts';
import { monitorCommand } from './commands/monitor.ts';
import { programCommand } from './commands/programs.ts';
import { statusCommand } from './commands/status.ts';
import { sysdumpCommand } from './commands/sysdump.ts';
import { tableCommands } from './commands/tables.ts';
import { versionCommand } from './commands/version.ts';
import { type Context, globalOptions } from './context.ts';
import { printable, tell } from './output.ts';
import { VERSION } from './version.ts';
import { wrongName } from './wrong-name.ts';

const BEGIN = `
Begin with:
  sluice status                     what this node does, and what does not work
  sluice doctor                     what on this node would hurt, with or without a running agent
  sluice service list               where services are served, and by which pods
  sluice config                     every option, its value, and where it was set
  sluice ct list --pod shop/web     who talks to whom, and how much
  sluice monitor --type drop        what is dropped, with reason and hint
  sluice explain connect POD HOST:PORT   what would become of a connection, and why
  sluice service explain shop/web   which backends clients get at each address of a service, and why
  sluice status --kubeconfig FILE   every node of a cluster in one table, from anywhere
  sluice sysdump                    all of it in one archive, for somebody who helps
  sluice lab up --demo              a cluster on this machine to try it all (root)
  sluice lab exec k8s-cp1 -- sluice status

Environment: SLUICE_SOCKET the agent's socket, KUBECONFIG the cluster.
By symptom: docs/operations.md`;

/** The whole command line; `extra` are commands of packages that only some installations have, such as the lab. */
export function createProgram(context: Context, extra: readonly Command[] = []): Command {
  const program = new Command('sluice')
    .description('Look at and try out the network of this Kubernetes node')
    .version(VERSION, '--version', 'show the version of this command; `sluice version` asks the agent too')
    .option('-o, --output <format>', 'table, wide, json or yaml')
    .option('--socket <path>', 'unix socket of the agent; default SLUICE_SOCKET or /run/sluice/sluice.sock')
    .option('--kubeconfig <file>', 'the cluster, for commands that ask one')
    .option('--context <name>', 'of the kubeconfig; default: its current one')
    .hook('preAction', (program, command) => {
      refuseClusterOptions(command);
      // Before anything is asked or done.
      if (formatted.has(command)) globalOptions(command, context);
      else passFormat(program, command);
    })
    .enablePositionalOptions()
    .helpCommand(false)
    .addHelpText('after', BEGIN)
    .showHelpAfterError('(see --help)');
  for (const command of [
    statusCommand(context),
    connectivityCommand(context),
    ...tableCommands(context),
    backendCommand(context),
    maglevCommand(context),
    mapCommand(context),
    programCommand(context),
    ...connectionCommands(context),
    ...identityCommands(context),
    monitorCommand(context),
    explainCommand(context),
    metricsCommand(context),
    configCommand(context),
    doctorCommand(context),
    cleanupCommand(context),
    sysdumpCommand(context),
    versionCommand(context),
  ]) {
    program.addCommand(acceptGlobals(command));
  }
  for (const command of extra) program.addCommand(command);
  return program.addCommand(helpCommand(program));
}

/** What one node's agent is asked is not answered by a cluster. */
function refuseClusterOptions(command: Command): void {
  const given = command.optsWithGlobals<ClusterOptions>();
  for (const name of ['kubeconfig', 'context'] as const) {
    if (given[name] === undefined || command.options.some(({ long }) => long === `--${name}`)) continue;
    throw new CommandError(`--${name}: ${usageOf(command)} asks the agent of this node, not a cluster`, {
      exitCode: 2,
    });
  }
}

/** `sluice lab status`, of a command inside another. */
function usageOf(command: Command): string {
  return command.parent === null ? command.name() : `${usageOf(command.parent)} ${command.name()}`;
}

/** `sluice -o json lab status`: to a command with formats of its own; one that has none, or means a file by it, says so. */
function passFormat(program: Command, command: Command): void {
  const { output: given } = program.opts<{ output?: string }>();
  if (given === undefined) return;
  const own = command.options.find(({ long }) => long === '--output');
  const formats = own?.argChoices;
  if (formats?.includes(given)) {
    if (command.getOptionValueSource('output') === 'default') command.setOptionValue('output', given);
    return;
  }
  const name = usageOf(command);
  const instead = own === undefined ? `${name} has one format` : `${name} means another thing by it; write it behind`;
  throw new CommandError(`--output ${given}: ${formats ? `one of ${formats.join(', ')}` : instead}`, { exitCode: 2 });
}

/** `sluice help explain connect`: of a command inside another too. */
function helpCommand(program: Command): Command {
  return new Command('help')
    .description('Show the help of a command')
    .argument('[command...]', 'such as explain connect')
    .action((names: readonly string[]) => {
      let command = program;
      for (const name of names) {
        const next = command.commands.find((each) => each.name() === name || each.aliases().includes(name));
        if (next === undefined) throw wrongName({ what: 'command', name, names: commandNames(command) });
        command = next;
      }
      command.outputHelp();
    });
}

const commandNames = (command: Command): string[] => command.commands.map((each) => each.name());

/** Commands whose --output is one of our formats; those of the lab have their own. */
const formatted = new WeakSet<Command>();

/** `sluice status -o json` as well as `sluice -o json status`, and `sluice map -o json list`: people type all of them. */
function acceptGlobals(command: Command): Command {
  for (const child of command.commands) acceptGlobals(child);
  // What writes one file means that by it.
  if (!command.options.some(({ long }) => long === '--output')) {
    command.option('-o, --output <format>', 'table, wide, json or yaml');
    formatted.add(command);
  }
  return command.option('--socket <path>', 'unix socket of the agent');
}

/**
 * Runs one command line; returns the exit status. Errors become one line, programmer errors keep their stack; a
 * line that is no command ends with 2, an interrupted command with 130, as shells have it.
 */
export async function runProgram(program: Command, args: readonly string[], context: Context): Promise<number> {
  quiet(program, context);
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (context.signal.aborted) return 130;
    if (error instanceof CommandError || error instanceof KubeError) {
      tell(context, `sluice: ${error.message}`);
      return error instanceof CommandError ? error.exitCode : 1;
    }
    tell(context, error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 70;
  }
}

function quiet(command: Command, context: Context): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void context.out.write(text),
    writeErr: (text) => void context.err.write(printable(text)),
  });
  for (const child of command.commands) quiet(child, context);
}
