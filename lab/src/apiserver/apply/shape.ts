import { additional, type StructuralSchema } from '../custom/structural.ts';
import type { JsonObject } from '../object.ts';
import type { ResourceVersion } from '../resources.ts';
import { type FieldSchema, typeSchemas } from '../schema/schema.ts';

/**
 * How what stands at a place in an object has owners: as a whole, each field of it, each element found by its keys, or each
 * value of a set. Rules of server-side apply (structured-merge-diff).
 */
export type Shape =
  | { readonly kind: 'whole' }
  | { readonly kind: 'fields'; readonly field: (name: string) => Shape }
  | { readonly kind: 'elements'; readonly keys: readonly string[]; readonly element: Shape }
  | { readonly kind: 'set' };

const whole: Shape = { kind: 'whole' };
const set: Shape = { kind: 'set' };
/** Where no schema says more, maps are merged and everything else is one. */
const unknown: Shape = { kind: 'fields', field: () => unknown };

export function shapeOf({ schema }: ResourceVersion): Shape {
  if ('type' in schema) return typeShape(schema.type);
  const content = structuralShape(schema.structural);
  const metadata = typeShape('meta.v1.ObjectMeta');
  const field = (name: string) =>
    name === 'metadata' ? metadata : content.kind === 'fields' ? content.field(name) : whole;
  return { kind: 'fields', field };
}

function typeShape(type: string): Shape {
  if (type.startsWith('map:')) return { kind: 'fields', field: () => typeShape(type.slice(4)) };
  const schema = typeSchemas[type];
  if (!schema || schema.atomic) return whole;
  return { kind: 'fields', field: (name) => fieldShape(schema.fields[name]) };
}

function fieldShape(field: FieldSchema | undefined): Shape {
  if (!field || field.atomic) return whole;
  if (!field.type.startsWith('[]')) return typeShape(field.type);
  // Lists without a word for server-side apply go by their merge key.
  const keys = field.listKeys ?? (field.merge ? [field.merge] : undefined);
  if (keys) return { kind: 'elements', keys, element: typeShape(field.type.slice(2)) };
  return field.set || field.merge === '' ? set : whole;
}

function structuralShape(schema: StructuralSchema): Shape {
  if (schema['x-kubernetes-map-type'] === 'atomic') return whole;
  if (schema.type === 'array') return listShape(schema);
  const others = additional(schema);
  if (schema.type !== 'object' && !schema.properties && !others) return whole;
  const rest = others ? structuralShape(others) : unknown;
  return {
    kind: 'fields',
    field: (name) => {
      const property = schema.properties?.[name];
      return property ? structuralShape(property) : rest;
    },
  };
}

function listShape({ items, ...schema }: StructuralSchema): Shape {
  const type = schema['x-kubernetes-list-type'];
  if (type === 'set') return set;
  const keys = schema['x-kubernetes-list-map-keys'];
  return type === 'map' && keys && items ? { kind: 'elements', keys, element: structuralShape(items) } : whole;
}

/** An element's keys as they stand in managedFields; an absent `protocol` counts as TCP, the one default of a key. */
export function keyText(element: JsonObject, keys: readonly string[]): string {
  const values = keys.map((key) => [key, element[key] ?? (key === 'protocol' ? 'TCP' : undefined)] as const);
  return JSON.stringify(Object.fromEntries(values.sort(([a], [b]) => (a < b ? -1 : 1))));
}
