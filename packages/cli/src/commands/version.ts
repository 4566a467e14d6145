import { Field, resources } from '@sluice/kube';
import { Command } from 'commander';
import { versionAnswer } from '../agent-answers.ts';
import {
  addClusterOptions,
  type ClusterChoice,
  type ClusterOptions,
  chosenCluster,
  clusterOptions,
  openCluster,
} from '../cluster-access.ts';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, globalOptions, isAgentHere } from '../context.ts';
import { alignTable, show } from '../output.ts';
import { byName, sluicePods, sluiceWorkloads, versionOfImage } from '../sluice-pods.ts';
import { VERSION } from '../version.ts';
import { type ClusterVersions, outOfStep, type VersionReport } from '../versions.ts';

const TEXT = `
With a kubeconfig also those of all agents and operators in the cluster, by the images of their pods, and of the chart. What
does not fit together is said below the table: an older version, a roll that does not go on, a tag that is two images, a
node without an agent.

Examples:
  sluice version -o json
  sluice version --kubeconfig ~/.kube/config`;

export function versionCommand(context: Context): Command {
  const command = new Command('version').description(
    'Show the versions of this command, of the agents and of the operator, and what is out of step',
  );
  return addClusterOptions(command)
    .addHelpText('after', TEXT)
    .action(async (options: ClusterOptions, command: Command) => {
      const choice = chosenCluster(clusterOptions(options, command), context, { home: !isAgentHere(command, context) });
      const agent = await agentVersion(command, context);
      const cluster = choice && (await clusterVersions(choice, context));
      const report = { client: VERSION, agent: agent.version, cluster };
      const problems = outOfStep(report);
      show(context, globalOptions(command, context).output, {
        data: { ...report, ...(agent.why !== undefined && { agentWhy: agent.why }), outOfStep: problems },
        text: () => versionText(report, agent.why) + problems.map((line) => `out of step: ${line}\n`).join(''),
      });
    });
}

async function agentVersion(command: Command, context: Context): Promise<{ version?: string; why?: string }> {
  try {
    return await agentOf(command, context).get('/version', versionAnswer);
  } catch (error) {
    if (error instanceof CommandError) return { why: error.message };
    throw error;
  }
}

async function clusterVersions(choice: ClusterChoice, context: Context): Promise<ClusterVersions> {
  using client = openCluster(choice, context).client;
  const { signal } = context;
  const [workloads, pods, nodes] = await Promise.all([
    sluiceWorkloads(client, signal),
    sluicePods(client, signal),
    client.list(resources.nodes, { signal }),
  ]);
  const names = nodes.items.map((node) => new Field(node).get('metadata').get('name').text() ?? '');
  return { nodes: names.sort(byName), workloads, pods };
}

function versionText({ client, agent, cluster }: VersionReport, agentWhy: string | undefined): string {
  const here: string[][] = [
    ['client', '', client, ''],
    // With a cluster nobody asks for an agent here.
    ...(cluster !== undefined && agent === undefined ? [] : [['agent', 'here', agent ?? `none (${agentWhy})`, '']]),
  ];
  if (cluster === undefined) {
    return alignTable({
      columns: ['PROGRAM', 'VERSION'],
      rows: here.map(([program = '', , version = '']) => [program, version]),
    });
  }
  const charts = new Set(cluster.workloads.flatMap(({ chart }) => chart ?? []));
  return alignTable({
    columns: ['PROGRAM', 'NODE', 'VERSION', 'IMAGE'],
    rows: [
      ...here,
      ...[...charts].map((chart) => ['chart', '', chart.replace(/^.*-(?=\d)/, ''), '']),
      ...cluster.pods.map(({ program, node, image, ready, why }) => [
        program,
        node,
        versionOfImage(image),
        ready ? image : `${image}   not ready: ${why}`,
      ]),
    ],
  });
}
