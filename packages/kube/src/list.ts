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

/** One object after the other, for who does not want all at once; an error where the server compacts its version away meanwhile. */
export async function* eachObject(client: Lister, resource: Resource, options: ListOptions): AsyncGenerator<unknown> {
  for await (const page of pagesOf(client, resource, options)) yield* page.items;
}

async function listOnce<T>(
  client: Lister,
  resource: Resource,
  options: ListOptions,
  map: (object: unknown) => T,
): Promise<{ rows: T[]; resourceVersion: string }> {
  const itemsMax = client.limits.listItems;
  const rows: T[] = [];
  let resourceVersion = '';
  for await (const page of pagesOf(client, resource, options)) {
    for (const item of page.items) rows.push(map(item));
    if (rows.length > itemsMax)
      throw new KubeError('too-large', `GET ${pathOf(resource, options)}: more than ${itemsMax} objects`);
    resourceVersion = page.resourceVersion;
  }
  return { rows, resourceVersion };
}

/** While somebody works at a page the server makes the next one. */
async function* pagesOf(client: Lister, resource: Resource, options: ListOptions): AsyncGenerator<Page> {
  const path = pathOf(resource, options);
  const size = new PageSize(client.limits);
  let reading = readPage(client, { path, next: '', size, options });
  for (let pages = 0; pages < client.limits.listPages; pages++) {
    const page = parsePage(await reading, path, resource);
    if (page.next === '') {
      yield page;
      return;
    }
    reading = readPage(client, { path, next: page.next, size, options });
    // It fails where it is waited for. Who leaves before has no use for it.
    reading.catch(() => undefined);
    yield page;
  }
  throw new KubeError('malformed', `GET ${path}: a list of more than ${client.limits.listPages} pages has no end`);
}

function pathOf(resource: Resource, { namespace }: ListOptions): string {
  return resourcePath(resource, { namespace });
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

interface Page {
  readonly items: readonly unknown[];
  /** Where the next one begins; empty: there is none. */
  readonly next: string;
  readonly resourceVersion: string;
}

/**
 * What is no list must not pass for an empty one: everything would be deleted. Items of a list carry no kind, so that of
 * the list must be the right one.
 */
function parsePage(value: unknown, path: string, { kind }: Resource): Page {
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
