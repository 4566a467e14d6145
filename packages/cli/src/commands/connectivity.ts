import { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { kubernetesCluster } from '../connectivity/kubernetes-cluster.ts';
import { type CaseResult, runConnectivityTest } from '../connectivity/run.ts';
import { NAMESPACE_DEFAULT } from '../connectivity/workload.ts';
import { type Context, globalOptions } from '../context.ts';

interface Options {
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly image: string;
  readonly test?: string;
  readonly waitSeconds: number;
  readonly cleanup?: boolean;
}

export function connectivityCommand(context: Context): Command {
  return new Command('connectivity').description('Try out that everything can be reached').addCommand(
    new Command('test')
      .description('Start test pods on two nodes and try every way of talking; exit status 1 when one fails')
      .option('--kubeconfig <file>', 'how to reach the cluster; default: KUBECONFIG')
      .option('-n, --namespace <name>', 'namespace of the test pods', NAMESPACE_DEFAULT)
      .option('--image <name>', 'image of the test pods', 'sluice-lab/echo')
      .option('--test <regex>', 'only cases whose name matches')
      .option('--wait-seconds <n>', 'how long pods may take to become ready', Number, 60)
      .option('--cleanup', 'delete the namespace afterwards')
      .addHelpText(
        'after',
        '\nExamples:\n  sluice connectivity test\n  sluice connectivity test --test hairpin\n  sluice connectivity test -o json',
      )
      .action((options: Options, command: Command) => test(options, command, context)),
  );
}

async function test(options: Options, command: Command, context: Context): Promise<void> {
  const path = options.kubeconfig ?? context.environment.KUBECONFIG;
  if (path === undefined) throw new CommandError('no cluster: give --kubeconfig or set KUBECONFIG', { exitCode: 2 });
  const { output } = globalOptions(command, context);
  const json = output === 'json' || output === 'yaml';
  const cluster = await kubernetesCluster(path);
  const print = (text: string): void => void (json || context.out.write(`${text}\n`));
  const results = await runConnectivityTest(cluster, {
    namespace: options.namespace,
    image: options.image,
    only: options.test === undefined ? undefined : regularExpression(options.test),
    waitSeconds: options.waitSeconds,
    signal: context.signal,
    onStep: (text) => print(`-- ${text}`),
    onResult: (result) => print(resultLine(result, context.out.isTTY === true)),
  });
  if (options.cleanup) await cluster.deleteNamespace(options.namespace);
  if (json) context.out.write(`${JSON.stringify(results, undefined, 2)}\n`);
  const failed = results.filter((result) => result.failure !== undefined);
  print(`${results.length - failed.length} passed, ${failed.length} failed`);
  if (failed.length > 0)
    throw new CommandError(
      `${failed.length} of ${results.length} cases failed; sluice monitor --type drop on the nodes concerned tells more`,
    );
}

function resultLine(result: CaseResult, colour: boolean): string {
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const tries = result.tries > 1 ? `, ${result.tries} tries` : '';
  if (result.failure === undefined) return `${paint(32, 'ok  ')} ${result.name} (${result.ms.toFixed(0)} ms${tries})`;
  return `${paint(31, 'FAIL')} ${result.name} (${result.tries} tries)\n     ${result.failure}\n     in pod ${result.from}: ${result.command}`;
}

function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new CommandError(`--test ${text}: ${error instanceof Error ? error.message : String(error)}`, {
      exitCode: 2,
    });
  }
}
