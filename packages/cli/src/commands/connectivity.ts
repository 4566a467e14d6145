import { writeFileSync } from 'node:fs';
import { systemClock } from '@sluice/runtime';
import { Command } from 'commander';
import {
  addClusterOptions,
  type ClusterChoice,
  type ClusterOptions,
  chosenCluster,
  clusterOptions,
} from '../cluster-access.ts';
import { CommandError } from '../command-error.ts';
import { type Case, OUTSIDE } from '../connectivity/case.ts';
import { allCases, casesOf } from '../connectivity/cases.ts';
import type { Cluster } from '../connectivity/cluster.ts';
import { junitXml } from '../connectivity/junit.ts';
import { kubernetesCluster } from '../connectivity/kubernetes-cluster.ts';
import { runOutside } from '../connectivity/outside.ts';
import { progressLine } from '../connectivity/progress.ts';
import { notRunLines, resultData, resultLines, summary } from '../connectivity/results.ts';
import { type CaseResult, runCases } from '../connectivity/run.ts';
import { chooseNodes, setUp, tearDown } from '../connectivity/setup.ts';
import { NAMESPACE_DEFAULT } from '../connectivity/workload.ts';
import { WORLD_PORT, worldOf } from '../connectivity/world-option.ts';
import { type Context, globalOptions } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { alignTable, counted, show, tell } from '../output.ts';

interface Options extends ClusterOptions {
  readonly namespace: string;
  readonly image: string;
  readonly test?: string;
  readonly list?: boolean;
  readonly world: readonly string[];
  readonly outside?: string;
  readonly concurrency: number;
  readonly junit?: string;
  readonly waitSeconds: number;
  readonly keep?: boolean;
}

const CONCURRENCY = 8;
/** For the namespace's end to be asked for; it goes on without us. */
const TEAR_DOWN_MS = 10_000;

export function connectivityCommand(context: Context): Command {
  const test = addClusterOptions(
    new Command('test').description(
      'Start test pods on two nodes and try every way of talking; exit status 1 when one fails',
    ),
  )
    .option('-n, --namespace <name>', 'namespace of the test pods', NAMESPACE_DEFAULT)
    .option('--image <name>', 'image of the test pods', 'sluice-lab/echo')
    .option('--test <regex>', 'only cases whose name matches')
    .option('--list', 'show the cases, and what each tries, without running any')
    .option(
      '--world <address[:port]>',
      `echo server outside of the cluster, port ${WORLD_PORT} unless given; once for each family; default: SLUICE_WORLD`,
      (value: string, given: readonly string[]) => [...given, value],
      [],
    )
    .option(
      '--outside <command>',
      'how to run a command on a machine outside, such as "ssh root@router"; default: SLUICE_OUTSIDE',
    )
    .option('--concurrency <n>', 'cases that are tried at the same time', wholeNumber(1), CONCURRENCY)
    .option('--junit <file>', 'write the results there as JUnit XML, too')
    .option('--wait-seconds <n>', 'how long pods may take to become ready', wholeNumber(0), 60)
    .option('--keep', 'leave the test pods for the next run, or to look at them')
    .addHelpText('after', EXAMPLES)
    .action((options: Options, command: Command) => run(options, command, context));
  return new Command('connectivity').description('Try out that everything can be reached').addCommand(test);
}

const EXAMPLES = `
Examples:
  sluice connectivity test
  sluice connectivity test --list
  sluice connectivity test --test 'past-hooks/.*/ipv6' --keep
  sluice connectivity test --world 198.51.100.10 --world '[2001:db8:100::10]:8080'
  sluice lab exec k8s-cp1 -- sluice connectivity test    # the lab's world outside is known there
  sluice connectivity test -o json --junit results.xml`;

async function run(options: Options, command: Command, context: Context): Promise<void> {
  const isWanted = filterOf(options.test);
  if (options.list) return list(allCases(options.namespace).filter(isWanted), command, context);
  const { SLUICE_WORLD = '', SLUICE_OUTSIDE = '' } = context.environment;
  const world = worldOf(options.world.length > 0 ? options.world : wordsOf(SLUICE_WORLD));
  const outside = wordsOf(options.outside ?? SLUICE_OUTSIDE);
  // It would be a pity to learn of it after the test.
  if (options.junit !== undefined) writeJunit(options.junit, '', 'a');
  const cluster = await kubernetesCluster(clusterOf(clusterOptions(options, command), context), context);
  const nodes = await chooseNodes(cluster);
  const screen = screenOf(command, context);
  try {
    const surroundings = await setUp(cluster, nodes, {
      ...options,
      world,
      hasOutside: outside.length > 0,
      clock: systemClock,
      signal: context.signal,
      onStep: screen.step,
    });
    await test(casesOf(surroundings).filter(isWanted), { cluster, outside, options, command, context, screen });
  } finally {
    screen.clear();
    if (!options.keep) await tearDownInTime(cluster, options, context);
  }
}

