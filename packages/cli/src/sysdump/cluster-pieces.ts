import { Field, type KubeClient, type Resource, resources } from '@sluice/kube';
import { clusterStatus, type StatusSource } from '../cluster-status.ts';
import { clusterStatusText } from '../commands/cluster-status-text.ts';
import { type SluicePod, sluicePods } from '../sluice-pods.ts';
import { cut, type Piece, type Rows } from './dump.ts';

export interface ClusterOptions {
  readonly source: StatusSource;
  readonly signal: AbortSignal;
  /** Of each kind. */
  readonly rowsMax: number;
}

const logBytesMax = 2 << 20;
const logLines = 20_000;
const bytesMax = 16 << 20;

/** What the network is made of; Secrets and ConfigMaps are never asked for. */
const networkKinds: readonly Resource[] = [
  resources.nodes,
  resources.services,
  resources.endpointSlices,
  resources.serviceCidrs,
  {
    group: 'networking.k8s.io',
    version: 'v1',
    plural: 'networkpolicies',
    kind: 'NetworkPolicy',
    namespaced: true,
  },
  resources.events,
];
/** Groups whose kinds are all the network's, as many as the cluster has. */
const networkGroups = ['cilium.io', 'gateway.networking.k8s.io'];

/** All of the cluster: every node's status, objects of the network, our own pods with their logs. */
export async function clusterPieces(options: ClusterOptions): Promise<Piece[]> {
  const { source, signal } = options;
  const { client } = source;
  const pods = await sluicePods(client, signal);
  const found = await Promise.all(networkGroups.map((group) => kindsOf(client, group, signal)));
  const objects = [...networkKinds, ...found.flat()].map((resource) => objectsPiece(resource, options));
  const status = clusterStatus(source, signal);
  // Collected later: until then nobody hears of its failure.
  status.catch(() => undefined);
  return [
    { path: 'cluster/version.json', collect: () => client.request({ method: 'GET', path: '/version', signal }) },
    { path: 'cluster/status.json', collect: () => status },
    {
      path: 'cluster/status.txt',
      collect: async () => clusterStatusText(await status, { verbose: true, now: Date.now() }),
    },
    ...objects,
    ...ourPieces(client, pods, signal),
    ...pods.flatMap((pod) => logsOf(client, pod, signal)),
  ];
}

function objectsPiece(resource: Resource, { source, signal, rowsMax }: ClusterOptions): Piece {
  const group = resource.group === '' ? '' : `.${resource.group}`;
  return {
    path: `cluster/objects/${resource.plural}${group}.jsonl`,
    collect: async (): Promise<Rows> => cut((await source.client.list(resource, { signal })).items, rowsMax),
  };
}

/** By what the API server says that it has; none of a group that it does not know. */
async function kindsOf(client: KubeClient, group: string, signal: AbortSignal): Promise<Resource[]> {
  const ask = async (path: string) => new Field(await client.request({ method: 'GET', path, signal }));
  try {
    const versions = (await ask(`/apis/${group}`)).get('versions').items();
    const kinds = new Map<string, Resource>();
    // The preferred one comes first.
    for (const item of versions) {
      const version = item.get('version').text() ?? '';
      for (const resource of resourcesOf(await ask(`/apis/${group}/${version}`), { group, version }))
        if (!kinds.has(resource.plural)) kinds.set(resource.plural, resource);
    }
    return [...kinds.values()];
  } catch {
    // Without the group there is nothing of it; one that fails otherwise fails for its objects as well, and is told there.
    return [];
  }
}

function resourcesOf(list: Field, { group, version }: Pick<Resource, 'group' | 'version'>): Resource[] {
  return list
    .get('resources')
    .items()
    .map((item) => ({
      group,
      version,
      plural: item.get('name').text() ?? '',
      kind: item.get('kind').text() ?? '',
      namespaced: item.get('namespaced').boolean() ?? false,
    }))
    .filter(({ plural }) => plural !== '' && !plural.includes('/'));
}

function ourPieces(client: KubeClient, pods: readonly SluicePod[], signal: AbortSignal): Piece[] {
  return pods.map(({ namespace, name }) => ({
    path: `cluster/pods/${namespace}_${name}.json`,
    collect: () => client.get(resources.pods, { namespace, name, signal }),
  }));
}

/** Of the container before as well: why it ended stands at its end. */
function logsOf(client: KubeClient, { namespace, name }: SluicePod, signal: AbortSignal): Piece[] {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/log`;
  const log = (previous: boolean) =>
    client.requestText({
      method: 'GET',
      path,
      query: { tailLines: `${logLines}`, limitBytes: `${logBytesMax}`, previous: previous ? 'true' : undefined },
      bytesMax,
      signal,
    });
  return [
    { path: `cluster/logs/${namespace}_${name}.log`, collect: () => log(false) },
    // Most have none.
    { path: `cluster/logs/${namespace}_${name}.previous.log`, collect: () => log(true).catch(() => undefined) },
  ];
}
