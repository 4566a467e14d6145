import { isDeepStrictEqual } from 'node:util';
import { isAddress, parsePrefix } from '@sluice/net';
import { FieldErrors } from '../field-errors.ts';
import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';
import { additional, type StructuralSchema } from './structural.ts';

/**
 * Checks a value against a structural schema, in the real server's wording. Not evaluated: CEL rules
 * (`x-kubernetes-validations`).
 */
export function validateStructural(
  schema: StructuralSchema,
  value: JsonObject[string],
  path: string,
  errors: FieldErrors,
): void {
  if (value === undefined) return;
  if (value === null) {
    if (!schema.nullable)
      errors.invalid(path, 'null', `${path} in body must be of type ${schema.type ?? 'object'}: "null"`);
    return;
  }
  if (!hasType(schema, value)) {
    errors.invalid(
      path,
      typeName(value),
      `${path} in body must be of type ${wantedType(schema)}: "${typeName(value)}"`,
    );
    return;
  }
  if (schema.enum && !schema.enum.some((allowed) => isDeepStrictEqual(allowed, value)))
    errors.notSupported(path, value, schema.enum.map(String));
  if (typeof value === 'string') validateString(schema, value, path, errors);
  else if (typeof value === 'number') validateNumber(schema, value, path, errors);
  else if (Array.isArray(value)) validateList(schema, value, path, errors);
  else if (isObject(value)) validateMap(schema, value, path, errors);
  validateCombinations(schema, value, path, errors);
}

function hasType(schema: StructuralSchema, value: Json): boolean {
  if (schema['x-kubernetes-int-or-string']) return typeof value === 'string' || Number.isInteger(value);
  switch (schema.type) {
    case undefined:
      return true;
    case 'integer':
      return Number.isInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    default:
      return typeof value === schema.type;
  }
}

function wantedType(schema: StructuralSchema): string {
  return schema['x-kubernetes-int-or-string'] ? 'integer,string' : (schema.type ?? '');
}

function typeName(value: Json): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return value === null ? 'null' : typeof value;
}

function validateString(schema: StructuralSchema, value: string, path: string, errors: FieldErrors): void {
  const length = [...value].length;
  if (schema.minLength !== undefined && length < schema.minLength)
    errors.invalid(path, value, `${path} in body should be at least ${schema.minLength} chars long`);
  if (schema.maxLength !== undefined && length > schema.maxLength)
    errors.invalid(path, value, `Too long: may not be more than ${schema.maxLength} bytes`);
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value))
    errors.invalid(path, value, `${path} in body should match '${schema.pattern}'`);
  if (schema.format !== undefined && !hasFormat(schema.format, value))
    errors.invalid(path, value, `${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`);
}

function hasFormat(format: string, value: string): boolean {
  switch (format) {
    case 'ipv4':
    case 'ipv6':
      return isAddress(value) && value.includes(':') === (format === 'ipv6');
    case 'cidr':
      return isPrefix(value);
    case 'date-time':
      return /^\d{4}-\d\d-\d\d[Tt]/.test(value) && !Number.isNaN(Date.parse(value));
    default:
      return true;
  }
}

function isPrefix(text: string): boolean {
  try {
    parsePrefix(text, { lenient: true });
    return true;
  } catch {
    return false;
  }
}

function validateNumber(schema: StructuralSchema, value: number, path: string, errors: FieldErrors): void {
  const { minimum, maximum } = schema;
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum))
    errors.invalid(
      path,
      value,
      `${path} in body should be greater than ${schema.exclusiveMinimum ? '' : 'or equal to '}${minimum}`,
    );
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum))
    errors.invalid(
      path,
      value,
      `${path} in body should be less than ${schema.exclusiveMaximum ? '' : 'or equal to '}${maximum}`,
    );
  if (schema.multipleOf !== undefined && value % schema.multipleOf !== 0)
    errors.invalid(path, value, `${path} in body should be a multiple of ${schema.multipleOf}`);
}

function validateList(schema: StructuralSchema, value: readonly Json[], path: string, errors: FieldErrors): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems)
    errors.invalid(path, value.length, `must have at most ${schema.maxItems} items`);
  if (schema.minItems !== undefined && value.length < schema.minItems)
    errors.invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`);
  const seen = new Set<string>();
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  for (const [index, element] of value.entries()) {
    if (schema.items) validateStructural(schema.items, element, `${path}[${index}]`, errors);
    if (schema['x-kubernetes-list-type'] !== 'map' && schema['x-kubernetes-list-type'] !== 'set') continue;
    const identity =
      isObject(element) && keys.length > 0 ? Object.fromEntries(keys.map((key) => [key, element[key]])) : element;
    const text = JSON.stringify(identity);
    if (seen.has(text)) errors.duplicate(`${path}[${index}]`, identity);
    seen.add(text);
  }
}

function validateMap(schema: StructuralSchema, value: JsonObject, path: string, errors: FieldErrors): void {
  for (const name of schema.required ?? []) if (value[name] === undefined) errors.required(join(path, name));
  const count = Object.keys(value).length;
  if (schema.maxProperties !== undefined && count > schema.maxProperties)
    errors.invalid(path, count, `must have at most ${schema.maxProperties} properties`);
  if (schema.minProperties !== undefined && count < schema.minProperties)
    errors.invalid(path, count, `${path} in body should have at least ${schema.minProperties} properties`);
  const others = additional(schema);
  for (const [name, part] of Object.entries(value)) {
    const known = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : others;
    if (known) validateStructural(known, part, join(path, name), errors);
  }
}

function validateCombinations(schema: StructuralSchema, value: Json, path: string, errors: FieldErrors): void {
  const passing = (schemas: readonly StructuralSchema[]) =>
    schemas.filter((candidate) => fits(candidate, value)).length;
  for (const part of schema.allOf ?? []) validateStructural(part, value, path, errors);
  if (schema.anyOf && passing(schema.anyOf) === 0)
    errors.invalid(path, value, `${path} in body must validate at least one schema (anyOf)`);
  if (schema.oneOf && passing(schema.oneOf) !== 1)
    errors.invalid(path, value, `${path} in body must validate one and only one schema (oneOf)`);
  if (schema.not && fits(schema.not, value))
    errors.invalid(path, value, `${path} in body must not validate the schema (not)`);
}

function fits(schema: StructuralSchema, value: Json): boolean {
  const errors = new FieldErrors();
  validateStructural(schema, value, '', errors);
  return errors.causes.length === 0;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
