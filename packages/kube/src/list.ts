import { isExpired, KubeError } from './error.ts';
import { isRecord } from './field.ts';
import type { KubeLimits } from './limits.ts';
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
  readonly limits: Pick<KubeLimits, 'listPageItems' | 'listPageBytes' | 'listItems' | 'listPages'>;
  request(request: {
    readonly method: 'GET';
    readonly path: string;
    readonly query: Readonly<Record<string, string | undefined>>;
    readonly bytesMax: number;
    readonly patient?: boolean;
    readonly signal?: AbortSignal | undefined;
  }): Promise<unknown>;
}

const restartsMax = 3;
const tooManyObjects = 'TooManyObjects';

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
      if (isLargePage(error) && pageItems > 1) pageItems = Math.ceil(pageItems / 2);
      else if (!isExpired(error) || restarts >= restartsMax) throw error;
    }
  }
}

function isLargePage(error: unknown): boolean {
  return error instanceof KubeError && error.code === 'too-large' && error.reason !== tooManyObjects;
}

async function listOnce<T>(
  client: Lister,
  resource: Resource,
  options: ListOptions,
  map: (object: unknown) => T,
  pageItems: number,
): Promise<{ rows: T[]; resourceVersion: string }> {
  const { namespace, fieldSelector, labelSelector, patient = true, signal } = options;
  const path = resourcePath(resource, { namespace });
  const { listPageBytes: bytesMax, listItems: itemsMax, listPages: pagesMax } = client.limits;
  const rows: T[] = [];
  let next = '';
  for (let pages = 0; pages < pagesMax; pages++) {
    const query = { limit: `${pageItems}`, continue: next, fieldSelector, labelSelector };
    const answer = await client.request({ method: 'GET', path, query, bytesMax, patient, signal });
    const page = parsePage(answer, path, resource);
    for (const item of page.items) rows.push(map(item));
    if (rows.length > itemsMax) {
      throw new KubeError('too-large', `GET ${path}: more than ${itemsMax} objects`, { reason: tooManyObjects });
    }
    if (page.next === '') return { rows, resourceVersion: page.resourceVersion };
    next = page.next;
  }
  throw new KubeError('malformed', `GET ${path}: a list of more than ${pagesMax} pages has no end`);
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
