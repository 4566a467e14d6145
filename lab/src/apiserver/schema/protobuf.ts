import { badRequest } from '../api-error.ts';
import type { Json, JsonObject } from '../object.ts';
import { type FieldSchema, typeSchemas } from './schema.ts';

/** What precedes every Kubernetes object in protobuf: "k8s" and a zero. */
const magic = Buffer.from('k8s\0');

/**
 * Reads an object that kubectl sent as `application/vnd.kubernetes.protobuf` (`kubectl create deployment` and its like). The
 * envelope names the kind, the field numbers are in the generated schemas. Zeros of fields that are not pointers are dropped.
 */
export function decodeProtobuf(
  bytes: Buffer,
  typeOf: (apiVersion: string, kind: string) => string | undefined,
): JsonObject {
  if (!bytes.subarray(0, magic.length).equals(magic))
    throw badRequest('the body of the request is not a Kubernetes protobuf object');
  const envelope = new Map(fieldsOf(bytes.subarray(magic.length)).map(({ number, value }) => [number, value]));
  const typeMeta = new Map(
    fieldsOf(bytesOf(envelope.get(1))).map(({ number, value }) => [number, bytesOf(value).toString()]),
  );
  const apiVersion = typeMeta.get(1) ?? '';
  const kind = typeMeta.get(2) ?? '';
  const type = typeOf(apiVersion, kind);
  if (!type) throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}"`);
  return { apiVersion, kind, ...decodeMessage(type, bytesOf(envelope.get(2))) };
}

interface WireField {
  number: number;
  value: bigint | Buffer;
}

/** The fields of a message, undecoded: integers and byte strings. */
function fieldsOf(bytes: Buffer): WireField[] {
  const fields: WireField[] = [];
  let at = 0;
  const varint = (): bigint => {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, result);
    }
    throw badRequest('proto: unexpected EOF');
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wireType = tag & 7;
    if (wireType === 0) fields.push({ number: tag >> 3, value: varint() });
    else {
      const length = wireType === 2 ? Number(varint()) : wireType === 1 ? 8 : wireType === 5 ? 4 : undefined;
      if (length === undefined || at + length > bytes.length) throw badRequest('proto: unexpected EOF');
      fields.push({ number: tag >> 3, value: bytes.subarray(at, at + length) });
      at += length;
    }
  }
  return fields;
}

function decodeMessage(type: string, bytes: Buffer): JsonObject {
  const schema = typeSchemas[type];
  const result: JsonObject = {};
  if (!schema) return result;
  const byNumber = new Map(
    Object.entries(schema.fields).flatMap(([name, field]) =>
      field.number === undefined ? [] : [[field.number, { name, field }] as const],
    ),
  );
  for (const { number, value } of fieldsOf(bytes)) {
    const inlined = schema.inlined?.[number];
    const known = byNumber.get(number);
    if (inlined) Object.assign(result, decodeMessage(inlined, bytesOf(value)));
    else if (known) addField(result, known.name, known.field, value);
  }
  return result;
}

function addField(result: JsonObject, name: string, field: FieldSchema, value: WireField['value']): void {
  if (field.type.startsWith('[]')) {
    const list = result[name];
    const element = decodeValue(field.type.slice(2), value);
    result[name] = [...(Array.isArray(list) ? list : []), element ?? ''];
  } else if (field.type.startsWith('map:')) {
    const entry = new Map(fieldsOf(bytesOf(value)).map((part) => [part.number, part.value]));
    const key = bytesOf(entry.get(1)).toString();
    const map = result[name];
    result[name] = {
      ...(typeof map === 'object' && !Array.isArray(map) ? map : {}),
      [key]: decodeValue(field.type.slice(4), entry.get(2) ?? Buffer.alloc(0)) ?? '',
    };
  } else {
    const decoded = decodeValue(field.type, value);
    const isZero = decoded === '' || decoded === 0 || decoded === false || decoded === undefined;
    if (!isZero || field.pointer) result[name] = decoded;
  }
}

function decodeValue(type: string, value: WireField['value']): Json | undefined {
  switch (type) {
    case 'integer':
      return typeof value === 'bigint' ? Number(BigInt.asIntN(64, value)) : undefined;
    case 'boolean':
      return value === 1n;
    case 'number':
      return bytesOf(value).readDoubleLE(0);
    case 'string':
      return bytesOf(value).toString();
    case 'bytes':
      return bytesOf(value).toString('base64');
    case 'any':
      return undefined;
    case 'time':
      return decodeTime(bytesOf(value));
    case 'quantity':
      return bytesOf(fieldsOf(bytesOf(value))[0]?.value).toString();
    case 'intOrString':
      return decodeIntOrString(bytesOf(value));
    default:
      return decodeMessage(type, bytesOf(value));
  }
}

/** The zero time is an empty message. */
function decodeTime(bytes: Buffer): string | undefined {
  const parts = new Map(fieldsOf(bytes).map(({ number, value }) => [number, Number(value)]));
  const seconds = parts.get(1);
  if (!seconds) return undefined;
  const nanos = parts.get(2) ?? 0;
  return new Date(seconds * 1000 + nanos / 1e6).toISOString();
}

function decodeIntOrString(bytes: Buffer): number | string {
  const parts = new Map(fieldsOf(bytes).map(({ number, value }) => [number, value]));
  if (parts.get(1) === 1n) return bytesOf(parts.get(3)).toString();
  const number = parts.get(2);
  return typeof number === 'bigint' ? Number(BigInt.asIntN(32, number)) : 0;
}

function bytesOf(value: WireField['value'] | undefined): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
}
