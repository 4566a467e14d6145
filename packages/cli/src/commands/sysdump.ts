import { Command } from 'commander';
import {
  addClusterOptions,
  type ClusterOptions,
  chosenCluster,
  clusterOptions,
  openCluster,
} from '../cluster-access.ts';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, isAgentHere } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { counted, formatBytes, printable, tell } from '../output.ts';
import { collect } from '../traffic-options.ts';

const ROWS = 10_000;
const NODE_SECONDS = 120;

const TEXT = `
One archive (tar.gz) for somebody who helps: of this node its status, tables, maps, connections, events, metrics, options, devices
and routes, what \`sluice doctor\` says, and the end of the logs. With a kubeconfig, from anywhere, the same of every node, each in
a folder of its own: each agent's pod is asked through the API server, four at a time. Also the operator's metrics, the logs of
agents and operator, of the containers before these too, and the objects of the network: Nodes, Services, EndpointSlices,
NetworkPolicies, Events, Leases, all of cilium.io and Gateway API. It takes the rights to list these, to read pods/log and pods/proxy, and to create pods/exec.

Secrets stay where they are: Secrets and ConfigMaps are not asked for, values of annotations and of the environment are taken out,
and so is what is named or looks like a token, password or private key. Names, addresses and labels are in it: look before you send it.

What cannot be had holds up nothing: missing.txt in the archive says what is not there, and why; of a node that cannot be asked
nodes/NODE/unreachable.txt says it as well.

Examples:
  sluice sysdump
  sluice sysdump --output /tmp/dump.tar.gz --log /var/log/sluice-agent.log
  sluice sysdump --kubeconfig ~/.kube/config
  sluice sysdump --output - | ssh somewhere tar -tz
  tar -xzf dump.tar.gz --to-stdout --wildcards '*/nodes/k8s-cp1/status.txt'`;

interface Options extends ClusterOptions {
  readonly output?: string;
  readonly thisNode?: boolean;
  /** False by --no-logs. */
  readonly logs: boolean;
  readonly log?: readonly string[];
  readonly rows: number;
  readonly nodeTimeout: number;
}

export function sysdumpCommand(context: Context): Command {
  const command = new Command('sysdump')
    .description(
      'Collect all that tells of the network, of this node or with a kubeconfig of the whole cluster, in one archive',
    )
    .option(
      '-o, --output <file>',
      'where to write it, - for the standard output; default: sluice-sysdump-HOST-TIME.tar.gz in this folder',
    )
    .option('--log <file>', 'a log to take the end of; may be given again', collect)
    .option('--this-node', 'of this node alone, whatever KUBECONFIG says')
    .option('--no-logs', 'no log of this node, not even those that are found')
    .option('--rows <n>', 'of each table, map and kind at most', wholeNumber(1), ROWS)
    .option('--node-timeout <seconds>', 'how long each node of a cluster may take', wholeNumber(1), NODE_SECONDS);
  return addClusterOptions(
    command,
    'of this cluster, all nodes; default: KUBECONFIG, or ~/.kube/config where no agent runs',
  )
    .addHelpText('after', TEXT)
    .action((options: Options, command: Command) => sysdump(options, command, context));
}

async function sysdump(options: Options, command: Command, context: Context): Promise<void> {
  if (isFormat(options.output)) {
    const { output } = options;
    throw new CommandError(
      `--output ${output}: what is written is an archive, and this its file: --output ./${output}`,
      { exitCode: 2 },
    );
  }
  if (options.output === '-' && context.out.isTTY) {
    throw new CommandError('--output -: an archive is nothing for a terminal; lead it into a file or a program', {
      exitCode: 2,
    });
  }
  const isHere = isAgentHere(command, context);
  const isAlone = options.thisNode ?? false;
  const choice = isAlone ? undefined : chosenCluster(clusterOptions(options, command), context, { home: !isHere });
  const cluster = choice && openCluster(choice, context);
  using _client = cluster?.client;
  // Loaded here: it reads the kernel by FFI, which few commands of this program need.
  const { takeDump } = await import('../sysdump/take.ts');
  const screen = progressScreen(context.err);
  const taken = await takeDump({
    // A workstation's own devices and routes are no part of the cluster.
    agent: isHere || cluster === undefined ? agentOf(command, context) : undefined,
    cluster,
    context,
    rowsMax: options.rows,
    nodeSeconds: options.nodeTimeout,
    logs: options.logs && (options.log ?? []),
    output: options.output,
    onPiece: screen.piece,
    onNode: (node, how) => {
      if (how === undefined) screen.piece(`nodes/${node}`);
      else if (how.why === undefined) screen.line(`node ${node}: ${counted(how.files, 'file')}`);
    },
  });
  screen.clear();
  for (const line of taken.missing) tell(context, `not there: ${line}`);
  const told = options.output === '-' ? context.err : context.out;
  told.write(`${taken.path}: ${counted(taken.files, 'file')}, ${formatBytes(taken.bytes)}\n`);
}

/** As other commands mean it by the same option. */
function isFormat(output: string | undefined): boolean {
  return output === 'json' || output === 'yaml' || output === 'wide';
}

/** One line that changes on a terminal; elsewhere only what stays. */
function progressScreen(err: Context['err']) {
  const clear = (): void => {
    if (err.isTTY) err.write('\r\u001b[K');
  };
  return {
    clear,
    piece: (path: string): void => {
      // A line that is wrapped could not be taken back.
      if (err.isTTY) err.write(`\r\u001b[K${printable(path).slice(0, (err.columns ?? 80) - 1)}`);
    },
    line: (text: string): void => {
      clear();
      tell({ err }, text);
    },
  };
}
