import { Command } from 'commander';
import {
  addClusterOptions,
  type ClusterOptions,
  chosenCluster,
  clusterOptions,
  openCluster,
} from '../cluster-access.ts';
import { agentOf, type Context, isAgentHere } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { counted, formatBytes } from '../output.ts';
import { collect } from '../traffic-options.ts';

const ROWS = 10_000;

const TEXT = `
One archive (tar.gz) for somebody who helps: of this node its status, tables, maps, connections, events, metrics, options, devices
and routes, what \`sluice doctor\` says, and the end of the logs; with a kubeconfig every node's status, the logs of agents and
operator, and the objects of the network: Nodes, Services, EndpointSlices, NetworkPolicies, Events, all of cilium.io and Gateway API.

Secrets stay where they are: Secrets and ConfigMaps are not asked for, values of annotations and of the environment are taken out,
and so is what is named or looks like a token, password or private key. Names, addresses and labels are in it: look before you send it.

Where neither agent nor cluster answers, the rest is still taken; missing.txt in the archive says what is not there, and why.

Examples:
  sluice sysdump
  sluice sysdump --output /tmp/dump.tar.gz --log /var/log/sluice-agent.log
  sluice sysdump --kubeconfig ~/.kube/config
  tar -xzf dump.tar.gz --to-stdout '*/node/status.txt'`;

interface Options extends ClusterOptions {
  readonly output?: string;
  readonly log?: readonly string[];
  readonly rows: number;
}

export function sysdumpCommand(context: Context): Command {
  const command = new Command('sysdump')
    .description(
      'Collect all that tells of the network, of this node and with a kubeconfig of the cluster, in one archive',
    )
    .option('-o, --output <file>', 'where to write it; default: sluice-sysdump-HOST-TIME.tar.gz in this folder')
    .option('--log <file>', 'a log to take the end of; may be given again', collect)
    .option('--rows <n>', 'of each table, map and kind at most', wholeNumber(1), ROWS);
  return addClusterOptions(command, 'of the cluster as well; default: KUBECONFIG')
    .addHelpText('after', TEXT)
    .action((options: Options, command: Command) => sysdump(options, command, context));
}

async function sysdump(options: Options, command: Command, context: Context): Promise<void> {
  const choice = chosenCluster(clusterOptions(options, command), context, { home: !isAgentHere(command, context) });
  const cluster = choice && openCluster(choice, context);
  using _client = cluster?.client;
  // Loaded here: it reads the kernel by FFI, which few commands of this program need.
  const { takeDump } = await import('../sysdump/take.ts');
  const taken = await takeDump({
    agent: agentOf(command, context),
    cluster,
    environment: context.environment,
    signal: context.signal,
    rowsMax: options.rows,
    logs: options.log ?? [],
    output: options.output,
    onPiece: (path) => context.err.isTTY && context.err.write(`\r\u001b[K${path}`),
  });
  if (context.err.isTTY) context.err.write('\r\u001b[K');
  for (const line of taken.missing) context.err.write(`not there: ${line}\n`);
  context.out.write(`${taken.path}: ${counted(taken.files, 'file')}, ${formatBytes(taken.bytes)}\n`);
}
