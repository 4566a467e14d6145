import { defaultValues } from '@sluice/config';
import { Field, type KubeClient, KubeError, type Resource, resources } from '@sluice/kube';
import { clusterStatus, type StatusSource } from '../cluster-status.ts';
import { clusterStatusText } from '../commands/cluster-status-text.ts';
import { ourPodsSelector, type SluicePod } from '../sluice-pods.ts';
import type { Piece, Rows } from './dump.ts';

export interface ClusterOptions {
  readonly source: StatusSource;
  /** Ours. */
  readonly pods: readonly SluicePod[];
  readonly signal: AbortSignal;
  /** Of each kind. */
  readonly rowsMax: number;
}

const metricsBytesMax = 8 << 20;
const logLines = 10_000;
const logBytesMax = 8 << 20;
/** Of a log whose lines are that long. */
const logLinesFew = 500;

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
  // Who leads.
  { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true },
];
const ourKinds: readonly Resource[] = [resources.daemonSets, resources.deployments];
/** Groups whose kinds are all the network's, as many as the cluster has. */
const networkGroups = ['cilium.io', 'gateway.networking.k8s.io'];

/** All of the cluster: every node's status, objects of the network, our own pods with their logs. */
export async function clusterPieces(options: ClusterOptions): Promise<Piece[]> {
  const { source, signal, pods } = options;
  const { client } = source;
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
    ...ourKinds.map((resource) => objectsPiece(resource, options, ourPodsSelector)),
    ...ourPieces(client, pods, signal),
    ...pods.filter(({ program }) => program === 'operator').map((pod) => metricsOf(client, pod, signal)),
    ...pods.flatMap((pod) => logsOf(client, pod, signal)),
  ];
}

function objectsPiece(resource: Resource, { source, signal, rowsMax }: ClusterOptions, labelSelector?: string): Piece {
  const group = resource.group === '' ? '' : `.${resource.group}`;
  return {
    path: `cluster/objects/${resource.plural}${group}.jsonl`,
    collect: async (): Promise<Rows> => ({
      rows: source.client.each(resource, { labelSelector, signal }),
      max: rowsMax,
    }),
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

/** As Prometheus gets them; the API server asks the pod. An agent's are in its node's part. */
function metricsOf(client: KubeClient, { namespace, name }: SluicePod, signal: AbortSignal): Piece {
  const { port } = defaultValues().operator.prometheus;
  const pod = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}:${port}`;
  return {
    path: `cluster/metrics/${namespace}_${name}.txt`,
    collect: async () => {
      try {
        return await client.requestText({
          method: 'GET',
          path: `${pod}/proxy/metrics`,
          bytesMax: metricsBytesMax,
          signal,
        });
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        const where = `operator.prometheus.port says another port than ${port}, or operator.prometheus.enabled false`;
        throw new Error(`${why}; there are none where ${where}`, { cause });
      }
    },
  };
}

/** Of each container, also those that prepare the pod, and of the one before it: why that ended stands at its end. */
function logsOf(client: KubeClient, { namespace, name, containers }: SluicePod, signal: AbortSignal): Piece[] {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/log`;
  return containers.flatMap((container, index) => {
    const file = `cluster/logs/${namespace}_${name}${index === 0 ? '' : `.${container}`}`;
    const log = (previous: boolean) => endOfLog(client, { path, container, previous, signal });
    return [
      { path: `${file}.log`, collect: () => log(false) },
      { path: `${file}.previous.log`, collect: () => log(true).catch(unlessNone) },
    ];
  });
}

/** Most have no container before. */
function unlessNone(error: unknown): undefined {
  if (error instanceof KubeError && (error.status === 400 || error.status === 404)) return undefined;
  throw error;
}

interface LogRequest {
  readonly path: string;
  readonly container: string;
  readonly previous: boolean;
  readonly signal: AbortSignal;
}

/** The API server counts bytes from the first line that it is asked for, so one with too many is asked for fewer lines. */
async function endOfLog(client: KubeClient, { path, container, previous, signal }: LogRequest): Promise<string> {
  const last = (lines: number) => {
    const limits = { tailLines: `${lines}`, limitBytes: `${logBytesMax}` };
    const query = { container, ...limits, previous: previous ? 'true' : undefined };
    return client.requestText({ method: 'GET', path, query, bytesMax: 2 * logBytesMax, signal });
  };
  const text = await last(logLines);
  return Buffer.byteLength(text) < logBytesMax ? text : last(logLinesFew);
}