interface Test {
  readonly cluster: Cluster;
  readonly outside: readonly string[];
  readonly options: Options;
  readonly command: Command;
  readonly context: Context;
  readonly screen: Screen;
}

async function test(
  cases: readonly Case[],
  { cluster, outside, options, command, context, screen }: Test,
): Promise<void> {
  if (cases.length === 0) throw noCase(options.test);
  const { signal } = context;
  screen.step(counted(cases.length, 'case'));
  const began = performance.now();
  const at = new Date();
  const results = await runCases(cases, {
    concurrency: options.concurrency,
    clock: systemClock,
    signal,
    execute: (from, words) =>
      from === OUTSIDE
        ? runOutside(outside, words, signal)
        : cluster.exec({ namespace: options.namespace, pod: from, command: words }, signal),
    onProgress: (progress) => screen.progress(progress, cases.length),
    onResult: screen.result,
  });
  const seconds = (performance.now() - began) / 1000;
  screen.clear();
  if (options.junit !== undefined) writeJunit(options.junit, junitXml(results, { seconds, at }));
  show(context, globalOptions(command, context).output, {
    data: results.map(resultData),
    text: () => notRunLines(results) + summary(results, seconds) + keptText(options),
  });
  const failed = results.filter(({ status }) => status === 'failed').length;
  if (failed > 0) throw new CommandError(`${failed} of ${counted(results.length, 'case')} failed`);
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

function keptText({ keep, namespace }: Options): string {
  return keep ? `the pods stay in namespace ${namespace} for the next run; without --keep it deletes them\n` : '';
}

interface Screen {
  step(text: string): void;
  result(result: CaseResult): void;
  progress: ReturnType<typeof progressLine>['show'];
  clear(): void;
}

/** Lines for people on standard output, the line of progress on standard error: neither is in the way of data. */
function screenOf(command: Command, context: Context): Screen {
  const { output } = globalOptions(command, context);
  const isForPeople = output === 'table' || output === 'wide';
  const colour = context.out.isTTY === true && !context.environment.NO_COLOR;
  const line = progressLine(context.err);
  const print = (text: string): void => {
    if (!isForPeople || text === '') return;
    line.clear();
    context.out.write(text);
  };
  return {
    step: (text) => print(`-- ${text}\n`),
    result: (result) => print(resultLines(result, colour)),
    progress: line.show,
    clear: line.clear,
  };
}

function list(cases: readonly Case[], command: Command, context: Context): void {
  const rows = cases.map(({ name, summary: tries }) => ({ name, tries }));
  show(context, globalOptions(command, context).output, {
    data: rows,
    text: () => alignTable({ columns: ['NAME', 'WHAT IT TRIES'], rows: rows.map((row) => [row.name, row.tries]) }),
  });
}

/** Also after Ctrl-C, when the signal is long aborted: once more ends the program at once. */
async function tearDownInTime(cluster: Cluster, options: Options, context: Context): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), TEAR_DOWN_MS);
  });
  const next = `kubectl delete namespace ${options.namespace}`;
  try {
    const done = await Promise.race([tearDown(cluster, options), late]);
    if (done === 'late') tell(context, `the test pods are still there: ${next}`);
    else if (context.signal.aborted) tell(context, 'interrupted; the test pods are being deleted');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    tell(context, `the test pods could not be deleted: ${why}; ${next}`);
  } finally {
    clearTimeout(timer);
  }
}

function clusterOf(options: ClusterOptions, context: Context): ClusterChoice {
  const choice = chosenCluster(options, context);
  if (choice !== undefined) return choice;
  const next = 'give --kubeconfig FILE or set KUBECONFIG; that of a lab is /run/sluice-lab/homelab/kubeconfig';
  throw new CommandError(`no cluster: ${next}`, { exitCode: 2 });
}

function filterOf(test: string | undefined): (entry: Case) => boolean {
  if (test === undefined) return () => true;
  try {
    const wanted = new RegExp(test);
    return ({ name }) => wanted.test(name);
  } catch (error) {
    throw new CommandError(`--test ${test}: ${error instanceof Error ? error.message : String(error)}`, {
      exitCode: 2,
    });
  }
}

function noCase(test: string | undefined): CommandError {
  const next = 'sluice connectivity test --list shows the names';
  return new CommandError(`no case matches ${test ?? ''}; ${next}`, { exitCode: 2 });
}

function writeJunit(path: string, xml: string, flag: 'w' | 'a' = 'w'): void {
  try {
    writeFileSync(path, xml, { flag });
  } catch (error) {
    throw new CommandError(`--junit ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      exitCode: 2,
      cause: error,
    });
  }
}
