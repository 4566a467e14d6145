import type { IncomingMessage } from 'node:http';
import { parse } from 'yaml';
import { ApiError, badRequest, unsupportedMediaType } from '../api-error.ts';
import type { Json } from '../object.ts';
import { decodeProtobuf } from '../schema/protobuf.ts';
import { typeSchemas } from '../schema/schema.ts';

/** Bytes of a request body, the real server's limit. */
const bodyBytesMax = 3 * 1024 * 1024;

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    if (size > bodyBytesMax)
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${bodyBytesMax}`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
}

/** A body in JSON, YAML or protobuf; an empty one is `undefined`. */
export function parseBody(bytes: Buffer, type: string): Json | undefined {
  if (bytes.length === 0) return undefined;
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(bytes, builtinType);
  const isYaml = type.endsWith('yaml');
  if (!isYaml && type !== '' && !type.endsWith('json'))
    throw unsupportedMediaType(type, ['application/json', 'application/yaml']);
  try {
    const value: Json = isYaml ? parse(bytes.toString()) : JSON.parse(bytes.toString());
    return value;
  } catch (error) {
    throw badRequest(
      `the body of the request is not ${isYaml ? 'YAML' : 'JSON'}: ${error instanceof Error ? error.message : ''}`,
    );
  }
}

/** Options of a deletion come in the version of whatever is deleted, but are one type. */
function builtinType(apiVersion: string, kind: string): string | undefined {
  if (kind === 'DeleteOptions') return 'meta.v1.DeleteOptions';
  const goPackage = apiVersion === 'v1' ? 'core' : apiVersion.slice(0, apiVersion.indexOf('/')).split('.')[0];
  const type = `${goPackage}.v1.${kind}`;
  return typeSchemas[type] ? type : undefined;
}
