import { isExpired, KubeError } from './error.ts';
import { isRecord } from './field.ts';
import type { KubeLimits } from './limits.ts';
import { type PageLimits, PageSize } from './page-size.ts';
import { type Resource, resourcePath } from './resource.ts';
import { resourceVersionOf } from './watch-stream.ts';

export interface ListOptions {
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** Whether to ask a busy server (429) again; default true. */
  readonly patient?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** All objects of a kind as of one version, from which a watch can go on. */
export interface ObjectList {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
}

/** What `listEach` needs of a client. */
export interface Lister {
  readonly limits: PageLimits & Pick<KubeLimits, 'listItems' | 'listPages'>;
  request(request: {
    readonly method: 'GET';
    readonly path: string;
    readonly query: Readonly<Record<string, string | undefined>>;
    readonly bytesMax: number;
    readonly onSize?: (bytes: number) => void;
    readonly patient?: boolean;
    readonly signal?: AbortSignal | undefined;
  }): Promise<unknown>;
}

/** The version that the server is at now; what it costs is one object. */
export async function currentVersion(client: Lister, resource: Resource, options: ListOptions): Promise<string> {
  const { namespace, patient = true, signal } = options;
  const [path, bytesMax] = [resourcePath(resource, { namespace }), client.limits.listPageBytes];
  return resourceVersionOf(
    await client.request({ method: 'GET', path, query: { limit: '1' }, bytesMax, patient, ...(signal && { signal }) }),
  );
}

const restartsMax = 3;

export async function listAll(client: Lister, resource: Resource, options: ListOptions): Promise<ObjectList> {
  const { rows, resourceVersion } = await listEach(client, resource, options, (object) => object);
  return { items: rows, resourceVersion };
}

/**
 * Lists in pages, mapping each object at once so that a page's raw objects can go. When the server has compacted the
 * version away in the middle (410), the list starts anew.
 */
export async function listEach<T>(
  client: Lister,
  resource: Resource,
  options: ListOptions,
  map: (object: unknown) => T,
): Promise<{ rows: T[]; resourceVersion: string }> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await listOnce(client, resource, options, map);
    } catch (error) {
      if (!isExpired(error) || restarts >= restartsMax) throw error;
    }
  }
}

/** One page after the other, for who does not want all at once; an error where the server compacts its version away meanwhile. */
export async function* eachObject(client: Lister, resource: Resource, options: ListOptions): AsyncGenerator<unknown> {
  const path = resourcePath(resource, { namespace: options.namespace });
  const size = new PageSize(client.limits);
  let next = '';
  for (let pages = 0; pages < client.limits.listPages; pages++) {
    const page = parsePage(await readPage(client, { path, next, size, options }), path, resource);
    yield* page.items;
    if (page.next === '') return;
    next = page.next;
  }
  throw endless(path, client.limits.listPages);
}

function endless(path: string, pagesMax: number): KubeError {
  return new KubeError('malformed', `GET ${path}: a list of more than ${pagesMax} pages has no end`);
}

async function listOnce<T>(
  client: Lister,
  resource: Resource,
  options: ListOptions,
  map: (object: unknown) => T,
): Promise<{ rows: T[]; resourceVersion: string }> {
  const path = resourcePath(resource, { namespace: options.namespace });
  const { listItems: itemsMax, listPages: pagesMax } = client.limits;
  const size = new PageSize(client.limits);
  const rows: T[] = [];
  let next = '';
  for (let pages = 0; pages < pagesMax; pages++) {
    const page = parsePage(await readPage(client, { path, next, size, options }), path, resource);
    for (const item of page.items) rows.push(map(item));
    if (rows.length > itemsMax) throw new KubeError('too-large', `GET ${path}: more than ${itemsMax} objects`);
    if (page.next === '') return { rows, resourceVersion: page.resourceVersion };
    next = page.next;
  }
  throw endless(path, pagesMax);
}

interface PageRequest {
  readonly path: string;
  readonly next: string;
  readonly size: PageSize;
  readonly options: ListOptions;
}

/** A page that is too large is asked for again with fewer objects. */
async function readPage(client: Lister, { path, next, size, options }: PageRequest): Promise<unknown> {
  const { fieldSelector, labelSelector, patient = true, signal } = options;
  for (;;) {
    const query = { limit: `${size.items}`, continue: next, fieldSelector, labelSelector };
    let bytes = 0;
    const onSize = (answered: number) => {
      bytes = answered;
    };
    const { bytesMax } = size;
    try {
      const page = await client.request({ method: 'GET', path, query, bytesMax, onSize, patient, signal });
      size.adapt(isRecord(page) && Array.isArray(page.items) ? page.items.length : 0, bytes);
      return page;
    } catch (error) {
      const isLarge = error instanceof KubeError && error.code === 'too-large';
      if (!isLarge || !size.shrink()) throw error;
    }
  }
}

/**
 * What is no list must not pass for an empty one: everything would be deleted. Items of a list carry no kind, so that of
 * the list must be the right one.
 */
function parsePage(
  value: unknown,
  path: string,
  { kind }: Resource,
): { items: readonly unknown[]; next: string; resourceVersion: string } {
  const list = isRecord(value) ? value : {};
  // Go writes an empty list as null, too.
  const items = list.items === null ? [] : list.items;
  const resourceVersion = resourceVersionOf(list);
  if (!Array.isArray(items) || resourceVersion === '') {
    throw new KubeError('malformed', `GET ${path}: the answer is not a list`);
  }
  if (list.kind !== `${kind}List` && list.kind !== 'List') {
    const found = JSON.stringify(list.kind)?.slice(0, 60) ?? 'a list without a kind';
    throw new KubeError('malformed', `GET ${path}: the answer is ${found}, not a ${kind}List`);
  }
  const next = isRecord(list.metadata) ? list.metadata.continue : undefined;
  return { items, next: typeof next === 'string' ? next : '', resourceVersion };
}
