import { Field, type KubeClient, type Resource, resources } from '@sluice/kube';

/** A pod of ours in the cluster, by the labels that the chart gives. */
export interface SluicePod {
  readonly program: 'agent' | 'operator';
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  /** The one that does the work first, then those beside it and those that prepare the pod. */
  readonly containers: readonly string[];
  readonly image: string;
  /** Which one that name meant on the node; undefined: not started yet. */
  readonly imageId: string | undefined;
  readonly ready: boolean;
  /** Why it is not ready, as far as the pod tells. */
  readonly why: string;
}

/** What makes the pods of ours: a DaemonSet or a Deployment. */
export interface SluiceWorkload {
  readonly program: SluicePod['program'];
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** That its pods are to have. */
  readonly image: string;
  /** `sluice-0.1.0`; undefined: no chart has made it. */
  readonly chart: string | undefined;
}

const programs = ['agent', 'operator'] as const;
const nameLabel = 'app.kubernetes.io/name';
const workloadKinds = { agent: resources.daemonSets, operator: resources.deployments } as const satisfies Record<
  SluicePod['program'],
  Resource
>;

/** Of pods, and of what makes them. */
export const ourPodsSelector = `${nameLabel} in (${programs.map((program) => `sluice-${program}`).join(',')})`;

/** By program and node. */
export async function sluicePods(client: KubeClient, signal?: AbortSignal): Promise<SluicePod[]> {
  const { items } = await client.list(resources.pods, { labelSelector: ourPodsSelector, signal });
  const pods = items.flatMap((object) => podOf(new Field(object)) ?? []);
  return pods.sort((one, other) => byName(`${one.program} ${one.node}`, `${other.program} ${other.node}`));
}

export async function sluiceWorkloads(client: KubeClient, signal?: AbortSignal): Promise<SluiceWorkload[]> {
  const lists = programs.map(async (program) => {
    const labelSelector = `${nameLabel}=sluice-${program}`;
    const { items } = await client.list(workloadKinds[program], { labelSelector, signal });
    return items.map((object) => workloadOf(program, new Field(object)));
  });
  return (await Promise.all(lists)).flat();
}

export const byName = (one: string, other: string): number => one.localeCompare(other, 'en', { numeric: true });

/** One that has ended is none: an evicted pod of a Deployment stays as an object. */
function podOf(root: Field): SluicePod | undefined {
  const [metadata, spec, status] = [root.get('metadata'), root.get('spec'), root.get('status')];
  const phase = status.get('phase').text() ?? 'unknown';
  const label = metadata.get('labels').get(nameLabel).text();
  const program = programs.find((each) => label === `sluice-${each}`);
  if (program === undefined || phase === 'Failed' || phase === 'Succeeded') return undefined;
  const container = spec.get('containers').items()[0];
  const state = status.get('containerStatuses').items()[0];
  return {
    program,
    namespace: metadata.get('namespace').text() ?? '',
    name: metadata.get('name').text() ?? '',
    node: spec.get('nodeName').text() ?? '',
    containers: ['containers', 'initContainers'].flatMap((list) => spec.get(list).items().map(nameOf)),
    image: container?.get('image').text() ?? '',
    imageId: state?.get('imageID').text() || undefined,
    ready: state?.get('ready').boolean() ?? false,
    why: whyOf(phase, status, state),
  };
}

const nameOf = (container: Field): string => container.get('name').text() ?? '';

function whyOf(phase: string, status: Field, state: Field | undefined): string {
  // While those that prepare the pod have not, the container only waits for them.
  const preparing = status.get('initContainerStatuses').items().map(waitingFor);
  const reason = preparing.find((each) => each !== undefined && each !== 'PodInitializing') ?? waitingFor(state);
  if (reason !== undefined) return reason;
  const isReady = (condition: Field) => condition.get('type').value === 'Ready';
  const condition = status.get('conditions').items().find(isReady)?.get('message').text();
  return condition === undefined ? `phase ${phase}` : `phase ${phase}, ${condition}`;
}

function waitingFor(container: Field | undefined): string | undefined {
  const waiting = container?.get('state').get('waiting');
  const reason = waiting?.get('reason').text();
  // How it ended tells more than that it is to be started again.
  const message = lastWords(container) ?? waiting?.get('message').text();
  return reason === undefined || message === undefined ? reason : `${reason}: ${message}`;
}

/** What it said as it ended the last time: the chart has the kubelet keep the end of its log. */
function lastWords(container: Field | undefined): string | undefined {
  const ended = container?.get('lastState').get('terminated').get('message').text();
  return ended?.trim().split('\n').at(-1) || undefined;
}

function workloadOf(program: SluicePod['program'], root: Field): SluiceWorkload {
  const metadata = root.get('metadata');
  const [container] = root.get('spec').get('template').get('spec').get('containers').items();
  return {
    program,
    kind: workloadKinds[program].kind,
    namespace: metadata.get('namespace').text() ?? '',
    name: metadata.get('name').text() ?? '',
    image: container?.get('image').text() ?? '',
    chart: metadata.get('labels').get('helm.sh/chart').text(),
  };
}

/** `0.1.0` of `localhost/sluice:0.1.0` or `registry:5000/sluice:v0.1.0@sha256:…`; a digest says none. */
export function versionOfImage(image: string): string {
  const [name = ''] = image.split('@');
  const tag = /:([^:/]+)$/.exec(name)?.[1];
  return tag === undefined ? 'unknown' : tag.replace(/^v(?=\d)/, '');
}
