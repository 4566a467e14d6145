import { isExpired, KubeError } from './error.ts';
import { isRecord } from './field.ts';
import { type Resource, resourcePath } from './resource.ts';
import { resourceVersionOf } from './watch-stream.ts';

export interface ListOptions {
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** All objects of a kind as of one version, from which a watch can go on. */
export interface ObjectList {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
}

/** What `listEach` needs of a client. */
export interface Lister {
  readonly limits: { readonly listPageItems: number; readonly listPageBytes: number; readonly listItems: number };
  request(request: {
    readonly method: 'GET';
    readonly path: string;
    readonly query: Readonly<Record<string, string | undefined>>;
    readonly bytesMax: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<unknown>;
}

const restartsMax = 3;

export async function listAll(client: Lister, resource: Resource, options: ListOptions): Promise<ObjectList> {
  const { rows, resourceVersion } = await listEach(client, resource, options, (object) => object);
  return { items: rows, resourceVersion };
}

/**
 * Lists in pages, mapping each object at once so that a page's raw objects can go. When the server has compacted the
 * version away in the middle (410), the list starts anew; when a page is too large, with pages of half the size.
 */
export async function listEach<T>(
  client: Lister,
  resource: Resource,
  options: ListOptions,
  map: (object: unknown) => T,
): Promise<{ rows: T[]; resourceVersion: string }> {
  let pageItems = client.limits.listPageItems;
  for (let restarts = 0; ; restarts++) {
    try {
      return await listOnce(client, resource, options, map, pageItems);
    } catch (error) {
      const tooLarge = error instanceof KubeError && error.code === 'too-large' && pageItems > 1;
      if (tooLarge) pageItems = Math.ceil(pageItems / 2);
      else if (!isExpired(error) || restarts >= restartsMax) throw error;
    }
  }
}

async function listOnce<T>(
  client: Lister,
  resource: Resource,
  options: ListOptions,
  map: (object: unknown) => T,
  pageItems: number,
): Promise<{ rows: T[]; resourceVersion: string }> {
  const { namespace, fieldSelector, labelSelector, signal } = options;
  const path = resourcePath(resource, { namespace });
  const { listPageBytes: bytesMax, listItems: itemsMax } = client.limits;
  const rows: T[] = [];
  for (let next = ''; ; ) {
    const query = { limit: `${pageItems}`, continue: next, fieldSelector, labelSelector };
    const page = parsePage(await client.request({ method: 'GET', path, query, bytesMax, signal }), path);
    for (const item of page.items) rows.push(map(item));
    if (rows.length > itemsMax) throw new KubeError('too-large', `GET ${path}: more than ${itemsMax} objects`);
    if (page.next === '') return { rows, resourceVersion: page.resourceVersion };
    next = page.next;
  }
}

function parsePage(value: unknown, path: string): { items: readonly unknown[]; next: string; resourceVersion: string } {
  const items = isRecord(value) ? (value.items ?? []) : undefined;
  const resourceVersion = resourceVersionOf(value);
  if (!isRecord(value) || !Array.isArray(items) || resourceVersion === '') {
    throw new KubeError('malformed', `GET ${path}: the answer is not a list`);
  }
  const next = isRecord(value.metadata) ? value.metadata.continue : undefined;
  return { items, next: typeof next === 'string' ? next : '', resourceVersion };
}
