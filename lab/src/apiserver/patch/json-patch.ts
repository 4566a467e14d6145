import { isDeepStrictEqual } from 'node:util';
import { ApiError, badRequest } from '../api-error.ts';
import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: Json;
}

/** Operations in one patch that we accept, the real server's limit. */
const operationsMax = 10_000;

/** Applies an RFC 6902 patch and returns the changed copy. */
export function applyJsonPatch(target: JsonObject, patch: unknown): JsonObject {
  if (!Array.isArray(patch)) throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  if (patch.length > operationsMax)
    throw new ApiError(
      413,
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${operationsMax}, got ${patch.length}`,
    );
  const root: { document: Json } = { document: structuredClone(target) };
  for (const operation of patch) applyOperation(root, readOperation(operation));
  if (!isObject(root.document)) throw badRequest('the patch does not leave an object');
  return root.document;
}

function readOperation(value: unknown): Operation {
  if (!isObject(value) || typeof value.op !== 'string' || typeof value.path !== 'string')
    throw badRequest('every operation of a JSON patch needs "op" and "path"');
  return {
    op: value.op,
    path: value.path,
    ...(typeof value.from === 'string' && { from: value.from }),
    ...(value.value !== undefined && { value: value.value }),
  };
}

function applyOperation(root: { document: Json }, { op, path, from, value }: Operation): void {
  switch (op) {
    case 'add':
      add(root, path, value ?? null);
      return;
    case 'remove':
      return void remove(root, path);
    case 'replace':
      remove(root, path);
      add(root, path, value ?? null);
      return;
    case 'move':
      add(root, path, remove(root, from ?? ''));
      return;
    case 'copy':
      add(root, path, structuredClone(get(root, from ?? '')));
      return;
    case 'test':
      if (!isDeepStrictEqual(get(root, path), value ?? null)) throw unprocessable(`testing value ${path} failed`);
      return;
    default:
      throw badRequest(`Unexpected kind: ${op}`);
  }
}

function tokens(path: string): string[] {
  if (path === '') return [];
  if (!path.startsWith('/')) throw unprocessable(`the path "${path}" does not start with "/"`);
  return path
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function get(root: { document: Json }, path: string): Json {
  let value: Json = root.document;
  for (const token of tokens(path)) value = child(value, token, path);
  return value;
}

function child(value: Json, token: string, path: string): Json {
  const found = Array.isArray(value)
    ? value[Number(token)]
    : isObject(value) && Object.hasOwn(value, token)
      ? value[token]
      : undefined;
  if (found === undefined) throw unprocessable(`doc is missing path: ${path}: missing value`);
  return found;
}

function add(root: { document: Json }, path: string, value: Json): void {
  const { parent, last } = holder(root, path);
  if (last === undefined) root.document = value;
  else if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : arrayIndex(last, parent.length, path);
    parent.splice(index, 0, value);
  } else if (isObject(parent)) parent[last] = value;
  else throw unprocessable(`add operation does not apply: doc is missing path: "${path}": missing value`);
}

function remove(root: { document: Json }, path: string): Json {
  const { parent, last } = holder(root, path);
  const value = get(root, path);
  if (last === undefined) root.document = null;
  else if (Array.isArray(parent)) parent.splice(arrayIndex(last, parent.length - 1, path), 1);
  else if (isObject(parent)) delete parent[last];
  return value;
}

function holder(root: { document: Json }, path: string): { parent: Json; last: string | undefined } {
  const parts = tokens(path);
  const last = parts.pop();
  let parent: Json = root.document;
  for (const token of parts) parent = child(parent, token, path);
  return { parent, last };
}

function arrayIndex(token: string, max: number, path: string): number {
  const index = /^(0|[1-9]\d*)$/.test(token) ? Number(token) : Number.NaN;
  if (!(index <= max)) throw unprocessable(`the index ${token} in ${path} is out of bounds`);
  return index;
}

function unprocessable(message: string): ApiError {
  return new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`, {});
}
