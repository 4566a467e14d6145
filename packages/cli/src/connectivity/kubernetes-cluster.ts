import {
  createKubeClient,
  isAlreadyExists,
  isNotFound,
  type KubeClient,
  type KubeConfiguration,
  parseEndpointSlice,
  parseService,
  type Resource,
  readKubeconfig,
  resources,
} from '@sluice/kube';
import { type Address, familyOf, tryParseAddress } from '@sluice/net';
import { CommandError } from '../command-error.ts';
import type { Addresses } from './cases.ts';
import type { Cluster, PodState } from './cluster.ts';
import { execInPod } from './exec.ts';
import type { KubernetesObject } from './workload.ts';

/** A cluster behind its API server, as a kubeconfig names it. */
export async function kubernetesCluster(kubeconfig: string): Promise<Cluster> {
  const { configuration, client } = open(kubeconfig);
  return {
    server: configuration.servers[0] ?? '',
    readyNodes: () => readyNodes(client),
    ensure: (object) => ensure(client, object),
    podState: async (namespace, name) => podState(await client.get(resources.pods, { namespace, name })),
    serviceAddresses: async (namespace, name) =>
      byFamily(parseService(await client.get(resources.services, { namespace, name })).clusterIps),
    readyEndpoints: (namespace, service) => readyEndpoints(client, namespace, service),
    exec: (namespace, pod, command) => execInPod(configuration, { namespace, pod, command }),
    deleteNamespace: async (name) => void (await client.delete(resources.namespaces, { name })),
  };
}

function open(path: string): { readonly configuration: KubeConfiguration; readonly client: KubeClient } {
  try {
    const configuration = readKubeconfig(path);
    return { configuration, client: createKubeClient(configuration) };
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error), { exitCode: 2, cause: error });
  }
}

interface Conditioned {
  readonly metadata?: { readonly name?: string };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly conditions?: readonly { readonly type?: string; readonly status?: string; readonly message?: string }[];
  };
}

async function readyNodes(client: KubeClient): Promise<string[]> {
  const { items } = await client.list(resources.nodes);
  return (items as readonly Conditioned[])
    .filter((node) => conditionOf(node, 'Ready')?.status === 'True')
    .map((node) => node.metadata?.name ?? '')
    .sort();
}

const conditionOf = (object: Conditioned, type: string) =>
  object.status?.conditions?.find((condition) => condition.type === type);

const resourceOfKind: Readonly<Record<string, Resource>> = {
  Namespace: resources.namespaces,
  Pod: resources.pods,
  Service: resources.services,
};

async function ensure(client: KubeClient, object: KubernetesObject): Promise<void> {
  const resource = resourceOfKind[object.kind];
  if (resource === undefined) throw new TypeError(`no resource for kind ${object.kind}`);
  const { name, namespace } = object.metadata;
  try {
    await client.get(resource, { name, ...(namespace !== undefined && { namespace }) });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await create(client, resource, object);
  }
}

async function create(client: KubeClient, resource: Resource, object: KubernetesObject): Promise<void> {
  const { namespace } = object.metadata;
  try {
    await client.create(resource, object, namespace === undefined ? {} : { namespace });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
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
  return items.flatMap((item) => parseEndpointSlice(item).endpoints).filter((endpoint) => endpoint.ready).length;
}
