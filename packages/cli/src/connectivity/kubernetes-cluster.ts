import {
  isAlreadyExists,
  isNotFound,
  type KubeClient,
  KubeError,
  type ObjectName,
  parseEndpointSlice,
  parseNode,
  parseService,
  type Resource,
  resources,
} from '@sluice/kube';
import { type Address, familyOf, tryParseAddress } from '@sluice/net';
import { sleep, systemClock } from '@sluice/runtime';
import { type ClusterChoice, openCluster } from '../cluster-access.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import type { Addresses, NodeFacts } from './case.ts';
import type { Cluster, PodState, ServiceFacts } from './cluster.ts';
import { execInPod } from './exec.ts';
import { type KubernetesObject, OWNER, OWNER_LABEL, PLAN_ANNOTATION } from './workload.ts';

const POLL_MS = 100;

/** A cluster behind its API server, as a kubeconfig names it. */
export async function kubernetesCluster(choice: ClusterChoice, context: Context): Promise<Cluster> {
  const access = openCluster(choice, context);
  const { configuration, client } = access;
  return {
    server: configuration.servers[0] ?? '',
    readyNodes: () => readyNodes(client),
    namespaceState: (name) => namespaceState(client, name),
    ensure: (object, signal) => ensure(client, object, signal),
    remove: (object) => remove(client, object),
    podState: async (namespace, name) => podState(await client.get(resources.pods, { namespace, name })),
    service: async (namespace, name) => serviceFacts(await client.get(resources.services, { namespace, name })),
    readyEndpoints: (namespace, service) => readyEndpoints(client, namespace, service),
    exec: (target, signal) => execInPod(access, target, signal),
  };
}

function serviceFacts(object: unknown): ServiceFacts {
  const { clusterIps, ports } = parseService(object);
  const nodePorts = ports.flatMap(({ protocol, nodePort }) => (nodePort ? [[protocol.toLowerCase(), nodePort]] : []));
  return { addresses: byFamily(clusterIps), nodePorts: Object.fromEntries(nodePorts) };
}

interface Conditioned {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly conditions?: readonly { readonly type?: string; readonly status?: string; readonly message?: string }[];
  };
}

const conditionOf = (object: Conditioned, type: string) =>
  object.status?.conditions?.find((condition) => condition.type === type);

async function readyNodes(client: KubeClient): Promise<NodeFacts[]> {
  const { items } = await client.list(resources.nodes);
  return items
    .map(parseNode)
    .filter((node) => node.ready)
    .map(({ name, addresses }) => ({ name, addresses: addresses.map(({ address }) => address) }))
    .sort((left, right) => left.name.localeCompare(right.name, 'en', { numeric: true }));
}

async function namespaceState(client: KubeClient, name: string): ReturnType<Cluster['namespaceState']> {
  const namespace = await find(client, resources.namespaces, { name });
  if (namespace === undefined) return 'absent';
  if (namespace.metadata?.deletionTimestamp !== undefined) return 'ending';
  return isOurs(namespace) ? 'ours' : 'foreign';
}

const isOurs = ({ metadata }: Conditioned): boolean => metadata?.labels?.[OWNER_LABEL] === OWNER;

async function find(client: KubeClient, resource: Resource, name: ObjectName): Promise<Conditioned | undefined> {
  try {
    return (await client.get(resource, name)) as Conditioned;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

const resourceOfKind: Readonly<Record<string, Resource>> = {
  Namespace: resources.namespaces,
  Pod: resources.pods,
  Service: resources.services,
};

function placeOf({ kind, metadata: { name, namespace } }: KubernetesObject): { resource: Resource; name: ObjectName } {
  const resource = resourceOfKind[kind];
  if (resource === undefined) throw new TypeError(`no resource for kind ${kind}`);
  return { resource, name: { name, ...(namespace !== undefined && { namespace }) } };
}

async function ensure(client: KubeClient, object: KubernetesObject, signal: AbortSignal) {
  const { resource, name } = placeOf(object);
  const known = await find(client, resource, name);
  // Of a namespace that somebody else has made, only what is in it is ours.
  if (known !== undefined && object.kind === 'Namespace') return 'there';
  if (known?.metadata?.annotations?.[PLAN_ANNOTATION] === object.metadata.annotations[PLAN_ANNOTATION]) return 'there';
  if (known !== undefined) await replaceable(client, { resource, name, known }, signal);
  return create(client, resource, object);
}

interface Known {
  readonly resource: Resource;
  readonly name: ObjectName;
  readonly known: Conditioned;
}

/** Takes away what an earlier version of the test has left; what is not ours stays, and the test does not go on. */
async function replaceable(client: KubeClient, { resource, name, known }: Known, signal: AbortSignal): Promise<void> {
  if (!isOurs(known)) {
    const place = `${resource.kind} ${name.namespace ?? ''}/${name.name}`;
    throw new CommandError(`${place} is there and not of this test: give another --namespace, or delete it`);
  }
  await client.delete(resource, name);
  while ((await find(client, resource, name)) !== undefined) await sleep(systemClock, POLL_MS, signal);
}

async function create(client: KubeClient, resource: Resource, object: KubernetesObject): Promise<'there' | 'refused'> {
  const { namespace } = object.metadata;
  try {
    await client.create(resource, object, namespace === undefined ? {} : { namespace });
  } catch (error) {
    if (object.kind === 'Service' && error instanceof KubeError && error.status === 422) return 'refused';
    if (!isAlreadyExists(error)) throw error;
  }
  return 'there';
}

async function remove(client: KubeClient, object: KubernetesObject): Promise<void> {
  const { resource, name } = placeOf(object);
  const known = await find(client, resource, name);
  if (known === undefined || !isOurs(known)) return;
  try {
    await client.delete(resource, name);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function podState(object: unknown): PodState {
  const pod = object as Conditioned;
  const ready = conditionOf(pod, 'Ready');
  const addresses = byFamily([pod.status?.podIP, ...(pod.status?.podIPs ?? []).map(({ ip }) => ip)]);
  return {
    ready: ready?.status === 'True',
    addresses,
    why: `phase ${pod.status?.phase ?? 'unknown'}${ready?.message === undefined ? '' : `, ${ready.message}`}`,
  };
}

function byFamily(texts: readonly (string | undefined)[]): Addresses {
  const addresses: Partial<Record<4 | 6, Address>> = {};
  for (const text of texts) {
    const address = text === undefined ? undefined : tryParseAddress(text);
    if (address !== undefined) addresses[familyOf(address)] ??= address;
  }
  return addresses;
}

async function readyEndpoints(client: KubeClient, namespace: string, service: string): Promise<number> {
  const labelSelector = `kubernetes.io/service-name=${service}`;
  const { items } = await client.list(resources.endpointSlices, { namespace, labelSelector });
  const ready = items.flatMap((item) => parseEndpointSlice(item).endpoints).filter((endpoint) => endpoint.ready);
  // A pod with addresses of both families is in two slices.
  return new Set(ready.map(({ pod, addresses }) => pod?.name ?? addresses[0])).size;
}
