import { isDeepStrictEqual } from 'node:util';
import { badRequest } from '../api-error.ts';
import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';
import { type FieldSchema, typeSchemas } from '../schema/schema.ts';

/** How lists are merged: by the patch's own merge keys, or, for server-side apply, by the keys that identify an element. */
export type ListRule = 'patchMergeKey' | 'listMapKeys';

/** Merges a strategic patch into an object of a built-in type. The target stays as it is. */
export function applyStrategicMerge(
  typeName: string,
  target: JsonObject,
  patch: JsonObject,
  rule: ListRule = 'patchMergeKey',
): JsonObject {
  if (patch.$patch === 'replace') {
    const { $patch: _, ...rest } = patch;
    return rest;
  }
  if (patch.$patch === 'delete') return {};
  const result: JsonObject = { ...target };
  if (Array.isArray(patch.$retainKeys))
    for (const name of Object.keys(result)) if (!patch.$retainKeys.includes(name)) delete result[name];
  for (const [name, change] of Object.entries(patch)) {
    if (name.startsWith('$')) applyListDirective(typeName, result, name, change);
    else if (change === null || change === undefined) delete result[name];
    else result[name] = mergeField(typeSchemas[typeName]?.fields[name], result[name], change, rule);
  }
  applyElementOrders(typeName, result, patch);
  return result;
}

function mergeField(field: FieldSchema | undefined, current: JsonObject[string], change: Json, rule: ListRule): Json {
  const type = field?.type ?? 'any';
  if (isObject(change)) return applyStrategicMerge(type, isObject(current) ? current : {}, change, rule);
  if (!Array.isArray(change) || !field) return change;
  const keys =
    rule === 'listMapKeys'
      ? (field.listKeys ?? (field.merge ? [field.merge] : undefined))
      : field.merge
        ? [field.merge]
        : undefined;
  const list = Array.isArray(current) ? current : [];
  if (keys) return mergeList(type.slice(2), { current: list, change, keys, rule });
  if (field.merge === '')
    return [...list, ...change.filter((value) => !list.some((present) => isDeepStrictEqual(present, value)))];
  return change;
}

interface ListMerge {
  current: readonly Json[];
  change: readonly Json[];
  keys: readonly string[];
  rule: ListRule;
}

function mergeList(elementType: string, { current, change, keys, rule }: ListMerge): Json[] {
  const replace = change.some((element) => isObject(element) && element.$patch === 'replace');
  if (replace) return change.filter((element) => !(isObject(element) && element.$patch === 'replace'));
  const result = [...current];
  for (const element of change) {
    if (!isObject(element)) throw badRequest('a list that is merged by key holds objects only');
    const missing = keys.length === 1 ? keys.find((key) => element[key] === undefined) : undefined;
    if (missing) throw badRequest(`map: ${JSON.stringify(element)} does not contain declared merge key: ${missing}`);
    const index = result.findIndex((present) => isObject(present) && sameElement(present, element, keys));
    if (element.$patch === 'delete') {
      if (index >= 0) result.splice(index, 1);
      continue;
    }
    const present = result[index];
    const merged = applyStrategicMerge(elementType, isObject(present) ? present : {}, element, rule);
    if (index >= 0) result[index] = merged;
    else result.push(merged);
  }
  return result;
}

/** An absent key counts as its default: `protocol` of ports is the only one that has one. */
function sameElement(a: JsonObject, b: JsonObject, keys: readonly string[]): boolean {
  return keys.every(
    (key) =>
      (a[key] ?? (key === 'protocol' ? 'TCP' : undefined)) === (b[key] ?? (key === 'protocol' ? 'TCP' : undefined)),
  );
}

function applyListDirective(typeName: string, result: JsonObject, directive: string, values: JsonObject[string]): void {
  const name = /^\$deleteFromPrimitiveList\/(.+)$/.exec(directive)?.[1];
  if (!name || !Array.isArray(values)) return;
  const list = result[name];
  if (!Array.isArray(list)) return;
  if (!typeSchemas[typeName]) throw badRequest(`${directive} is only known for built-in kinds`);
  result[name] = list.filter((element) => !values.some((value) => isDeepStrictEqual(value, element)));
}

/** `$setElementOrder/x`: elements named there come in that order, the others keep their place relative to the end. */
function applyElementOrders(typeName: string, result: JsonObject, patch: JsonObject): void {
  for (const [directive, order] of Object.entries(patch)) {
    const name = /^\$setElementOrder\/(.+)$/.exec(directive)?.[1];
    const list = name ? result[name] : undefined;
    if (!name || !Array.isArray(order) || !Array.isArray(list)) continue;
    const key = typeSchemas[typeName]?.fields[name]?.merge ?? '';
    const rank = (element: Json): number => {
      const at = order.findIndex((wanted) =>
        key !== '' && isObject(wanted) && isObject(element)
          ? wanted[key] === element[key]
          : isDeepStrictEqual(wanted, element),
      );
      return at < 0 ? order.length : at;
    };
    result[name] = list
      .map((element, index) => ({ element, index }))
      .sort((a, b) => rank(a.element) - rank(b.element) || a.index - b.index)
      .map(({ element }) => element);
  }
}
