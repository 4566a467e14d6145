/** Sluice on the cluster, as a person installs it: the image on each node, then the chart. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupRoot, eventually, kubectl, kubectlJson, nodeNames, on, onRun, root, sluice } from './cluster.ts';

export const chart = join(root, 'charts/sluice');
export const values = join(root, 'examples/homelab/values.yaml');
export const namespace = 'kube-system';

/** Gives each node the image as it was last built, of this repository or another; whether any had another one. */
export async function loadImage(repository = root): Promise<boolean> {
  const archive = join(repository, 'dist/sluice-image.tar');
  const digests = () =>
    Promise.all(nodeNames.map((node) => on(node, 'ctr', '-n', 'k8s.io', 'images', 'ls', `name~=sluice`)));
  const before = await digests();
  for (const node of nodeNames) await on(node, 'ctr', '-n', 'k8s.io', 'images', 'import', archive);
  return String(await digests()) !== String(before);
}

/** Agents and operators of the new image under the same name. */
export async function replacePods(): Promise<void> {
  await kubectl('--namespace', namespace, 'rollout', 'restart', 'daemonset/sluice', 'deployment/sluice-operator');
}

/** By helm, with the homelab's values as they are. */
export async function install(...more: readonly string[]): Promise<void> {
  await helm(
    'upgrade',
    '--install',
    'sluice',
    chart,
    '--values',
    values,
    '--set',
    `cgroup.hostRoot=${cgroupRoot}`,
    ...more,
  );
}

export async function uninstall(): Promise<void> {
  await helm('uninstall', 'sluice', '--cascade', 'foreground', '--wait');
}

export function helm(...args: readonly string[]): Promise<string> {
  return on('cp', helmProgram(), '--namespace', namespace, ...args);
}

/** What helm says to a thing that it must not do. */
export async function helmRefuses(...args: readonly string[]): Promise<string> {
  const { status, stderr } = await onRun('cp', helmProgram(), ...args);
  if (status === 0) throw new Error(`helm ${args.join(' ')} went well`);
  return stderr;
}

function helmProgram(): string {
  const path = join(root, 'dist/bin/helm');
  if (existsSync(path)) return path;
  throw new Error(`${path} is missing: npm run build`);
}

interface Conditioned {
  readonly metadata: { readonly name: string };
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
}

/** Until nodes, DaemonSet, Deployment and CoreDNS are as a person would call them: all there, all well. */
export async function untilReady(seconds = 120): Promise<void> {
  await eventually(seconds, async () => {
    const { items } = await kubectlJson<{ items: Conditioned[] }>('get', 'nodes');
    const unready = items.filter(
      ({ status }) => !status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
    );
    if (items.length === 0 || unready.length > 0)
      throw new Error(`not Ready: ${unready.map(({ metadata }) => metadata.name).join(', ') || 'no node is there'}`);
  });
  const timeout = `--timeout=${seconds}s`;
  await kubectl('--namespace', namespace, 'rollout', 'status', 'daemonset/sluice', timeout);
  await kubectl('--namespace', namespace, 'rollout', 'status', 'deployment/sluice-operator', timeout);
  await kubectl('--namespace', namespace, 'rollout', 'status', 'deployment/coredns', timeout);
  for (const node of nodeNames) await eventually(30, () => sluice(node, 'status'));
}
