/** The part of `sluice sysdump` that is loaded only when it runs. */
import { hostname } from 'node:os';
import type { AgentClient } from '../agent-client.ts';
import type { ClusterAccess } from '../cluster-access.ts';
import { execInPod } from '../connectivity/exec.ts';
import { writeArchive } from './archive.ts';
import { clusterPieces } from './cluster-pieces.ts';
import { collectAll, type Piece } from './dump.ts';
import { knownSecrets } from './known-secrets.ts';
import { nodePieces } from './node-pieces.ts';
import { redaction } from './redaction.ts';

export interface TakeOptions {
  readonly agent: AgentClient;
  /** Undefined: this node alone. */
  readonly cluster: ClusterAccess | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly rowsMax: number;
  readonly logs: readonly string[];
  readonly output: string | undefined;
  readonly onPiece: (path: string) => void;
}

export interface Taken {
  readonly path: string;
  readonly bytes: number;
  readonly files: number;
  /** What could not be had, each with why. */
  readonly missing: readonly string[];
}

export async function takeDump(options: TakeOptions): Promise<Taken> {
  const { agent, cluster, environment, signal, onPiece } = options;
  const time = new Date();
  const folder = `sluice-sysdump-${hostname()}-${time.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}`;
  const pieces = [
    ...(await nodePieces(agent, options)),
    ...(cluster === undefined ? [] : await piecesOf(cluster, options)),
  ];
  const secrets = knownSecrets(environment, cluster?.configuration);
  const dump = await collectAll(pieces, { redaction: redaction(secrets), signal, onPiece });
  const path = options.output ?? `${folder}.tar.gz`;
  const bytes = writeArchive(dump, { path, folder, time });
  return { path, bytes, files: dump.files.length, missing: dump.missing };
}

/** Where the cluster cannot be asked at all, the node's part is worth having the more. */
async function piecesOf(access: ClusterAccess, { signal, rowsMax }: TakeOptions): Promise<Piece[]> {
  const exec: Parameters<typeof clusterPieces>[0]['source']['exec'] = (target, abort) =>
    execInPod(access, target, abort);
  try {
    return await clusterPieces({ source: { client: access.client, exec }, signal, rowsMax });
  } catch (error) {
    signal.throwIfAborted();
    return [{ path: 'cluster', collect: () => Promise.reject(error) }];
  }
}
