import { Command, InvalidArgumentError, Option } from 'commander';
import { nameOption } from '../layout.ts';
import { examples, labCommandOf, run } from './command.ts';
import type { LabContext } from './context.ts';
import { addFaultCommands } from './fault-commands.ts';

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
  const command = (usage: string, description: string) => labCommandOf(lab, usage, description);

  command('up', 'Make the lab, or repair what is missing, and leave it running in the background')
    .option('--nodes <count>', 'how many nodes (default: 3)', wholeNumber)
    .option('--values <file>', "the installation's values (default: those of the homelab)")
    .option('--ipv4 <true|false>', 'whether there is IPv4 (default: as the values say)', trueOrFalse)
    .option('--ipv6 <true|false>', 'whether there is IPv6 (default: as the values say)', trueOrFalse)
    .option('--second-device', 'a second device for each node, on a LAN of its own, named in the values')
    .option('--demo', "the homelab's objects, a sample workload, the connectivity test")
    .addHelpText(
      'after',
      examples(
        'up --demo',
        'up --nodes 1 --values my-values.yaml',
        'up --ipv6=false --name only4     # beside the other lab',
        'up --nodes 20 --name many',
        'up --second-device --name two',
      ),
    )
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
  command('exec <where> <command...>', 'Run a command on a node, in a pod ([NAMESPACE/]NAME), or outside')
    .addHelpText(
      'after',
      `\nOutside are: router, internet (a server that tells whom it saw, at port 80), client, and lan, the switch.\nPods have networks of their own, but the machine's files, read-only; /tmp, /var/tmp, /run, /root and /home are their own.\nThey are root of the machine all the same: run in them what you would run as root yourself.\n${examples(
        'exec k8s-cp1 -- sluice status',
        'exec k8s-cp1 -- ip route',
        'exec monitoring/grafana -- client http gitlab.gitlab 80',
        'exec k8s-cp1 -- client tcp 198.51.100.10 80      # the internet',
        'exec client -- client tcp 10.10.30.101 30080     # from outside',
        'exec router -- tcpdump -ni internet',
      )}`,
    )
    .passThroughOptions()
    .action((where: string, words: string[], { name }) =>
      run(async () => (await import('./exec.ts')).exec(name, where, withoutSeparator(words), context)),
    );
  command('shell <where>', 'A shell in a pod ([NAMESPACE/]NAME), on a node, or outside, with the programs of the lab')
    .addHelpText('after', examples('shell monitoring/grafana', 'shell k8s-cp1', 'shell client'))
    .action((where: string, { name }) => run(async () => (await import('./shell.ts')).shell(name, where, context)));
  addFaultCommands(lab, context);
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
  const option = nameOption(name);
  const end = () => {
    console.error(`interrupted: \`sluice lab up${option}\` completes it, \`sluice lab down${option}\` removes it`);
    process.exit(exitCodeInterrupted);
  };
  process.once('SIGINT', end);
  await run(action);
  process.off('SIGINT', end);
}

const exitCodeInterrupted = 130;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('it must be a whole number');
  return value;
}

function trueOrFalse(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new InvalidArgumentError('it must be true or false');
}

/** `exec NODE -- command` as well as `exec NODE command`. */
function withoutSeparator(words: readonly string[]): readonly string[] {
  return words[0] === '--' ? words.slice(1) : words;
}
