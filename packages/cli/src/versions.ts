import { counted } from './output.ts';
import { byName, type SluicePod, type SluiceWorkload, versionOfImage } from './sluice-pods.ts';

/** What runs where. */
export interface ClusterVersions {
  readonly nodes: readonly string[];
  readonly workloads: readonly SluiceWorkload[];
  readonly pods: readonly SluicePod[];
}

export interface VersionReport {
  readonly client: string;
  /** Of this node's agent; undefined: none answers here. */
  readonly agent: string | undefined;
  /** Undefined: no cluster was asked. */
  readonly cluster: ClusterVersions | undefined;
}

/** What does not fit together, each with what to do; empty: all is of one version. */
export function outOfStep({ client, agent, cluster }: VersionReport): string[] {
  const { nodes = [], workloads = [], pods = [] } = cluster ?? {};
  return [
    ...ofAnotherVersion({ client, agent, workloads, pods }),
    ...workloads.flatMap((workload) =>
      unrolled(
        workload,
        pods.filter(({ program }) => program === workload.program),
      ),
    ),
    ...ofAnotherBuild(pods),
    ...(cluster === undefined ? [] : absent(nodes, workloads, pods)),
  ];
}

interface Known extends Pick<VersionReport, 'client' | 'agent'> {
  readonly workloads: readonly SluiceWorkload[];
  readonly pods: readonly SluicePod[];
}

/** Behind what runs newest of all; an agent goes with the programs of its own version only. */
function ofAnotherVersion({ client, agent, workloads, pods }: Known): string[] {
  const known = [
    { what: 'this command', version: client, remedy: 'take it from the newer release' },
    ...(agent === undefined ? [] : [{ what: "this node's agent", version: agent, remedy: 'it is to be replaced' }]),
    ...workloads.flatMap(({ chart }) =>
      chart === undefined
        ? []
        : [{ what: `the chart ${chart}`, version: chart.replace(/^.*-(?=\d)/, ''), remedy: 'helm upgrade' }],
    ),
    ...[...Map.groupBy(pods, ({ program, image }) => `${program} ${versionOfImage(image)}`).values()].map((group) => ({
      what: `${group[0]?.program} on ${listed(group.map(({ node }) => node))}`,
      version: versionOfImage(group[0]?.image ?? ''),
      remedy: 'helm upgrade, or see whether its roll goes on',
    })),
  ];
  // A tag such as `latest` says nothing.
  const numbered = known.filter(({ version }) => /^\d/.test(version));
  const [newest] = numbered.map(({ version }) => version).sort((one, other) => byName(other, one));
  const older = numbered.filter(({ version }) => version !== newest);
  const lines = older.map(
    ({ what, version, remedy }) => `${what} is ${version}, the newest here is ${newest}: ${remedy}`,
  );
  return [...new Set(lines)];
}

/** Pods of an image that their DaemonSet no longer names. */
function unrolled({ kind, namespace, name, image }: SluiceWorkload, pods: readonly SluicePod[]): string[] {
  const others = Map.groupBy(
    pods.filter((pod) => pod.image !== image),
    (pod) => pod.image,
  );
  const remedy = `kubectl -n ${namespace} rollout status ${kind.toLowerCase()}/${name}`;
  return [...others].map(
    ([old, group]) =>
      `${group[0]?.program} on ${listed(group.map(({ node }) => node))} runs ${old}, its ${kind} names ${image}: ${remedy}`,
  );
}

/** The same name, and not the same image: a tag was used twice. */
function ofAnotherBuild(pods: readonly SluicePod[]): string[] {
  const started = pods.filter(({ imageId }) => imageId !== undefined);
  return [...Map.groupBy(started, ({ image }) => image)].flatMap(([image, group]) => {
    const builds = Map.groupBy(group, ({ imageId }) => imageId);
    if (builds.size < 2) return [];
    const each = [...builds].map(([id, those]) => `${id} on ${listed(those.map(({ node }) => node))}`);
    return [`${image} is ${counted(builds.size, 'image')}: ${each.join('; ')}; give each build a tag of its own`];
  });
}

function absent(nodes: readonly string[], workloads: readonly SluiceWorkload[], pods: readonly SluicePod[]): string[] {
  const without = nodes.filter((node) => !pods.some((pod) => pod.program === 'agent' && pod.node === node));
  if (workloads.length === 0 && pods.length === 0) return ['no agent and no operator runs as a pod of this cluster'];
  const hasOperator = pods.some(({ program }) => program === 'operator');
  return [
    ...(without.length === 0 ? [] : [`no agent on ${listed(without)}`]),
    ...(hasOperator ? [] : ['no operator: new nodes get no pod CIDR and new pods no identity']),
  ];
}

const namedMax = 5;

/** `n1, n2, n3`; of many nodes the first. */
function listed(names: readonly string[]): string {
  const distinct = [...new Set(names.map((name) => (name === '' ? 'no node yet' : name)))].sort(byName);
  const rest = distinct.length - namedMax;
  return `${distinct.slice(0, namedMax).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
