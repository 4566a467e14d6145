import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';

/** RFC 7386: objects merge, null deletes, everything else replaces. The target stays as it is. */
export function applyMergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = { ...target };
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) delete result[name];
    else if (isObject(change)) {
      const current = result[name];
      result[name] = applyMergePatch(isObject(current) ? current : {}, change);
    } else result[name] = change as Json;
  }
  return result;
}
