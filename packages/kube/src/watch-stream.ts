import { KubeError } from './error.ts';
import { isRecord } from './field.ts';

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: unknown; readonly resourceVersion: string }
  /** Nothing changed up to this version. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

/**
 * Reads a watch's body: one JSON event a line. An incomplete last line is dropped: the connection broke in it, and the
 * watch is taken up again from the version before. Throws on an ERROR event, on what is no event and on one that is too large.
 */
export async function* watchEvents(chunks: AsyncIterable<Buffer>, eventBytesMax: number): AsyncGenerator<WatchEvent> {
  for await (const line of lines(chunks, eventBytesMax)) {
    const event = parseWatchEvent(line);
    if (event) yield event;
  }
}

async function* lines(chunks: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      parts.push(chunk.subarray(start, end));
      size += end - start;
      if (size > bytesMax) throw tooLarge(bytesMax);
      yield Buffer.concat(parts, size).toString('utf8');
      parts = [];
      size = 0;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > bytesMax) throw tooLarge(bytesMax);
  }
}

const newline = 0x0a;

function tooLarge(bytesMax: number): KubeError {
  return new KubeError('too-large', `a watch event is larger than ${bytesMax} bytes`);
}

function parseWatchEvent(line: string): WatchEvent | undefined {
  if (line.trim() === '') return undefined;
  const event = parseJson(line);
  const object = event.object;
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event.type, object, resourceVersion: resourceVersionOf(object) };
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: resourceVersionOf(object) };
    case 'ERROR':
      throw statusError(object);
    default:
      throw new KubeError('malformed', `a watch event of unknown type ${JSON.stringify(event.type)?.slice(0, 40)}`);
  }
}

function parseJson(line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new KubeError('malformed', `a watch event is not JSON: ${line.slice(0, 80)}`, { cause });
  }
  if (!isRecord(value)) throw new KubeError('malformed', `a watch event is not an object: ${line.slice(0, 80)}`);
  return value;
}

/** metadata.resourceVersion, or empty. */
export function resourceVersionOf(object: unknown): string {
  const metadata = isRecord(object) ? object.metadata : undefined;
  const version = isRecord(metadata) ? metadata.resourceVersion : undefined;
  return typeof version === 'string' ? version : '';
}

/** The error that a Status object speaks of. */
export function statusError(object: unknown): KubeError {
  const status = isRecord(object) ? object : {};
  const code = typeof status.code === 'number' ? status.code : 500;
  const reason = typeof status.reason === 'string' ? status.reason : '';
  const message = typeof status.message === 'string' ? status.message : 'no message';
  return new KubeError('status', `watch: ${code} ${reason}: ${message.slice(0, 500)}`, { status: code, reason });
}
