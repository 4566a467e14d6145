import type { StatusReport } from '@sluice/agent';
import { Field, isForbidden, isNotFound, type KubeClient, operatorLease, resources } from '@sluice/kube';
import { statusAnswer } from './agent-answers.ts';
import { CommandError } from './command-error.ts';
import type { ExecTarget } from './connectivity/cluster.ts';
import type { Outcome } from './connectivity/verdict.ts';
import { ShapeError, shaped } from './shape.ts';
import { byName, type SluicePod, sluicePods } from './sluice-pods.ts';
import { awaitedOf, problemsOf } from './status-health.ts';

/** What is asked: the API server, and through it the agents. */
export interface StatusSource {
  readonly client: KubeClient;
  readonly exec: (target: ExecTarget, signal: AbortSignal) => Promise<Outcome>;
}

/** A node, with the status of its agent or why there is none. */
export interface NodeStatus {
  readonly node: string;
  readonly pod: string | undefined;
  /** What does not work there; empty: all is well. */
  readonly problems: readonly string[];
  /** What `--wait` waits for there: problems, and what is not known yet. */
  readonly awaited: readonly string[];
  readonly report: StatusReport | undefined;
}

export interface OperatorStatus {
  readonly pod: string;
  readonly node: string;
  readonly problem: string | undefined;
}

export interface ClusterStatus {
  readonly nodes: readonly NodeStatus[];
  readonly operators: readonly OperatorStatus[];
  /** What the operator that leads cannot do, by its own word. */
  readonly operatorProblem: string | undefined;
}

/** Agents that are asked at the same time: each starts a process in its container. */
const concurrency = 8;

/** The status of every node of the cluster, by its agent's own word. */
export async function clusterStatus({ client, exec }: StatusSource, signal: AbortSignal): Promise<ClusterStatus> {
  const [pods, nodes] = await Promise.all([sluicePods(client, signal), client.list(resources.nodes, { signal })]);
  const names = nodes.items.map((node) => new Field(node).get('metadata').get('name').text() ?? '').sort(byName);
  const agents = pods.filter(({ program }) => program === 'agent');
  const statuses: NodeStatus[] = [];
  for (let begin = 0; begin < names.length; begin += concurrency) {
    const ask = (node: string) =>
      nodeStatus(
        node,
        agents.find((pod) => pod.node === node),
        { exec, signal },
      );
    statuses.push(...(await Promise.all(names.slice(begin, begin + concurrency).map(ask))));
  }
  const operators = pods.filter(({ program }) => program === 'operator');
  return {
    nodes: statuses,
    operators: operators.map(operatorStatus),
    operatorProblem: operators[0] && (await problemOfLeader(client, operators[0].namespace, signal)),
  };
}

/** Everything that does not work, with its node. */
export function clusterProblems(status: ClusterStatus): string[] {
  return [...ofNodes(status.nodes, ({ problems }) => problems), ...ofOperators(status)];
}

export function clusterAwaited(status: ClusterStatus): string[] {
  return [...ofNodes(status.nodes, ({ awaited }) => awaited), ...ofOperators(status)];
}

function ofNodes(nodes: readonly NodeStatus[], of: (node: NodeStatus) => readonly string[]): string[] {
  if (nodes.length === 0) return ['the cluster has no node'];
  return nodes.flatMap((node) => of(node).map((text) => `${node.node}: ${text}`));
}

/** One that works is enough: the others stand by. */
function ofOperators({ operators, operatorProblem }: ClusterStatus): string[] {
  if (operators.length === 0) return ['operator: there is no pod of it'];
  const told = operatorProblem === undefined ? [] : [`operator: ${operatorProblem}`];
  if (operators.some(({ problem }) => problem === undefined)) return told;
  // Its own word may be that of one that has crashed since.
  const pods = operators.map(({ node, problem }) => `operator on ${node === '' ? 'no node yet' : node}: ${problem}`);
  return [...told, ...pods];
}

/** Undefined as well for who may not read Leases. */
async function problemOfLeader(
  client: KubeClient,
  namespace: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { name, problemAnnotation } = operatorLease;
  try {
    const lease = new Field(await client.get(resources.leases, { namespace, name, signal }));
    return lease.get('metadata').get('annotations').get(problemAnnotation).text();
  } catch (error) {
    if (isNotFound(error) || isForbidden(error)) return undefined;
    throw error;
  }
}

function operatorStatus({ name, node, ready, why }: SluicePod): OperatorStatus {
  return { pod: name, node, problem: ready ? undefined : why };
}

interface Asking {
  readonly exec: StatusSource['exec'];
  readonly signal: AbortSignal;
}

async function nodeStatus(node: string, pod: SluicePod | undefined, asking: Asking): Promise<NodeStatus> {
  const report = pod === undefined ? 'no agent runs there' : await askAgent(pod, asking);
  if (typeof report === 'string') {
    return { node, pod: pod?.name, problems: [report], awaited: [report], report: undefined };
  }
  return { node, pod: pod?.name, problems: problemsOf(report), awaited: awaitedOf(report), report };
}

/** Text: why it does not tell. One that is not ready is asked too: it knows best why. */
async function askAgent(pod: SluicePod, { exec, signal }: Asking): Promise<StatusReport | string> {
  if (pod.imageId === undefined) return `the agent has not started: ${pod.why}`;
  const command = ['sluice', 'status', '-o', 'json'];
  try {
    const { stdout, stderr } = await exec({ namespace: pod.namespace, pod: pod.name, command }, signal);
    // It ends with 1 where something does not work, and has told what.
    if (stdout === '') return `the agent does not answer: ${stderr.trim().split('\n')[0] || silence(pod)}`;
    return shaped(JSON.parse(stdout) as unknown, statusAnswer);
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof ShapeError || error instanceof SyntaxError)
      return `the agent answers otherwise than this version knows: ${error.message}; see sluice version`;
    if (error instanceof CommandError) return pod.ready ? error.message : `${pod.why}; ${error.message}`;
    throw error;
  }
}

/** A pod that runs well by its own word, and the command in it says nothing: something between us and it does not let us through. */
function silence({ ready, why, node }: SluicePod): string {
  return ready ? `a command in its pod says nothing; is ${node}:10250 its kubelet?` : why;
}
