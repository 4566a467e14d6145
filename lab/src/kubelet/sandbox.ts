import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@sluice/runtime';
import type { Pod } from '../apiserver/index.ts';
import { killCgroup, removeCgroup } from '../host/cgroup.ts';
import { unmount } from '../host/mounts.ts';
import type { ProcessId } from '../host/process-id.ts';
import { callProgram, labRun } from '../host/program.ts';
import { type Cni, type CniPod, type PortMapping, portMappings } from './cni.ts';

/** What a pod has before its containers: a folder, a cgroup, a network namespace with addresses. */
export interface Sandbox {
  readonly id: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly netns: string;
  readonly cgroup: string;
  readonly directory: string;
  readonly isHostNetwork: boolean;
  /** The node's network namespace, in which the pod's other end is. */
  readonly nodeNetnsInode: number;
  readonly addresses: readonly string[];
  /** Absent in those of an earlier build. */
  readonly portMappings?: readonly PortMapping[];
}

export interface SandboxPlace {
  /** The node's folder of pods. */
  readonly pods: string;
  readonly podsCgroup: string;
  readonly nodeNetns: string;
  readonly nodeAddresses: readonly string[];
  /** Where network namespaces of pods are bound. */
  readonly netns: (name: string) => string;
  readonly cni: Cni;
}

/** The state of containers survives the daemon, so that the next one finds their processes. */
export interface ContainerRecord {
  readonly process: ProcessId | undefined;
  readonly restartCount: number;
  readonly startedAt: string;
}

/**
 * What an earlier daemon made for the pod, if it is still whole. A node whose network namespace was made anew has booted, so to
 * speak: what its pods had is worth nothing.
 */
export function wholeSandbox(place: SandboxPlace, uid: string): Sandbox | undefined {
  const known = readSandbox(place, uid);
  const isWhole = known && known.addresses.length > 0 && known.nodeNetnsInode === statSync(place.nodeNetns).ino;
  return isWhole ? known : undefined;
}

/** Makes the sandbox anew; what is left of another attempt goes first, as runtimes do. */
export async function makeSandbox(place: SandboxPlace, pod: Pod): Promise<Sandbox> {
  const { uid, name, namespace = 'default' } = pod.metadata;
  if (existsSync(join(place.pods, uid))) await removeSandbox(place, uid);
  const directory = join(place.pods, uid);
  mkdirSync(join(directory, 'logs'), { recursive: true });
  const isHostNetwork = pod.spec.hostNetwork === true;
  const id = randomBytes(16).toString('hex');
  const sandbox: Sandbox = {
    ...{ id, uid, namespace, name, directory, isHostNetwork },
    netns: isHostNetwork ? place.nodeNetns : place.netns(`pod-${id}`),
    cgroup: join(place.podsCgroup, uid),
    nodeNetnsInode: statSync(place.nodeNetns).ino,
    addresses: isHostNetwork ? place.nodeAddresses : [],
    portMappings: portMappings(pod),
  };
  // Written first: whoever finds the folder after a crash knows what to take away.
  saveSandbox(sandbox);
  if (isHostNetwork) return sandbox;
  await callProgram(labRun, ['netns', sandbox.netns]);
  const complete = { ...sandbox, addresses: await place.cni.add(cniPod(sandbox)) };
  saveSandbox(complete);
  return complete;
}

export function readSandbox(place: Pick<SandboxPlace, 'pods'>, uid: string): Sandbox | undefined {
  try {
    return JSON.parse(readFileSync(join(place.pods, uid, 'sandbox.json'), 'utf8'));
  } catch {
    return undefined; // not that far yet
  }
}

/** Ends every process of the pod and takes its network, cgroup and folder away. What is already gone is fine. */
export async function removeSandbox(place: SandboxPlace, uid: string): Promise<void> {
  const cgroup = join(place.podsCgroup, uid);
  await killCgroup(cgroup);
  await removeCgroup(cgroup);
  const sandbox = readSandbox(place, uid);
  if (sandbox && !sandbox.isHostNetwork) {
    await place.cni.delete(cniPod(sandbox));
    if (existsSync(sandbox.netns)) {
      await unmount([sandbox.netns]);
      rmSync(sandbox.netns, { force: true });
    }
  }
  rmSync(join(place.pods, uid), { recursive: true, force: true });
}

function saveSandbox(sandbox: Sandbox): void {
  writeFileAtomic(join(sandbox.directory, 'sandbox.json'), `${JSON.stringify(sandbox)}\n`);
}

function cniPod({ id, netns, namespace, name, uid, portMappings: mappings = [] }: Sandbox): CniPod {
  return { containerId: id, netns, namespace, name, uid, portMappings: mappings };
}
