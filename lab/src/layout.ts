import { join } from 'node:path';
import { LabError } from './error.ts';

export const labNameDefault = 'homelab';

/** What follows a command that is meant for this lab. */
export function nameOption(name: string): string {
  return name === labNameDefault ? '' : ` --name ${name}`;
}

/** Below it each lab has a folder, which is a mount of its own: unmounting it takes everything away at once. */
export const labsDirectory = '/run/sluice-lab';

/** Where everything of one lab lies. Nothing of a lab is anywhere else, but for its cgroups. */
export interface LabLayout {
  readonly name: string;
  readonly directory: string;
  /** Held by who sets the lab up or takes it down; outside the folder, because that comes and goes. */
  readonly lockFile: string;
  readonly settingsFile: string;
  readonly valuesFile: string;
  /** What its users have broken on purpose. */
  readonly faultsFile: string;
  readonly kubeconfig: string;
  readonly socket: string;
  readonly pidFile: string;
  readonly logs: string;
  readonly bpffs: string;
  readonly apiServer: string;
  /** The zone that the cluster's name server reads. */
  readonly dns: string;
  netns(name: string): string;
  node(name: string): NodeLayout;
}

export interface NodeLayout {
  readonly name: string;
  readonly directory: string;
  readonly netns: string;
  readonly runDirectory: string;
  readonly stateDirectory: string;
  readonly agentSocket: string;
  readonly cniSocket: string;
  readonly bpffs: string;
  readonly kubeconfig: string;
  readonly resolvConf: string;
  readonly pods: string;
}

export function labLayout(name: string): LabLayout {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new LabError(`${JSON.stringify(name)} cannot be a lab's name: 1 to 32 of a-z, 0-9 and "-"`);
  }
  const directory = join(labsDirectory, name);
  const bpffs = join(directory, 'bpffs');
  const netns = (namespace: string) => join(directory, 'netns', namespace);
  return {
    name,
    directory,
    lockFile: join(labsDirectory, `.${name}.lock`),
    settingsFile: join(directory, 'lab.json'),
    valuesFile: join(directory, 'values.yaml'),
    faultsFile: join(directory, 'faults.json'),
    kubeconfig: join(directory, 'kubeconfig'),
    socket: join(directory, 'lab.sock'),
    pidFile: join(directory, 'daemon.pid'),
    logs: join(directory, 'logs'),
    bpffs,
    apiServer: join(directory, 'apiserver'),
    dns: join(directory, 'dns'),
    netns,
    node: (node) => nodeLayout({ name: node, directory: join(directory, 'nodes', node), netns: netns(node), bpffs }),
  };
}

function nodeLayout(node: { name: string; directory: string; netns: string; bpffs: string }): NodeLayout {
  const runDirectory = join(node.directory, 'run');
  return {
    ...node,
    runDirectory,
    stateDirectory: join(node.directory, 'state'),
    agentSocket: join(runDirectory, 'sluice.sock'),
    cniSocket: join(runDirectory, 'cni.sock'),
    bpffs: join(node.bpffs, node.name),
    kubeconfig: join(node.directory, 'kubeconfig'),
    resolvConf: join(node.directory, 'resolv.conf'),
    pods: join(node.directory, 'pods'),
  };
}
