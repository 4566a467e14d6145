import { dirname } from 'node:path';
import type { Pod } from '../apiserver/index.ts';
import { LabError } from '../error.ts';
import { labRun, runProgram, sluiceCni } from '../host/program.ts';
import type { NodeLayout } from '../layout.ts';

/** What the plugin is asked about: one pod's namespace. */
export interface CniPod {
  readonly containerId: string;
  readonly netns: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly portMappings: readonly PortMapping[];
}

/** The capability `portMappings`, spelled as containerd spells it: plugins read it whatever its capitals are. */
export interface PortMapping {
  readonly HostPort: number;
  readonly ContainerPort: number;
  readonly Protocol: string;
  readonly HostIP: string;
}

/** Runs the CNI executable as a container runtime does: facts by environment, configuration on standard input (CNI 1.1.0). */
export interface Cni {
  /** Gives the pod's addresses, IPv4 first. */
  add(pod: CniPod): Promise<string[]>;
  delete(pod: CniPod): Promise<void>;
  /** Fails, with the reason, while the plugin cannot take pods. */
  status(): Promise<void>;
  /** Lets it forget what belongs to none of these pods. */
  collectGarbage(containerIds: readonly string[]): Promise<void>;
}

const interfaceName = 'eth0';
const version = '1.1.0';

/** `cgroup` is the kubelet's: what runs in it ends with the node. */
export function nodeCni(node: NodeLayout, cgroup: string): Cni {
  const configuration = { cniVersion: version, name: 'sluice', type: 'sluice-cni', agentSocket: node.cniSocket };
  const call = (command: string, environment: Record<string, string>, extra: object = {}) =>
    callPlugin({ netns: node.netns, cgroup }, { CNI_COMMAND: command, ...environment }, { ...configuration, ...extra });
  return {
    add: async (pod) => addressesOf(await call('ADD', podEnvironment(pod), runtimeConfig(pod))),
    delete: async (pod) => {
      await call('DEL', podEnvironment(pod), runtimeConfig(pod));
    },
    status: async () => {
      await call('STATUS', {});
    },
    collectGarbage: async (containerIds) => {
      const attachments = containerIds.map((containerID) => ({ containerID, ifname: interfaceName }));
      await call('GC', {}, { 'cni.dev/valid-attachments': attachments });
    },
  };
}

function podEnvironment({ containerId, netns, namespace, name, uid }: CniPod): Record<string, string> {
  const labels = {
    K8S_POD_NAMESPACE: namespace,
    K8S_POD_NAME: name,
    K8S_POD_UID: uid,
    K8S_POD_INFRA_CONTAINER_ID: containerId,
  };
  const words = Object.entries({ IgnoreUnknown: '1', ...labels }).map(([key, value]) => `${key}=${value}`);
  return { CNI_CONTAINERID: containerId, CNI_NETNS: netns, CNI_IFNAME: interfaceName, CNI_ARGS: words.join(';') };
}

/** The host ports of a pod's containers, as the kubelet gives them to the container runtime and that to the plugin. */
export function portMappings({ spec }: Pod): PortMapping[] {
  // On the host's network a port is the host's anyway.
  if (spec.hostNetwork) return [];
  return spec.containers.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, protocol = 'TCP', hostIP = '' }) =>
      hostPort
        ? [{ HostPort: hostPort, ContainerPort: containerPort, Protocol: protocol.toLowerCase(), HostIP: hostIP }]
        : [],
    ),
  );
}

function runtimeConfig({ portMappings: mappings }: CniPod): object {
  return mappings.length > 0 ? { runtimeConfig: { portMappings: mappings } } : {};
}

/** In the node's network namespace, where the runtime of a real node lives: that is where the pod's other end comes to be. */
async function callPlugin(
  { netns, cgroup }: { netns: string; cgroup: string },
  environment: Record<string, string>,
  configuration: object,
): Promise<unknown> {
  const where = ['--cgroup', cgroup, '--net', netns];
  const { status, stdout, stderr } = await runProgram(labRun, ['exec', ...where, '--', sluiceCni], {
    environment: { CNI_PATH: dirname(sluiceCni), ...environment },
    input: JSON.stringify(configuration),
  });
  const answer = parseAnswer(stdout);
  if (status === 0) return answer;
  const why = errorText(answer) ?? (stderr.trim() || `exit status ${status}`);
  throw new LabError(`sluice-cni ${environment.CNI_COMMAND}: ${why}`);
}

function parseAnswer(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new LabError(`sluice-cni answered with something that is not JSON: ${text.slice(0, 200)}`);
  }
}

function errorText(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null || !('msg' in answer)) return undefined;
  const details = 'details' in answer && answer.details ? `: ${answer.details}` : '';
  return `${answer.msg}${details}`;
}

function addressesOf(result: unknown): string[] {
  const ips = typeof result === 'object' && result !== null && 'ips' in result ? result.ips : undefined;
  if (!Array.isArray(ips) || ips.length === 0) throw new LabError('sluice-cni ADD gave no addresses');
  const addresses = ips.map(({ address }: { address: string }) => address.split('/')[0] ?? address);
  return addresses.toSorted((a, b) => Number(a.includes(':')) - Number(b.includes(':')));
}
