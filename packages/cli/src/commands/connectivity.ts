import { systemClock } from '@sluice/runtime';
import { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { kubernetesCluster } from '../connectivity/kubernetes-cluster.ts';
import { resultData, resultLine, summary } from '../connectivity/results.ts';
import { runConnectivityTest } from '../connectivity/run.ts';
import { NAMESPACE_DEFAULT } from '../connectivity/workload.ts';
import { type Context, globalOptions } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { counted, show } from '../output.ts';

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
      .option('--wait-seconds <n>', 'how long pods may take to become ready', wholeNumber(0), 60)
      .option('--cleanup', 'delete the namespace afterwards')
      .addHelpText(
        'after',
        '\nExamples:\n  sluice connectivity test\n  sluice connectivity test --test hairpin\n  sluice connectivity test -o json',
      )
      .action((options: Options, command: Command) => test(options, command, context)),
  );
}

async function test(options: Options, command: Command, context: Context): Promise<void> {
  const { output } = globalOptions(command, context);
  const print = (text: string): void => {
    if (output === 'table' || output === 'wide') context.out.write(`${text}\n`);
  };
  const only = options.test === undefined ? undefined : regularExpression(options.test);
  const cluster = await kubernetesCluster(kubeconfigOf(options, context));
  const results = await runConnectivityTest(cluster, {
    namespace: options.namespace,
    image: options.image,
    only,
    waitSeconds: options.waitSeconds,
    clock: systemClock,
    signal: context.signal,
    onStep: (text) => print(`-- ${text}`),
    onResult: (result) => print(resultLine(result, context.out.isTTY === true)),
  }).finally(() => (options.cleanup ? cluster.deleteNamespace(options.namespace) : undefined));
  const failed = results.filter((result) => result.failure !== undefined).length;
  const kept = options.cleanup ? undefined : options.namespace;
  show(context, output, { data: results.map(resultData), text: () => summary(results, kept) });
  if (failed > 0) {
    const next = 'sluice monitor --type drop on the nodes concerned tells more';
    throw new CommandError(`${failed} of ${counted(results.length, 'case')} failed; ${next}`);
  }
}

function kubeconfigOf(options: Options, context: Context): string {
  const path = options.kubeconfig ?? context.environment.KUBECONFIG;
  if (path) return path;
  const next = 'give --kubeconfig FILE or set KUBECONFIG; that of a lab is /run/sluice-lab/homelab/kubeconfig';
  throw new CommandError(`no cluster: ${next}`, { exitCode: 2 });
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
