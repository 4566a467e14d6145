import { Command, InvalidArgumentError, Option } from 'commander';
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
    .addHelpText('after', examples('up --demo', 'up --nodes 1 --values my-values.yaml', 'up --name other'))
    .action(({ demo: withDemo, name, ...options }) =>
      runInterruptible(name, async () => {
        const { up } = await import('./up.ts');
        const made = await up({ nodes: undefined, values: undefined, name, ...options }, context);
        if (withDemo) return (await import('./demo.ts')).demo(made, context);
        context.print(`KUBECONFIG=${made.layout.kubeconfig}`);
        return 0;
      }),
    );
  command('down', 'Remove every process, namespace, cgroup, mount and file of the lab')
    .addHelpText('after', examples('down', 'down --name other'))
    .action(({ name }) =>
      runInterruptible(name, async () => {
        await (await import('./down.ts')).down(name, context);
        return 0;
      }),
    );
  command('status', 'What is up; fails when something of the lab itself is not')
    .addOption(
      new Option('-o, --output <format>', 'the whole report').choices(['text', 'json', 'yaml']).default('text'),
    )
    .addHelpText('after', examples('status', 'status -o json | jq .nodes'))
    .action(({ name, output }) =>
      run(async () => {
        await (await import('./status.ts')).status(name, output, context);
        return 0;
      }),
    );
  command('exec <node|pod> <command...>', 'Run a command on a node, or in a pod ([NAMESPACE/]NAME)')
    .addHelpText(
      'after',
      `\nPods have networks of their own, but the machine's files, read-only; /tmp, /var/tmp, /run, /root and /home are their own.\nThey are root of the machine all the same: run in them what you would run as root yourself.\n${examples(
        'exec k8s-cp1 -- sluice status',
        'exec k8s-cp1 -- ip route',
        'exec monitoring/grafana -- client http gitlab.gitlab 80',
      )}`,
    )
    .passThroughOptions()
    .action((where: string, words: string[], { name }) =>
      run(async () => (await import('./exec.ts')).exec(name, where, withoutSeparator(words), context)),
    );
  command('kubectl [arguments...]', 'Run kubectl against the lab')
    .addHelpText('after', examples('kubectl get pods -A -o wide', 'kubectl apply -f my.yaml'))
    .passThroughOptions()
    .allowUnknownOption()
    .action((words: string[], { name }) =>
      run(async () => (await import('./exec.ts')).kubectl(name, withoutSeparator(words), context)),
    );
  return lab;
}

/** Ends at once on control-C: whatever was half made is completed or removed by the next command. */
async function runInterruptible(name: string, action: () => Promise<number>): Promise<void> {
  const option = name === nameDefault ? '' : ` --name ${name}`;
  const end = () => {
    console.error(`interrupted: \`sluice lab up${option}\` completes it, \`sluice lab down${option}\` removes it`);
    process.exit(exitCodeInterrupted);
  };
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

function examples(...commands: readonly string[]): string {
  return ['', 'Examples:', ...commands.map((command) => `  sluice lab ${command}`)].join('\n');
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
