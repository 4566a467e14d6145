import type { JsonObject } from '../object.ts';
import { typeSchemas } from './schema.ts';

/** What decoding a body into a type found: wrong types are fatal, unknown fields depend on `fieldValidation`. */
export interface DecodeProblems {
  wrongTypes: string[];
  unknownFields: string[];
}

/** Checks a body against a built-in type and drops nulls and unknown fields, as decoding into a Go struct does. */
export function decode(typeName: string, body: JsonObject): { value: JsonObject; problems: DecodeProblems } {
  const problems: DecodeProblems = { wrongTypes: [], unknownFields: [] };
  return { value: decodeStruct(typeName, body, '', problems), problems };
}

function decodeStruct(typeName: string, value: JsonObject, path: string, problems: DecodeProblems): JsonObject {
  const schema = typeSchemas[typeName];
  if (!schema) return value;
  const result: JsonObject = {};
  for (const [name, part] of Object.entries(value)) {
    const field = schema.fields[name];
    const fieldPath = path === '' ? name : `${path}.${name}`;
    if (!field) problems.unknownFields.push(fieldPath);
    else if (part !== null && part !== undefined) {
      const holder = `${typeName.slice(typeName.lastIndexOf('.') + 1)}.${fieldPath}`;
      const decoded = decodeValue(field.type, part, { path: fieldPath, holder, problems });
      if (decoded !== undefined) result[name] = decoded;
    }
  }
  return result;
}

interface Place {
  path: string;
  holder: string;
  problems: DecodeProblems;
}

type Decoded = JsonObject[string];

function decodeValue(type: string, value: Decoded, place: Place): Decoded {
  if (type === 'any') return value;
  if (type.startsWith('[]')) {
    if (!Array.isArray(value)) return wrongType(type, value, place);
    const element = type.slice(2);
    return value.flatMap((part, index) => {
      if (part === null) return [];
      const decoded = decodeValue(element, part, { ...place, path: `${place.path}[${index}]` });
      return decoded === undefined ? [] : [decoded];
    });
  }
  if (type.startsWith('map:')) {
    if (!isObject(value)) return wrongType(type, value, place);
    const result: JsonObject = {};
    for (const [key, part] of Object.entries(value)) {
      // A null in a map of strings is the zero value in Go, not an absent key.
      result[key] = part === null ? '' : decodeValue(type.slice(4), part, { ...place, path: `${place.path}.${key}` });
    }
    return result;
  }
  if (type.includes('.'))
    return isObject(value) ? decodeStruct(type, value, place.path, place.problems) : wrongType(type, value, place);
  return scalarFits(type, value) ? value : wrongType(type, value, place);
}

function scalarFits(type: string, value: Decoded): boolean {
  switch (type) {
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'boolean':
      return typeof value === 'boolean';
    case 'intOrString':
      return typeof value === 'string' || (typeof value === 'number' && Number.isInteger(value));
    case 'quantity':
      return typeof value === 'string' || typeof value === 'number';
    default:
      return typeof value === 'string';
  }
}

const goNames: Record<string, string> = {
  integer: 'int32',
  boolean: 'bool',
  number: 'float64',
  bytes: '[]uint8',
  time: 'v1.Time',
};

function wrongType(type: string, value: Decoded, { holder, problems }: Place): undefined {
  const given = Array.isArray(value)
    ? 'array'
    : isObject(value)
      ? 'object'
      : typeof value === 'boolean'
        ? 'bool'
        : typeof value;
  const wanted = type
    .replace(/map:/g, 'map[string]')
    .replace(/[\w.]+$/, (name) => goNames[name] ?? name.split('.').slice(-2).join('.'));
  const shown = given === 'number' ? `number ${value}` : given;
  problems.wrongTypes.push(`json: cannot unmarshal ${shown} into Go struct field ${holder} of type ${wanted}`);
  return undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
