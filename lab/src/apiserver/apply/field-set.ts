import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';
import { keyText, type Shape } from './shape.ts';

/** Fields of an object in the form of managedFields (FieldsV1): `f:` a field, `k:` an element, `v:` a value, `.` itself. */
export type FieldSet = { readonly [step: string]: FieldSet };

type Value = Json | undefined;

/** All that a configuration says something about. */
export function fieldsOf(shape: Shape, value: Value): FieldSet {
  const steps: Record<string, FieldSet> = {};
  if (shape.kind === 'fields' && isObject(value)) {
    for (const [name, part] of Object.entries(value))
      if (part !== undefined) steps[`f:${name}`] = fieldsOf(shape.field(name), part);
  } else if (shape.kind === 'elements' && Array.isArray(value)) {
    for (const element of value.filter(isObject))
      steps[`k:${keyText(element, shape.keys)}`] = { '.': {}, ...fieldsOf(shape.element, element) };
  } else if (shape.kind === 'set' && Array.isArray(value)) {
    for (const part of value) steps[`v:${JSON.stringify(part)}`] = {};
  }
  return steps;
}

/** What of a set is the same before and after a write; undefined: nothing. Whoever changed the rest has it now. */
export function unchanged(
  fields: FieldSet,
  shape: Shape,
  { before, after }: { before: Value; after: Value },
): FieldSet | undefined {
  if (isEmpty(fields)) return isDeepStrictEqual(before, after) ? fields : undefined;
  const kept: Record<string, FieldSet> = {};
  for (const [step, below] of Object.entries(fields)) {
    if (step === '.') {
      if (after !== undefined) kept[step] = below;
      continue;
    }
    const place = placeOf(shape, step);
    const part = unchanged(below, place.shape, { before: place.get(before), after: place.get(after) });
    if (part) kept[step] = part;
  }
  return isEmpty(kept) ? undefined : kept;
}

/** Takes out of an object what its owner no longer mentions and nobody else has. */
export function withoutDropped(
  shape: Shape,
  value: Value,
  { before, now, others }: { before: FieldSet; now: FieldSet; others: readonly FieldSet[] },
): Value {
  let result = value;
  for (const [step, below] of Object.entries(before)) {
    if (step === '.') continue;
    const place = placeOf(shape, step);
    const part = place.get(result);
    if (part === undefined) continue;
    const held = [now, ...others].flatMap((each) => each[step] ?? []);
    const isOne = isEmpty(below) || '.' in below;
    if (isOne && held.length === 0) result = place.set(result, undefined);
    else if (!isEmpty(below)) {
      const sets = { before: below, now: now[step] ?? {}, others: others.flatMap((each) => each[step] ?? []) };
      result = place.set(result, withoutDropped(place.shape, part, sets));
    }
  }
  return isHollow(result) && !isHollow(value) ? undefined : result;
}

interface Place {
  readonly shape: Shape;
  get(holder: Value): Value;
  /** The holder with another value there, or, with undefined, with none; the holder itself stays as it is. */
  set(holder: Value, value: Value): Value;
}

function placeOf(shape: Shape, step: string): Place {
  const text = step.slice(2);
  if (step.startsWith('f:')) return fieldPlace(shape.kind === 'fields' ? shape.field(text) : { kind: 'whole' }, text);
  if (step.startsWith('k:') && shape.kind === 'elements')
    return elementPlace(shape.element, (element) => isObject(element) && keyText(element, shape.keys) === text);
  return elementPlace({ kind: 'whole' }, (element) => JSON.stringify(element) === text);
}

function fieldPlace(shape: Shape, name: string): Place {
  return {
    shape,
    get: (holder) => (isObject(holder) && Object.hasOwn(holder, name) ? holder[name] : undefined),
    set: (holder, value) => {
      const { [name]: _, ...rest }: JsonObject = isObject(holder) ? holder : {};
      return value === undefined ? rest : { ...rest, [name]: value };
    },
  };
}

function elementPlace(shape: Shape, isIt: (element: Json) => boolean): Place {
  return {
    shape,
    get: (holder) => (Array.isArray(holder) ? holder.find(isIt) : undefined),
    set: (holder, value) => {
      const list = Array.isArray(holder) ? holder : [];
      return list.flatMap((element) => (isIt(element) ? (value === undefined ? [] : [value]) : [element]));
    },
  };
}

function isEmpty(fields: FieldSet): boolean {
  return Object.keys(fields).length === 0;
}

function isHollow(value: Value): boolean {
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
}
