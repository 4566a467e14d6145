import type { StatusReport } from '@sluice/agent';
import { KubeError } from '@sluice/kube';
import { Command } from 'commander';
import { statusAnswer } from '../agent-answers.ts';
import {
  addClusterOptions,
  type ClusterChoice,
  type ClusterOptions,
  chosenCluster,
  clusterOptions,
  openCluster,
} from '../cluster-access.ts';
import { type ClusterStatus, clusterAwaited, clusterProblems, clusterStatus } from '../cluster-status.ts';
import { CommandError } from '../command-error.ts';
import { execInPod } from '../connectivity/exec.ts';
import { agentOf, type Context, globalOptions, isAgentHere } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { show } from '../output.ts';
import { awaitedOf, isHealthy } from '../status-health.ts';
import { type Answer, awaitedLine, waitUntil } from '../waiting.ts';
import { clusterStatusText } from './cluster-status-text.ts';
import { statusText } from './status-text.ts';

const WAIT_SECONDS = 60;
const POLL_MS = 200;
/** Of a cluster: each answer starts a process on every node. */
const CLUSTER_POLL_MS = 2_000;

const TEXT = `
With a kubeconfig, from anywhere: all nodes in one table. Each agent is asked in its pod, through the API server; it takes the
rights to list nodes and pods, to create pods/exec, and to get the Lease on which the operator says what it cannot do. KUBECONFIG (which may name several
files) or ~/.kube/config does the same where no agent runs and no --socket is given. Where the user is one with exec, its program is run.

The exit status is 1 when something that is on does not work.

Examples:
  sluice status
  sluice status --verbose
  sluice status --wait -o json
  sluice status --kubeconfig ~/.kube/config
  sluice status --kubeconfig ~/.kube/config --wait --timeout 300    after an installation or an upgrade`;

interface Options extends ClusterOptions {
  readonly verbose?: boolean;
  readonly wait?: boolean;
  readonly waitDuration: number;
}

export function statusCommand(context: Context): Command {
  const command = new Command('status')
    .description("Show what this node's agent and kernel do, as they are now; with a kubeconfig, of all nodes")
    .option('--verbose', 'controllers, modules, maps and drops one by one')
    .option('--wait', 'wait until everything that is on works, and say what is waited for')
    .option('--timeout, --wait-duration <seconds>', 'how long --wait waits', wholeNumber(0), WAIT_SECONDS);
  return addClusterOptions(command, 'of all nodes of this cluster')
    .addHelpText('after', TEXT)
    .action((options: Options, command: Command) => {
      const choice = clusterWanted(options, command, context);
      return choice === undefined
        ? showNode(options, command, context)
        : showCluster(choice, { options, command, context });
    });
}

function clusterWanted(options: Options, command: Command, context: Context): ClusterChoice | undefined {
  const given = clusterOptions(options, command);
  const isNamed = given.kubeconfig !== undefined || given.context !== undefined;
  return isNamed || !isAgentHere(command, context) ? chosenCluster(given, context) : undefined;
}

async function showNode(options: Options, command: Command, context: Context): Promise<void> {
  const agent = agentOf(command, context);
  const ask = async (): Promise<Answer<StatusReport>> => {
    const value = await agent.get('/status', statusAnswer);
    return { value, awaited: awaitedOf(value) };
  };
  const { value: report, awaited } = await askOrWait(ask, POLL_MS, { options, context });
  show(context, globalOptions(command, context).output, {
    data: report,
    text: () => statusText(report, { verbose: options.verbose ?? false, now: Date.now() }),
  });
  if (options.wait && awaited.length > 0) throw late(options, awaited);
  if (!isHealthy(report)) throw new CommandError('something that is on does not work; the lines above name it');
}

interface Invocation {
  readonly options: Options;
  readonly command: Command;
  readonly context: Context;
}

async function showCluster(choice: ClusterChoice, { options, command, context }: Invocation): Promise<void> {
  const access = openCluster(choice, context);
  using client = access.client;
  const source = {
    client,
    exec: (target: Parameters<typeof execInPod>[1], signal: AbortSignal) => execInPod(access, target, signal),
  };
  const ask = async (): Promise<Answer<ClusterStatus>> => {
    const value = await withoutKubeError(() => clusterStatus(source, context.signal));
    return { value, awaited: clusterAwaited(value) };
  };
  const { value: status, awaited } = await askOrWait(ask, CLUSTER_POLL_MS, { options, context });
  show(context, globalOptions(command, context).output, {
    data: status,
    text: () => clusterStatusText(status, { verbose: options.verbose ?? false, now: Date.now() }),
  });
  if (options.wait && awaited.length > 0) throw late(options, awaited);
  if (clusterProblems(status).length > 0)
    throw new CommandError('something that is on does not work; the lines above name it');
}

/** An API server that does not answer yet is one of the things to wait for. */
async function withoutKubeError<Value>(act: () => Promise<Value>): Promise<Value> {
  try {
    return await act();
  } catch (error) {
    // Who cannot log in now will not by waiting.
    if (error instanceof KubeError && error.code !== 'credentials')
      throw new CommandError(error.message, { cause: error });
    throw error;
  }
}

function askOrWait<Value>(
  ask: () => Promise<Answer<Value>>,
  pollMs: number,
  { options, context }: Pick<Invocation, 'options' | 'context'>,
): Promise<Answer<Value>> {
  return options.wait ? waitUntil(ask, { seconds: options.waitDuration, pollMs, context }) : ask();
}

function late({ waitDuration }: Options, awaited: readonly string[]): CommandError {
  return new CommandError(`not ready within ${waitDuration} s: ${awaitedLine(awaited)}`);
}
