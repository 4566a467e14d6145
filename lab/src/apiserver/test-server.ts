import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from './object.ts';
import { type ApiServer, type PodHooks, startApiServer } from './server.ts';

/** A server on a loopback port with a directory of its own, for tests. */
export interface TestServer extends AsyncDisposable {
  readonly server: ApiServer;
  readonly directory: string;
  /** One request with the administrator's certificate, or without. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Lines of a watch, as they come. */
  watch(path: string): AsyncGenerator<JsonObject>;
}

interface CallOptions {
  body?: unknown;
  headers?: Record<string, string>;
  anonymous?: boolean;
}

interface Answer {
  code: number;
  body: JsonObject;
  headers: NodeJS.Dict<string | string[]>;
}

export async function startTestServer(
  options: { hooks?: PodHooks; directory?: string; historyMax?: number } = {},
): Promise<TestServer> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'sluice-api-'));
  const server = await startApiServer({
    directory,
    listeners: [{ host: '127.0.0.1', port: 0 }],
    ...(options.hooks && { hooks: options.hooks }),
    ...(options.historyMax !== undefined && { historyMax: options.historyMax }),
  });
  const { certificate, key } = server.issueClientCertificate('tester', ['system:masters']);
  const open = (method: string, path: string, { headers = {}, anonymous = false }: CallOptions): ClientRequest =>
    httpsRequest(new URL(path, server.url), {
      method,
      headers,
      ca: server.ca,
      agent: false,
      ...(!anonymous && { cert: certificate, key }),
    });
  return {
    server,
    directory,
    call: (method, path, call = {}) =>
      exchange(
        open(method, path, { ...call, headers: { 'content-type': 'application/json', ...call.headers } }),
        call.body,
      ),
    watch: (path) => lines(open('GET', path, {})),
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      if (!options.directory) rmSync(directory, { recursive: true, force: true });
    },
  };
}

function exchange(request: ClientRequest, body: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = response.headers['content-type']?.includes('json');
        resolve({
          code: response.statusCode ?? 0,
          headers: response.headers,
          body: isJson ? JSON.parse(text) : { text },
        });
      });
    });
    const bytes = encode(body);
    // A DELETE has no body for Node unless its length is said.
    if (bytes) request.setHeader('content-length', bytes.length);
    request.end(bytes);
  });
}

function encode(body: unknown): Buffer | undefined {
  if (body === undefined || Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

async function* lines(request: ClientRequest): AsyncGenerator<JsonObject> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', resolve);
    request.end();
  });
  try {
    let rest = '';
    for await (const chunk of response) {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) yield JSON.parse(part);
    }
  } finally {
    request.destroy();
  }
}
