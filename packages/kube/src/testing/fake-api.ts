import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { objectKey } from '../objects/metadata.ts';
import { FakeStore, metaOf, type PlainObject } from './fake-store.ts';

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly watch: boolean;
}

/** Takes over a request by returning true; otherwise it is served. */
export type Fault = (request: FakeRequest, response: ServerResponse) => boolean | Promise<boolean>;

export interface FakeApiOptions {
  readonly store?: FakeStore;
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string; readonly requestCert?: boolean };
  /** Default: any that is free. */
  readonly port?: number;
  /** On all addresses of the namespace that `start` is called in; default: on 127.0.0.1, wherever the process is by then. */
  readonly everywhere?: boolean;
}

interface Watch {
  readonly plural: string;
  readonly response: ServerResponse;
  sent: number;
}

interface Target {
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

/** One API server over a store. Set `fault` to misbehave; everything it was asked is in `requests`. */
export class FakeApi implements AsyncDisposable {
  readonly store: FakeStore;
  readonly requests: FakeRequest[] = [];
  fault: Fault | undefined;
  /** Takes over a connection that is to become another protocol's, such as a WebSocket's; default: it is ended. */
  upgrade: ((request: IncomingMessage, socket: Duplex, head: Buffer) => void) | undefined;
  readonly #server: Server;
  readonly #tls: boolean;
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<Watch>();
  readonly #watching = new Set<() => void>();
  #stall: PromiseWithResolvers<void> | undefined;
  readonly #subscription: Disposable;

