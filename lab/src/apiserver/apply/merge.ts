import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';
import { keyText, type Shape } from './shape.ts';

type Value = Json | undefined;

/** An object with a configuration laid over it. Both stay as they are; null takes away. */
export function overlay(shape: Shape, live: Value, applied: Json): Json {
  if (shape.kind === 'fields' && isObject(applied))
    return overlayFields(shape.field, isObject(live) ? live : {}, applied);
  if (!Array.isArray(applied)) return applied;
  const list = Array.isArray(live) ? live : [];
  if (shape.kind === 'elements') return overlayElements(shape, list, applied);
  if (shape.kind !== 'set') return applied;
  return [...list, ...applied.filter((value) => !list.some((present) => isDeepStrictEqual(present, value)))];
}

function overlayFields(field: (name: string) => Shape, live: JsonObject, applied: JsonObject): JsonObject {
  const result = { ...live };
  for (const [name, value] of Object.entries(applied)) {
    if (value === null || value === undefined) delete result[name];
    else result[name] = overlay(field(name), result[name], value);
  }
  return result;
}

function overlayElements(
  { keys, element }: { readonly keys: readonly string[]; readonly element: Shape },
  live: readonly Json[],
  applied: readonly Json[],
): Json[] {
  const result = [...live];
  for (const value of applied) {
    const key = isObject(value) ? keyText(value, keys) : undefined;
    const index = result.findIndex((present) => isObject(present) && keyText(present, keys) === key);
    if (index < 0) result.push(overlay(element, undefined, value));
    else result[index] = overlay(element, result[index], value);
  }
  return result;
}
