import { ApiError, badRequest, expired } from '../api-error.ts';
import type { Cluster } from '../cluster.ts';
import type { KubernetesObject } from '../object.ts';
import type { Resource } from '../resources.ts';
import { integerParameter, selection } from './selection.ts';

export interface ListPage {
  objects: KubernetesObject[];
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
}

interface Position {
  version: number;
  /** namespace/name of the last object given. */
  after: string;
}

/** A page of objects, all of one version: the first page's, which the continue token carries. */
export function listPage(
  cluster: Cluster,
  resource: Resource,
  { namespace, query }: { namespace: string | undefined; query: URLSearchParams },
): ListPage {
  const limit = integerParameter(query, 'limit') ?? 0;
  const token = query.get('continue');
  const position = token ? readToken(token) : undefined;
  const version = position?.version ?? requestedVersion(cluster, query);
  const objects =
    version === undefined
      ? [...cluster.storage.objects(resource.id, namespace)]
      : objectsAt(cluster, resource, version, namespace);
  const matches = selection(resource, { namespace, query });
  const sorted = objects
    .map((object) => ({ key: sortKey(object), object }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const rest = sorted.filter(({ key, object }) => (!position || key > position.after) && matches(object));
  const page = limit > 0 ? rest.slice(0, limit) : rest;
  const shownVersion = version ?? cluster.storage.version;
  const last = page.at(-1);
  const left = rest.length - page.length;
  const more =
    left > 0 && last
      ? { continue: writeToken({ version: shownVersion, after: last.key }), remainingItemCount: left }
      : {};
  return { objects: page.map(({ object }) => object), metadata: { resourceVersion: String(shownVersion), ...more } };
}

function objectsAt(
  cluster: Cluster,
  resource: Resource,
  version: number,
  namespace: string | undefined,
): KubernetesObject[] {
  const objects = cluster.storage.objectsAt(resource.id, version, namespace);
  if (!objects)
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
    );
  return objects;
}

/** Only `resourceVersionMatch=Exact` reads the past; everything else is answered with the newest state. */
function requestedVersion(cluster: Cluster, query: URLSearchParams): number | undefined {
  const wanted = integerParameter(query, 'resourceVersion') ?? 0;
  const match = query.get('resourceVersionMatch');
  if (match && match !== 'Exact' && match !== 'NotOlderThan')
    throw badRequest(`resourceVersionMatch: Unsupported value: "${match}": supported values: "Exact", "NotOlderThan"`);
  if (wanted > cluster.storage.version) throw tooLarge(wanted, cluster.storage.version);
  return match === 'Exact' ? wanted : undefined;
}

export function tooLarge(wanted: number, current: number): ApiError {
  return new ApiError(504, 'Timeout', `Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }],
    retryAfterSeconds: 1,
  });
}

function sortKey(object: KubernetesObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

function writeToken(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

function readToken(token: string): Position {
  try {
    const position: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (
      typeof position === 'object' &&
      position &&
      'version' in position &&
      'after' in position &&
      typeof position.version === 'number' &&
      typeof position.after === 'string'
    )
      return { version: position.version, after: position.after };
  } catch {
    // Falls through: whatever cannot be read was not ours.
  }
  throw badRequest('continue key is not valid');
}