  private constructor(options: FakeApiOptions) {
    this.store = options.store ?? new FakeStore();
    this.#tls = options.tls !== undefined;
    const onRequest = (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response);
    this.#server = options.tls ? createTlsServer({ ...options.tls }, onRequest) : createServer(onRequest);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (this.upgrade) this.upgrade(request, socket, head);
      else socket.destroy();
    });
    this.#subscription = this.store.onChange(() => this.#pump());
  }

  static async start(options: FakeApiOptions = {}): Promise<FakeApi> {
    const api = new FakeApi(options);
    await new Promise<void>((resolve, reject) => {
      api.#server.once('error', reject);
      const port = options.port ?? 0;
      // Only without a host does Node make the socket before it returns.
      if (options.everywhere) api.#server.listen(port, resolve);
      else api.#server.listen(port, '127.0.0.1', resolve);
    });
    return api;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  get watchCount(): number {
    return this.#watches.size;
  }

  /** Resolves when so many watches are open. */
  async watchesOpen(count = 1): Promise<void> {
    while (this.#watches.size < count) await new Promise<void>((resolve) => this.#watching.add(resolve));
  }

  /** Writes text into every watch, whatever it is. */
  sendRaw(text: string): void {
    for (const { response } of this.#watches) response.write(text);
  }

  bookmark(): void {
    const metadata = { resourceVersion: `${this.store.version}` };
    this.sendRaw(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
  }

  /** Ends every watch in good order. */
  endWatches(): void {
    for (const { response } of this.#watches) response.end();
  }

  /** Holds everything: connections stay open and new ones come about, but no byte is sent until `resume`. */
  stall(): void {
    this.#stall ??= Promise.withResolvers();
  }

  resume(): void {
    this.#stall?.resolve();
    this.#stall = undefined;
    this.#pump();
  }

  /** Resets every connection, in the middle of whatever it is. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.#subscription[Symbol.dispose]();
    this.cut();
    this.resume();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    const url = new URL(incoming.url ?? '/', 'http://fake');
    const request: FakeRequest = {
      method: incoming.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      watch: url.searchParams.get('watch') === 'true',
    };
    this.requests.push(request);
    const body = await readBody(incoming).catch(() => undefined);
    await this.#stall?.promise;
    if (body === undefined || (await this.fault?.(request, response))) return;
    const target = parsePath(request.path);
    if (!target) sendStatus(response, 404, 'NotFound', `no such path ${request.path}`);
    else if (request.watch) this.#watch(request, target, response);
    else if (request.method === 'GET' && target.name === undefined) this.#list(request, target, response);
    else this.#serveObject(request, target, body, response);
  }

  #list(request: FakeRequest, target: Target, response: ServerResponse): void {
    const all = this.#selected(target);
    const limit = Number(request.query.get('limit') ?? '0') || all.length;
    const [versionText, startText] = (request.query.get('continue') ?? '').split('.');
    const start = Number(startText ?? '0');
    if (versionText && Number(versionText) < this.store.compactedTo) {
      sendStatus(response, 410, 'Expired', 'The provided continue parameter is too old');
      return;
    }
    const end = start + limit;
    const metadata = {
      resourceVersion: `${this.store.version}`,
      ...(end < all.length && { continue: `${versionText || this.store.version}.${end}` }),
    };
    const text = JSON.stringify({ kind: 'List', metadata, items: all.slice(start, end) });
    if (!String(request.headers['accept-encoding']).includes('gzip')) sendText(response, 200, text);
    else {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(gzipSync(text));
    }
  }

  #selected({ plural, namespace }: Target): PlainObject[] {
    return this.store
      .list(plural)
      .filter((object) => namespace === undefined || metaOf(object).namespace === namespace);
  }

  #watch(request: FakeRequest, { plural }: Target, response: ServerResponse): void {
    const version = Number(request.query.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' });
    if (version < this.store.compactedTo) {
      const status = { kind: 'Status', code: 410, reason: 'Expired', message: `too old resource version: ${version}` };
      response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      return;
    }
    const watch = { plural, response, sent: version };
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
    response.flushHeaders();
    this.#pump();
    for (const resolve of this.#watching) resolve();
    this.#watching.clear();
  }

  #pump(): void {
    if (this.#stall) return;
    for (const watch of this.#watches) {
      for (const { version, type, object } of this.store.eventsAfter(watch.plural, watch.sent)) {
        watch.sent = version;
        watch.response.write(`${JSON.stringify({ type, object })}\n`);
      }
    }
  }

  #serveObject(request: FakeRequest, target: Target, body: string, response: ServerResponse): void {
    const { plural, namespace, name } = target;
    const sent = body === '' ? {} : (JSON.parse(body) as PlainObject);
    if (request.method === 'POST') this.#create(target, sent, response);
    else {
      const key = objectKey({ name: name ?? '', ...(namespace !== undefined && { namespace }) });
      const object = this.store.get(plural, key);
      if (!object) sendStatus(response, 404, 'NotFound', `${plural} "${name}" not found`);
      else if (request.method === 'GET') sendText(response, 200, JSON.stringify(object));
      else if (request.method === 'PUT') this.#replace(plural, object, sent, response);
      else if (request.method === 'PATCH') this.#replace(plural, object, sent, response, merged(object, sent));
      else sendText(response, 200, JSON.stringify(this.store.remove(plural, key)));
    }
  }

  #create({ plural, namespace }: Target, sent: PlainObject, response: ServerResponse): void {
    const meta = { ...metaOf(sent), ...(namespace !== undefined && { namespace }) };
    if (this.store.get(plural, objectKey(meta))) sendStatus(response, 409, 'AlreadyExists', `${meta.name} exists`);
    else sendText(response, 201, JSON.stringify(this.store.put(plural, { ...sent, metadata: meta })));
  }

  /** A version in what was sent, also in a patch, must be the newest. */
  #replace(plural: string, object: PlainObject, sent: PlainObject, response: ServerResponse, after = sent): void {
    const version = isPlain(sent.metadata) ? sent.metadata.resourceVersion : undefined;
    if (version !== undefined && version !== metaOf(object).resourceVersion) {
      sendStatus(response, 409, 'Conflict', 'the object has been modified');
    } else sendText(response, 200, JSON.stringify(this.store.put(plural, after)));
  }
}

export function sendStatus(response: ServerResponse, code: number, reason: string, message: string): void {
  sendText(response, code, JSON.stringify({ kind: 'Status', status: 'Failure', code, reason, message }));
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(text);
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

// /api/v1[/namespaces/NS]/PLURAL[/NAME] or /apis/GROUP/VERSION...
function parsePath(path: string): Target | undefined {
  const parts = path.split('/').slice(1).map(decodeURIComponent);
  const rest = parts[0] === 'api' ? parts.slice(2) : parts[0] === 'apis' ? parts.slice(3) : [];
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest[1] : undefined;
  const [plural, name] = namespace === undefined ? rest : rest.slice(2);
  return plural ? { plural, namespace, name } : undefined;
}

function merged(object: PlainObject, patch: PlainObject): PlainObject {
  const result = { ...object };
  for (const [key, value] of Object.entries(patch)) {
    const before = result[key];
    if (value === null) delete result[key];
    else if (isPlain(value) && isPlain(before)) result[key] = merged(before, value);
    else result[key] = value;
  }
  return result;
}

function isPlain(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
