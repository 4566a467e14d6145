import type { Container, Pod } from '../apiserver/index.ts';
import { labPod, podPath } from '../host/program.ts';

/** What the lab can run: each image is a sub-command of lab-pod. */
const images: Readonly<Record<string, { readonly command: readonly string[]; readonly arguments: readonly string[] }>> =
  {
    echo: { command: [labPod, 'echo'], arguments: [] },
    // Without arguments it waits for somebody to `exec` in it.
    client: { command: [labPod, 'client'], arguments: [] },
    dns: { command: [labPod, 'dns'], arguments: ['--zone', 'cluster.local.zone'] },
    pause: { command: [labPod, 'pause'], arguments: [] },
  };

export interface ContainerCommand {
  readonly file: string;
  readonly args: readonly string[];
}

/** The command line of a container as Kubernetes composes it, or why there is none. */
export function containerCommand(
  container: Container,
  environment: Readonly<Record<string, string>>,
): ContainerCommand | { readonly problem: string } {
  const [, name] = /^sluice-lab\/([a-z]+)(?::[\w.-]+)?$/.exec(container.image) ?? [];
  const image = name === undefined ? undefined : images[name];
  if (!image) {
    const known = Object.keys(images).map((known) => `sluice-lab/${known}`);
    return { problem: `${container.image} is not one of the lab's images: ${known.join(', ')}` };
  }
  const expand = (text: string) => expandVariables(text, environment);
  const command = container.command ?? image.command;
  const args = container.args ?? (container.command ? [] : image.arguments);
  const waits = name === 'client' && !container.command && args.length === 0;
  const [file = labPod, ...rest] = waits ? [labPod, 'pause'] : [...command, ...args].map(expand);
  return { file, args: rest };
}

/** `$(NAME)` is the variable where there is one, `$$(NAME)` the text `$(NAME)`. */
function expandVariables(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/\$(\$?)\(([^)]+)\)/g, (whole, escaped: string, name: string) =>
    escaped ? `$(${name})` : (environment[name] ?? whole),
  );
}

export interface PodFacts {
  readonly nodeName: string;
  readonly hostAddresses: readonly string[];
  readonly podAddresses: readonly string[];
}

/** The container's own variables; NODE_NAME is always there, because the lab's servers report it. */
export function containerEnvironment(pod: Pod, container: Container, facts: PodFacts): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: podPath,
    HOSTNAME: pod.spec.hostNetwork ? facts.nodeName : (pod.spec.hostname ?? pod.metadata.name),
    NODE_NAME: facts.nodeName,
  };
  for (const { name, value, valueFrom } of container.env ?? []) {
    const path = valueFrom?.fieldRef?.fieldPath;
    environment[name] = path ? (fieldOf(pod, path, facts) ?? '') : expandVariables(value ?? '', environment);
  }
  return environment;
}

function fieldOf(pod: Pod, path: string, facts: PodFacts): string | undefined {
  const [, map, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? [];
  if (map === 'labels' && key) return pod.metadata.labels?.[key];
  if (map === 'annotations' && key) return pod.metadata.annotations?.[key];
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace;
    case 'metadata.uid':
      return pod.metadata.uid;
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? 'default';
    case 'status.hostIP':
      return facts.hostAddresses[0];
    case 'status.hostIPs':
      return facts.hostAddresses.join(',');
    case 'status.podIP':
      return facts.podAddresses[0];
    case 'status.podIPs':
      return facts.podAddresses.join(',');
    default:
      return undefined;
  }
}
