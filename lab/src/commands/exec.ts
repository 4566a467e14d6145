import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installationRoot } from '@sluice/runtime';
import { LabError } from '../error.ts';
import { labCgroup } from '../host/cgroup.ts';
import { isRunning } from '../host/process-id.ts';
import { labRun, podPath, programDirectory, runOnTerminal } from '../host/program.ts';
import type { ContainerRecord, Sandbox } from '../kubelet/sandbox.ts';
import type { LabNode } from '../topology.ts';
import { type ExistingLab, existingLab, type LabContext } from './context.ts';

/** Runs a command on a node or in a pod, on this terminal; gives its exit status. */
export async function exec(
  name: string,
  where: string,
  command: readonly string[],
  context: LabContext,
): Promise<number> {
  const lab = existingLab(name);
  const node = lab.topology.nodes.find((candidate) => candidate.name === where);
  return node ? execOnNode(lab, node, command, context) : execInPod(lab, where, command, context);
}

/** With `sluice` and `kubectl` in the PATH, talking to the node's agent, and in the node's cgroup, where the socket hooks act. */
function execOnNode(
  { layout }: ExistingLab,
  node: LabNode,
  command: readonly string[],
  { environment }: LabContext,
): Promise<number> {
  const folders = layout.node(node.name);
  const cgroup = join(labCgroup(layout.name), node.name, 'exec');
  const place = ['--cgroup', cgroup, '--net', folders.netns, '--hostname', node.name];
  const names = existsSync(folders.resolvConf) ? ['--bind', `${folders.resolvConf}:/etc/resolv.conf`] : [];
  return runOnTerminal(labRun, ['exec', ...place, ...names, '--', ...command], {
    ...environment,
    PATH: [join(installationRoot(), 'bin'), programDirectory, podPath, environment.PATH].join(':'),
    SLUICE_SOCKET: folders.agentSocket,
    KUBECONFIG: folders.kubeconfig,
    NODE_NAME: node.name,
  });
}

function execInPod(
  lab: ExistingLab,
  where: string,
  command: readonly string[],
  { environment }: LabContext,
): Promise<number> {
  const { sandbox, pid } = findPod(lab, where);
  return runOnTerminal(labRun, ['exec', '--cgroup', sandbox.cgroup, '--beside', String(pid), '--', ...command], {
    ...environment,
    PATH: `${podPath}:${environment.PATH}`,
  });
}

/** By name, or namespace and name; the beginning of the name is enough where it is the only one. */
function findPod({ layout, topology }: ExistingLab, where: string): { sandbox: Sandbox; pid: number } {
  const [namespace, name] = where.includes('/') ? where.split('/', 2) : [undefined, where];
  const sandboxes = topology.nodes.flatMap((node) => sandboxesIn(layout.node(node.name).pods));
  const inNamespace = sandboxes.filter((sandbox) => namespace === undefined || sandbox.namespace === namespace);
  const exact = inNamespace.filter((sandbox) => sandbox.name === name);
  const found = exact.length > 0 ? exact : inNamespace.filter((sandbox) => sandbox.name.startsWith(name ?? ''));
  const [sandbox, other] = found;
  const pid = sandbox && runningProcess(sandbox);
  if (sandbox && !other && pid !== undefined) return { sandbox, pid };
  const names = found.slice(0, 5).map((pod) => `${pod.namespace}/${pod.name}`);
  if (other) throw new LabError(`${where} may be one of ${found.length} pods: ${names.join(', ')} ...`);
  if (sandbox) throw new LabError(`pod ${sandbox.namespace}/${sandbox.name} has no running process`);
  const nodes = topology.nodes.map((node) => node.name).join(', ');
  throw new LabError(`no node (${nodes}) and no pod is called ${where}`, { hint: 'sluice lab kubectl get pods -A' });
}

function sandboxesIn(pods: string): Sandbox[] {
  let uids: string[];
  try {
    uids = readdirSync(pods);
  } catch {
    return []; // the node has not started yet
  }
  return uids.flatMap((uid) => {
    try {
      return [JSON.parse(readFileSync(join(pods, uid, 'sandbox.json'), 'utf8'))];
    } catch {
      return []; // it came or went meanwhile
    }
  });
}

function runningProcess(sandbox: Sandbox): number | undefined {
  const files = readdirSync(sandbox.directory).filter((file) => /^container-.*\.json$/.test(file));
  const records = files.map((file): ContainerRecord => JSON.parse(readFileSync(join(sandbox.directory, file), 'utf8')));
  return records.find(({ process }) => process && isRunning(process))?.process?.pid;
}

/** kubectl against the lab, as its administrator. */
export async function kubectl(name: string, args: readonly string[], { environment }: LabContext): Promise<number> {
  const { layout } = existingLab(name);
  return runOnTerminal(kubectlProgram(), args, { ...environment, ...kubectlEnvironment(layout.kubeconfig) });
}

/** The one that came with the lab, of the version that it is tested with, or the machine's. */
export function kubectlProgram(): string {
  const own = join(programDirectory, 'kubectl');
  return existsSync(own) ? own : 'kubectl';
}

export function kubectlEnvironment(kubeconfig: string): Record<string, string> {
  // What it finds out about the server belongs to the lab, and goes with it.
  return { KUBECONFIG: kubeconfig, KUBECACHEDIR: join(dirname(kubeconfig), 'kubectl-cache') };
}
