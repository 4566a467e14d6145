import type { ServerResponse } from 'node:http';
import { ApiError, expired } from '../api-error.ts';
import type { Cluster } from '../cluster.ts';
import type { KubernetesObject } from '../object.ts';
import { apiVersionOf, type Resource, type ResourceVersion } from '../resources.ts';
import type { Predicate } from '../selectors.ts';
import type { Change } from '../storage.ts';
import { tooLarge } from './list.ts';
import { booleanParameter, integerParameter } from './selection.ts';
import { rowContent, toTable, wantsTable } from './table.ts';

export interface WatchRequest {
  resource: Resource;
  version: ResourceVersion;
  matches: Predicate;
  query: URLSearchParams;
  accept: string | undefined;
}

/** How often a watcher that asked for bookmarks learns how far it is. */
const bookmarkMs = 30_000;
/** Longest time a watch lives when the client names none. */
const timeoutSecondsDefault = 1800;
/** Bytes that may wait for a slow client before its watch is ended: it lists again. */
const backlogBytesMax = 16 * 1024 * 1024;

/** Streams changes as JSON lines until the client goes, the timeout passes or the client is too slow. */
export function serveWatch(cluster: Cluster, request: WatchRequest, response: ServerResponse): void {
  const { query } = request;
  const stream = new WatchStream(request, response);
  response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
  try {
    const missed = catchUp(cluster, request);
    for (const change of missed) stream.change(change);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    stream.send('ERROR', error.toStatus());
    response.end();
    return;
  }
  const wantsBookmarks = booleanParameter(query, 'allowWatchBookmarks');
  if (query.get('sendInitialEvents') === 'true')
    stream.bookmark(cluster.resourceVersion, { 'k8s.io/initial-events-end': 'true' });
  const watch = cluster.storage.watch(request.resource.id, (change) => stream.change(change));
  const bookmarks = wantsBookmarks
    ? setInterval(() => stream.bookmark(cluster.resourceVersion, undefined), bookmarkMs)
    : undefined;
  const timeoutSeconds = integerParameter(query, 'timeoutSeconds') || timeoutSecondsDefault;
  const timeout = setTimeout(() => {
    // So that a quiet watch is taken up again from here, and not from where it began.
    if (wantsBookmarks) stream.bookmark(cluster.resourceVersion, undefined);
    response.end();
  }, timeoutSeconds * 1000);
  response.flushHeaders();
  response.on('close', () => {
    watch[Symbol.dispose]();
    clearInterval(bookmarks);
    clearTimeout(timeout);
  });
}

/** What the client has not seen: everything there is, or what changed since its version. */
function catchUp(cluster: Cluster, { resource, query }: WatchRequest): Change[] {
  const wanted = integerParameter(query, 'resourceVersion') ?? 0;
  const { storage } = cluster;
  if (wanted > storage.version) throw tooLarge(wanted, storage.version);
  const fromScratch = wanted === 0 || query.get('sendInitialEvents') === 'true';
  if (fromScratch)
    return [...storage.objects(resource.id)].map((object) => ({
      version: 0,
      type: 'ADDED',
      object,
      previous: undefined,
    }));
  const changes = storage.changesSince(resource.id, wanted);
  if (!changes) throw expired(`too old resource version: ${wanted} (${storage.compactedVersion(resource.id)})`);
  return [...changes];
}

class WatchStream {
  readonly #request: WatchRequest;
  readonly #response: ServerResponse;
  readonly #asTable: boolean;
  #sentColumns = false;

  constructor(request: WatchRequest, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
    this.#asTable = wantsTable(request.accept);
  }

  /** An object that begins to match is ADDED for this client, one that no longer does is DELETED. */
  change({ type, object, previous }: Change): void {
    const { matches } = this.#request;
    const isIn = type !== 'DELETED' && matches(object);
    const wasIn = previous !== undefined && matches(previous);
    if (isIn) this.#sendObject(wasIn ? 'MODIFIED' : 'ADDED', object);
    else if (wasIn)
      this.#sendObject(
        'DELETED',
        type === 'DELETED'
          ? object
          : { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion } },
      );
  }

  bookmark(resourceVersion: string, annotations: Record<string, string> | undefined): void {
    const { resource, version } = this.#request;
    const metadata = { resourceVersion, creationTimestamp: null, ...(annotations && { annotations }) };
    const marker = { kind: resource.kind, apiVersion: apiVersionOf(resource.group, version.name), metadata };
    if (!this.#asTable) this.send('BOOKMARK', marker);
    else
      this.send('BOOKMARK', {
        ...toTable([], [], { resourceVersion }),
        rows: [{ cells: [], object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } }],
      });
  }

  #sendObject(type: string, object: KubernetesObject): void {
    const { resource, version, query } = this.#request;
    if (!this.#asTable) {
      this.#write(`{"type":"${type}","object":${encodeObject(resource, version, object)}}\n`);
      return;
    }
    const table = toTable(
      version.columns,
      [object],
      { resourceVersion: object.metadata.resourceVersion },
      rowContent(query.get('includeObject')),
    );
    if (this.#sentColumns) table.columnDefinitions = [];
    this.#sentColumns = true;
    this.send(type, table);
  }

  send(type: string, object: object): void {
    this.#write(`${JSON.stringify({ type, object })}\n`);
  }

  #write(line: string): void {
    // A change comes a turn after it was made; the watch may have timed out meanwhile.
    if (this.#response.writableEnded) return;
    if (this.#response.writableLength > backlogBytesMax) this.#response.destroy();
    else this.#response.write(line);
  }
}

const encoded = new WeakMap<KubernetesObject, Map<string, string>>();

/** JSON of a stored object in one of its versions; made once for all watchers, since stored objects never change. */
export function encodeObject(resource: Resource, version: ResourceVersion, object: KubernetesObject): string {
  const texts = encoded.get(object) ?? new Map<string, string>();
  encoded.set(object, texts);
  let text = texts.get(version.name);
  if (text === undefined) {
    text = JSON.stringify({ ...object, apiVersion: apiVersionOf(resource.group, version.name) });
    texts.set(version.name, text);
  }
  return text;
}
