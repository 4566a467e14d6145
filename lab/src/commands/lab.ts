import { Command, InvalidArgumentError } from 'commander';
import { LabError } from '../error.ts';
import type { LabContext } from './context.ts';

const nameDefault = 'homelab';

/**
 * `sluice lab ...`. Each command loads what it needs when it is run: most calls of `sluice` are not about a lab.
 * Failures end with `process.exitCode` set and their text on standard error.
 */
export function labCommand(): Command {
  const context: LabContext = { print: (line) => console.log(line), environment: process.env };
  const lab = new Command('lab')
    .description('A cluster in network namespaces on this machine')
    .enablePositionalOptions()
    .showHelpAfterError('(see --help)');
  const command = (usage: string, description: string) =>
    lab.command(usage).description(description).option('--name <name>', 'which lab', nameDefault);

  command('up', 'Make the lab, or repair what is missing, and leave it running in the background')
    .option('--nodes <count>', 'how many nodes (default: 3)', wholeNumber)
    .option('--values <file>', "the installation's values (default: those of the homelab)")
    .option('--demo', "the homelab's objects, a sample workload, the connectivity test")
    .action(({ demo: withDemo, ...options }) =>
      runInterruptible(async () => {
        const { up } = await import('./up.ts');
        const made = await up({ nodes: undefined, values: undefined, ...options }, context);
        if (withDemo) return (await import('./demo.ts')).demo(made, context);
        context.print(`KUBECONFIG=${made.layout.kubeconfig}`);
        return 0;
      }),
    );
  command('down', 'Remove every process, namespace, cgroup, mount and file of the lab').action(({ name }) =>
    runInterruptible(async () => {
      await (await import('./down.ts')).down(name, context);
      return 0;
    }),
  );
  command('status', 'What is up; fails when something is not').action(({ name }) =>
    runInterruptible(async () => {
      await (await import('./status.ts')).status(name, context);
      return 0;
    }),
  );
  command('exec <node|pod> <command...>', 'Run a command on a node, or in a pod ([NAMESPACE/]NAME)')
    .passThroughOptions()
    .action((where: string, words: string[], { name }) =>
      run(async () => (await import('./exec.ts')).exec(name, where, withoutSeparator(words), context)),
    );
  command('kubectl [arguments...]', 'Run kubectl against the lab')
    .passThroughOptions()
    .allowUnknownOption()
    .action((words: string[], { name }) =>
      run(async () => (await import('./exec.ts')).kubectl(name, withoutSeparator(words), context)),
    );
  return lab;
}

/** Ends at once on control-C: whatever was half made is completed or removed by the next command. */
async function runInterruptible(action: () => Promise<number>): Promise<void> {
  const end = () => process.exit(exitCodeInterrupted);
  process.once('SIGINT', end);
  await run(action);
  process.off('SIGINT', end);
}

const exitCodeInterrupted = 130;

async function run(action: () => Promise<number>): Promise<void> {
  try {
    const exitCode = await action();
    if (exitCode !== 0) process.exitCode = exitCode;
  } catch (error) {
    process.exitCode = 1;
    if (!(error instanceof Error)) throw error;
    const isExpected = error instanceof LabError || error.name === 'ConfigError';
    console.error(isExpected ? `sluice lab: ${error.message}` : error.stack);
    if (error instanceof LabError && error.hint) console.error(`  ${error.hint}`);
  }
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('it must be a whole number');
  return value;
}

/** `exec NODE -- command` as well as `exec NODE command`. */
function withoutSeparator(words: readonly string[]): readonly string[] {
  return words[0] === '--' ? words.slice(1) : words;
}
