import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installationRoot } from '@sluice/runtime';
import { LabError } from '../error.ts';
import { readFaults } from '../faults.ts';
import { labCgroup } from '../host/cgroup.ts';
import { labRun, podPath, programDirectory, runOnTerminal } from '../host/program.ts';
import { nameOption } from '../layout.ts';
import { offText } from '../readiness.ts';
import type { LabHost, LabNode } from '../topology.ts';
import { connectivityEnvironment } from './connectivity.ts';
import { type ExistingLab, existingLab, type LabContext } from './context.ts';
import { findPod } from './find-pod.ts';

/** Runs a command on a node, at one of the hosts around, or in a pod, on this terminal; gives its exit status. */
export async function exec(
  name: string,
  where: string,
  command: readonly string[],
  context: LabContext,
): Promise<number> {
  const lab = existingLab(name);
  const { nodes, surroundings } = lab.topology;
  const node = nodes.find((candidate) => candidate.name === where);
  if (node) return execOnNode(lab, node, command, context);
  const host = surroundings.find((candidate) => candidate.name === where);
  return host ? execAtHost(lab, host, command, context) : execInPod(lab, where, command, context);
}

/** With `sluice` and `kubectl` in the PATH, talking to the node's agent, and in the node's cgroup, where the socket hooks act. */
function execOnNode(
  { layout, topology }: ExistingLab,
  node: LabNode,
  command: readonly string[],
  { environment }: LabContext,
): Promise<number> {
  const folders = layout.node(node.name);
  const off = readFaults(layout).off[node.name];
  if (off)
    throw new LabError(`${node.name} is ${offText(off)}`, {
      hint: `switch it on: sluice lab node start ${node.name}${nameOption(layout.name)}`,
    });
  const cgroup = join(labCgroup(layout.name), node.name, 'exec');
  const place = ['--cgroup', cgroup, '--net', folders.netns, '--hostname', node.name];
  const names = existsSync(folders.resolvConf) ? ['--bind', `${folders.resolvConf}:/etc/resolv.conf`] : [];
  return runOnTerminal(labRun, ['exec', ...place, ...names, '--', ...command], {
    ...environment,
    PATH: [join(installationRoot(), 'bin'), programDirectory, podPath, environment.PATH].join(':'),
    SLUICE_SOCKET: folders.agentSocket,
    KUBECONFIG: folders.kubeconfig,
    NODE_NAME: node.name,
    ...connectivityEnvironment(layout.name, topology),
  });
}

/** Outside, at the router or in the LAN: nothing of the cluster is there, but the lab's programs are. */
function execAtHost(
  { layout }: ExistingLab,
  { name }: LabHost,
  command: readonly string[],
  { environment }: LabContext,
): Promise<number> {
  const cgroup = join(labCgroup(layout.name), name, 'exec');
  const place = ['--cgroup', cgroup, '--net', layout.netns(name), '--hostname', name];
  return runOnTerminal(labRun, ['exec', ...place, '--', ...command], {
    ...environment,
    PATH: `${podPath}:${environment.PATH}`,
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
