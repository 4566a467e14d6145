import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';

/** The schema of a custom resource: OpenAPI v3 in the structural form that apiextensions.k8s.io/v1 demands. */
export interface StructuralSchema {
  type?: string;
  description?: string;
  format?: string;
  nullable?: boolean;
  default?: Json;
  enum?: Json[];
  properties?: Record<string, StructuralSchema>;
  required?: string[];
  additionalProperties?: boolean | StructuralSchema;
  items?: StructuralSchema;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  minItems?: number;
  maxItems?: number;
  minProperties?: number;
  maxProperties?: number;
  uniqueItems?: boolean;
  multipleOf?: number;
  oneOf?: StructuralSchema[];
  anyOf?: StructuralSchema[];
  allOf?: StructuralSchema[];
  not?: StructuralSchema;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: 'atomic' | 'granular';
}

const rootFields = ['apiVersion', 'kind', 'metadata'];

/** Drops fields that the schema does not know and returns their paths. apiVersion, kind and metadata always stay. */
export function prune(schema: StructuralSchema, object: JsonObject): { value: JsonObject; unknownFields: string[] } {
  const unknownFields: string[] = [];
  const { apiVersion, kind, metadata, ...rest } = object;
  const pruned = pruneObject(schema, rest, '', unknownFields);
  return { value: { apiVersion, kind, metadata, ...pruned }, unknownFields };
}

function pruneObject(schema: StructuralSchema, value: JsonObject, path: string, unknown: string[]): JsonObject {
  const result: JsonObject = {};
  for (const [name, part] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`;
    const known =
      schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : additional(schema);
    if (known && part !== undefined) result[name] = pruneValue(known, part, at, unknown);
    else if (schema['x-kubernetes-preserve-unknown-fields'] || schema.additionalProperties === true)
      result[name] = part;
    else if (schema['x-kubernetes-embedded-resource'] && rootFields.includes(name)) result[name] = part;
    else unknown.push(at);
  }
  return result;
}

function pruneValue(schema: StructuralSchema, value: Json, path: string, unknown: string[]): Json {
  if (isObject(value))
    return schema.type === 'object' || schema.properties ? pruneObject(schema, value, path, unknown) : value;
  if (!Array.isArray(value) || !schema.items) return value;
  const { items } = schema;
  return value.map((element, index) => pruneValue(items, element, `${path}[${index}]`, unknown));
}

/** Fills in defaults, in place, wherever the enclosing object is present. */
export function applyDefaults(schema: StructuralSchema, value: JsonObject[string]): void {
  if (isObject(value)) {
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const isAbsent = value[name] === undefined || (value[name] === null && !property.nullable);
      if (isAbsent && property.default !== undefined) value[name] = structuredClone(property.default);
      else if (isAbsent && value[name] === null) delete value[name];
      applyDefaults(property, value[name]);
    }
    const others = additional(schema);
    if (others)
      for (const [name, part] of Object.entries(value)) if (!schema.properties?.[name]) applyDefaults(others, part);
  } else if (Array.isArray(value) && schema.items) for (const element of value) applyDefaults(schema.items, element);
}

export function additional(schema: StructuralSchema): StructuralSchema | undefined {
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
}
