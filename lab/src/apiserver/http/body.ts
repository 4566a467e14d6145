import type { IncomingMessage } from 'node:http';
import { parse } from 'yaml';
import { ApiError, badRequest, unsupportedMediaType } from '../api-error.ts';
import type { Json } from '../object.ts';

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

/** A body in JSON or YAML; an empty one is `undefined`. */
export function parseBody(bytes: Buffer, type: string): Json | undefined {
  if (bytes.length === 0) return undefined;
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
