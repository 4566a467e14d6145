/** The part of `sluice sysdump` that is loaded only when it runs. */
import { hostname } from 'node:os';
import { Field, resources } from '@sluice/kube';
import type { AgentClient } from '../agent-client.ts';
import type { ClusterAccess } from '../cluster-access.ts';
import { CommandError } from '../command-error.ts';
import { execInPod } from '../connectivity/exec.ts';
import type { Context } from '../context.ts';
import { byName, sluicePods } from '../sluice-pods.ts';
import { type Archive, openArchive } from './archive.ts';
import { clusterPieces } from './cluster-pieces.ts';
import { collectAll, type Piece } from './dump.ts';
import { knownSecrets } from './known-secrets.ts';
import { type NodeEnd, nodeDumps } from './node-dumps.ts';
import { nodePieces } from './node-pieces.ts';
import { type Redaction, redaction } from './redaction.ts';

export interface TakeOptions {
  /** Undefined: of the cluster alone. */
  readonly agent: AgentClient | undefined;
  /** Undefined: this node alone. */
  readonly cluster: ClusterAccess | undefined;
  readonly context: Context;
  readonly rowsMax: number;
  /** How long each node may take, in seconds. */
  readonly nodeSeconds: number;
  readonly logs: readonly string[] | false;
  /** `-`: the standard output. */
  readonly output: string | undefined;
  readonly onPiece: (path: string) => void;
  readonly onNode: (node: string, how: NodeEnd | undefined) => void;
}

export interface Taken {
  readonly path: string;
  readonly bytes: number;
  readonly files: number;
  /** What could not be had, each with why. */
  readonly missing: readonly string[];
}

export async function takeDump(options: TakeOptions): Promise<Taken> {
  const { context } = options;
  const time = new Date();
  const folder = `sluice-sysdump-${hostname().slice(0, 30)}-${time.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}`;
  const path = options.output ?? `${folder}.tar.gz`;
  const archive = openArchive({ path, out: context.out, folder, time });
  try {
    const { files, missing } = await fill(archive, redaction(secretsOf(options)), options);
    if (files === 0) throw new CommandError(`there is nothing to dump: ${missing.join('; ')}`);
    if (missing.length > 0) await archive.add({ path: 'missing.txt', text: `${missing.join('\n')}\n` });
    return { path, bytes: await archive.end(), files, missing };
  } catch (error) {
    await archive.abandon();
    throw error;
  }
}

/** Read once, but for those that are told on the way. */
function secretsOf({ cluster, context }: TakeOptions): () => readonly string[] {
  const told = cluster?.toldSecrets ?? [];
  const read = () => knownSecrets(context.environment, cluster?.configuration, told);
  let [secrets, of] = [read(), told.length];
  return () => {
    if (told.length !== of) [secrets, of] = [read(), told.length];
    return secrets;
  };
}

async function fill(archive: Archive, redaction: Redaction, options: TakeOptions) {
  const { agent, cluster, context, rowsMax, logs, onPiece } = options;
  const { signal } = context;
  let files = 0;
  const take: Archive['add'] = async (file) => {
    await archive.add(file);
    files++;
  };
  const collect = (pieces: readonly Piece[]) => collectAll(pieces, { redaction, signal, take, onPiece });
  const ofNode = agent === undefined ? [] : await collect(await nodePieces(agent, { rowsMax, logs }));
  const ofCluster = cluster === undefined ? [] : await fillCluster(cluster, { ...options, redaction, take, collect });
  return { files, missing: [...ofNode, ...ofCluster] };
}

interface Filling extends TakeOptions {
  readonly redaction: Redaction;
  readonly take: Archive['add'];
  readonly collect: (pieces: readonly Piece[]) => Promise<string[]>;
}

/** Where the cluster cannot be asked at all, the node's part is worth having the more. */
async function fillCluster(access: ClusterAccess, options: Filling): Promise<string[]> {
  const { context, rowsMax, nodeSeconds, redaction, take, collect, onNode } = options;
  const { signal } = context;
  const { client } = access;
  const found = await ourNodes(access, signal);
  if (found instanceof Error) return collect([{ path: 'cluster', collect: () => Promise.reject(found) }]);
  const { nodes, pods } = found;
  const exec: Parameters<typeof clusterPieces>[0]['source']['exec'] = (target, abort) =>
    execInPod(access, target, abort);
  const pieces = await clusterPieces({ source: { client, exec }, pods, signal, rowsMax });
  return [
    ...(await collect(pieces)),
    ...(await nodeDumps(nodes, { access, redaction, signal, rowsMax, nodeSeconds, take, onNode })),
  ];
}

async function ourNodes({ client }: ClusterAccess, signal: AbortSignal) {
  try {
    const [pods, list] = await Promise.all([sluicePods(client, signal), client.list(resources.nodes, { signal })]);
    const names = list.items.map((node) => new Field(node).get('metadata').get('name').text() ?? '').sort(byName);
    const agents = pods.filter(({ program }) => program === 'agent');
    return { pods, nodes: names.map((node) => ({ node, pod: agents.find((pod) => pod.node === node) })) };
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof Error ? error : new Error(String(error));
  }
}
