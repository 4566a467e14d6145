import { isDeepStrictEqual } from 'node:util';
import { badRequest } from '../api-error.ts';
import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';
import { type FieldSchema, typeSchemas } from '../schema/schema.ts';
import { inElementOrder } from './element-order.ts';

/** Merges a strategic patch into an object of a built-in type. The target stays as it is. */
export function applyStrategicMerge(typeName: string, target: JsonObject, patch: JsonObject): JsonObject {
  const { $patch: directive, $retainKeys: retained, ...changes } = patch;
  if (directive === 'replace') return withoutDirectives(changes);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') throw unknownDirective(directive);
  const result = retained === undefined ? { ...target } : retain(target, changes, retained);
  for (const [name, change] of Object.entries(changes)) {
    if (name.startsWith('$')) continue;
    if (change === null || change === undefined) delete result[name];
    else result[name] = mergeField(typeSchemas[typeName]?.fields[name], result[name], change);
  }
  for (const [name, values] of Object.entries(changes))
    if (name.startsWith('$')) applyListDirective(typeName, { result, target }, name, values);
  return result;
}

function mergeField(field: FieldSchema | undefined, current: JsonObject[string], change: Json): Json {
  const type = field?.type ?? 'any';
  if (isObject(change)) {
    const elementType = type.startsWith('map:') ? type.slice(4) : type;
    return isObject(current) || hasDirective(change)
      ? applyStrategicMerge(elementType, isObject(current) ? current : {}, change)
      : withoutDirectives(change);
  }
  if (!Array.isArray(change) || field?.merge === undefined) return change;
  const list = Array.isArray(current) ? current : [];
  if (field.merge !== '') return mergeList(type.slice(2), list, change, field.merge);
  return [...list, ...change.filter((value) => !list.some((present) => isDeepStrictEqual(present, value)))];
}

function mergeList(elementType: string, current: readonly Json[], change: readonly Json[], key: string): Json[] {
  const elements = change.map((element) => checkedElement(element, key));
  if (elements.some((element) => element.$patch === 'replace'))
    return elements.filter((element) => element.$patch !== 'replace').map(withoutDirectives);
  const result = [...current];
  for (const element of elements) {
    const index = result.findIndex((present) => isObject(present) && isDeepStrictEqual(present[key], element[key]));
    if (element.$patch === 'delete') {
      if (index >= 0) result.splice(index, 1);
    } else if (index < 0) result.push(withoutDirectives(element));
    else {
      const present = result[index];
      result[index] = applyStrategicMerge(elementType, isObject(present) ? present : {}, element);
    }
  }
  return result;
}

function checkedElement(element: Json, key: string): JsonObject {
  if (!isObject(element)) throw badRequest('a list that is merged by key holds objects only');
  if (element.$patch !== 'replace' && element[key] === undefined)
    throw badRequest(`map: ${JSON.stringify(element)} does not contain declared merge key: ${key}`);
  return element;
}

/** Where there is nothing to merge with, what is meant for merging means nothing. */
function withoutDirectives(value: JsonObject): JsonObject {
  const entries = Object.entries(value).filter(([name, part]) => !name.startsWith('$') && part !== null);
  return Object.fromEntries(
    entries.map(([name, part]) => {
      if (isObject(part)) return [name, withoutDirectives(part)];
      if (!Array.isArray(part)) return [name, part];
      const kept = part.filter((element) => !(isObject(element) && element.$patch !== undefined));
      return [name, kept.map((element) => (isObject(element) ? withoutDirectives(element) : element))];
    }),
  );
}

function hasDirective(value: JsonObject): boolean {
  return value.$patch !== undefined;
}

/** `$retainKeys`: of a union, only the members named there stay. */
function retain(target: JsonObject, changes: JsonObject, names: JsonObject[string]): JsonObject {
  if (!Array.isArray(names)) throw badRequest('invalid patch format of $retainKeys: it is not a list');
  const stray = Object.keys(changes).find((name) => !name.startsWith('$') && !names.includes(name));
  if (stray !== undefined)
    throw badRequest(`invalid patch format of $retainKeys: field ${stray} is in the patch and not in the list`);
  return Object.fromEntries(Object.entries(target).filter(([name]) => names.includes(name)));
}

function applyListDirective(
  typeName: string,
  { result, target }: { result: JsonObject; target: JsonObject },
  directive: string,
  values: JsonObject[string],
): void {
  const [, action, name] = /^\$(deleteFromPrimitiveList|setElementOrder)\/(.+)$/.exec(directive) ?? [];
  if (name === undefined) throw unknownDirective(directive);
  if (!Array.isArray(values)) throw badRequest(`${directive} is not a list`);
  const list = result[name];
  if (!Array.isArray(list)) return;
  if (action === 'deleteFromPrimitiveList')
    result[name] = list.filter((element) => !values.some((value) => isDeepStrictEqual(value, element)));
  else {
    const key = typeSchemas[typeName]?.fields[name]?.merge ?? '';
    const before = target[name];
    result[name] = inElementOrder(list, { wanted: values, before: Array.isArray(before) ? before : [], key });
  }
}

function unknownDirective(directive: Json): Error {
  return badRequest(`unknown patch type ${JSON.stringify(directive)} in a strategic merge patch`);
}
