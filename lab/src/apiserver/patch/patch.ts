import { badRequest, unsupportedMediaType } from '../api-error.ts';
import type { Json, JsonObject } from '../object.ts';
import type { ResourceVersion } from '../resources.ts';
import { isObject } from '../schema/decode.ts';
import type { PatchType } from '../store.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { applyStrategicMerge } from './strategic-merge.ts';

/** Media types of the four kinds of patch. */
export const patchMediaTypes: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
};

/** Applies a patch to an object. Server-side apply is more than a patch, see `../apply`. */
export function applyPatch(
  { schema }: ResourceVersion,
  current: JsonObject,
  { type, body }: { type: Exclude<PatchType, 'apply'>; body: Json | JsonObject },
): JsonObject {
  if (type === 'json') return applyJsonPatch(current, body);
  if (!isObject(body)) throw badRequest('a patch must be an object');
  if (type === 'merge') return applyMergePatch(current, body);
  if ('type' in schema) return applyStrategicMerge(schema.type, current, body);
  throw unsupportedMediaType(
    'application/strategic-merge-patch+json',
    Object.keys(patchMediaTypes).filter((media) => patchMediaTypes[media] !== 'strategic'),
  );
}
