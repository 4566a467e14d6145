import { type Clock, type Logger, silentLogger, sleep, systemClock } from '@sluice/runtime';
import type { KubeConfiguration } from './configuration.ts';
import { type ConnectionProof, Credentials, type ProofSource } from './credentials.ts';
import { KubeError } from './error.ts';
import { type ExchangeListener, type ExchangeResponse, exchange, NotConnectedError } from './exchange.ts';
import { isRecord } from './field.ts';
import { defaultLimits, type KubeLimits } from './limits.ts';
import { eachObject, type ListOptions, listAll, type ObjectList } from './list.ts';
import { Pulse } from './pulse.ts';
import { apiVersionOf, pathTemplate, type Resource, resourcePath } from './resource.ts';
import { type ServerStatus, Servers } from './servers.ts';
import { type WatchEvent, watchEvents } from './watch-stream.ts';

export interface KubeClientOptions extends KubeConfiguration {
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Changes to `defaultLimits`. */
  readonly limits?: Partial<KubeLimits>;
  /** Default `sluice`. */
  readonly userAgent?: string;
  /** Required where the configuration names a `plugin`: who runs it. */
  readonly proofSource?: ProofSource;
  /** Told of each request that was answered, or was not. */
  readonly onCall?: (call: ApiCall) => void;
}

export interface ApiCall {
  readonly method: string;
  /** Name and port of the server. */
  readonly host: string;
  /** With `{namespace}` and `{name}` in the place of names, see `pathTemplate`. */
  readonly path: string;
  /** Undefined: no answer came. */
  readonly status: number | undefined;
  /** To the head of the answer. */
  readonly seconds: number;
}

/** Which object; the namespace only for kinds that have one. */
export interface ObjectName {
  readonly namespace?: string;
  readonly name: string;
  readonly subresource?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface RawRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** Default application/json. */
  readonly contentType?: string;
  readonly bytesMax?: number;
  /** Told how large the answer was. */
  readonly onSize?: (bytes: number) => void;
  /** Whether to ask a busy server (429) again; default true. Who waits by itself says no, and learns of it at once. */
  readonly patient?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface PatchOptions extends ObjectName {
  readonly patch: unknown;
  /** `merge` (default) works for every kind; `strategic` only for built-in ones; `apply` needs a field manager. */
  readonly type?: 'merge' | 'json' | 'strategic' | 'apply';
  readonly fieldManager?: string;
}

export interface DeleteOptions extends ObjectName {
  /** Refuse unless the object is this very one. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly gracePeriodSeconds?: number;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly resourceVersion: string;
  /** After which the server ends the watch by itself. */
  readonly timeoutSeconds: number;
  /** Called when the server has accepted the watch. */
  readonly onOpen?: () => void;
  readonly signal?: AbortSignal | undefined;
}

/** Different ones; who warns of everything is not heard for ever. */
const warningsMax = 50;
/** What a server may be late in ending a watch, before we end it. */
const watchOverdueMs = 30_000;

const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export function createKubeClient(options: KubeClientOptions): KubeClient {
  return new KubeClient(options);
}

/** A thin client: paths and JSON in, parsed JSON or KubeError out. Reads go to the next server when one fails. */
export class KubeClient implements Disposable {
  readonly limits: KubeLimits;
  readonly #options: KubeClientOptions;
  readonly #clock: Clock;
  readonly #credentials: Credentials;
  readonly #servers: Servers;
  readonly #pulse: Pulse;
  #clockAheadMs: number | undefined;
  readonly #warnings = new Set<string>();

  constructor(options: KubeClientOptions) {
    this.#options = options;
    this.limits = { ...defaultLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    const { keepAliveMs, quietMs } = this.limits;
    const { plugin, proofSource } = options;
    if (plugin !== undefined && proofSource === undefined) throw new Error(`nobody would run ${plugin.command}`);
    this.#credentials = new Credentials(options, { clock: this.#clock, keepAliveMs, proofSource });
    this.#servers = new Servers({
      urls: options.servers,
      clock: this.#clock,
      log: options.log ?? silentLogger,
      probeMs: this.limits.probeMs,
      probe: (url) => this.#probe(url),
    });
    this.#pulse = new Pulse({
      clock: this.#clock,
      quietMs,
      ask: (url) => this.#ask(url),
      onSilent: (url, error) => this.#servers.failed(url, error),
    });
  }

  get(resource: Resource, { signal, ...name }: ObjectName): Promise<unknown> {
    return this.request({ method: 'GET', path: resourcePath(resource, name), signal });
  }

  /** Everything there is, read in chunks. */
  list(resource: Resource, options: ListOptions = {}): Promise<ObjectList> {
    return listAll(this, resource, options);
  }

  /** The same one by one, so that no more than two pages are held. */
  each(resource: Resource, options: ListOptions = {}): AsyncGenerator<unknown> {
    return eachObject(this, resource, options);
  }

  create(resource: Resource, object: object, options: Omit<ObjectName, 'name'> & { name?: string } = {}) {
    const { signal, ...name } = options;
    const body = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
    return this.request({ method: 'POST', path: resourcePath(resource, name), body, signal });
  }

  /** Replaces the object; a conflict error when `metadata.resourceVersion` is given and no longer the newest. */
  update(resource: Resource, object: object, { signal, ...name }: ObjectName): Promise<unknown> {
    const body = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
    return this.request({ method: 'PUT', path: resourcePath(resource, name), body, signal });
  }

  patch(resource: Resource, options: PatchOptions): Promise<unknown> {
    const { patch, type = 'merge', fieldManager, signal, ...name } = options;
    const path = resourcePath(resource, name);
    return this.request({
      method: 'PATCH',
      path,
      query: { fieldManager },
      body: patch,
      contentType: patchTypes[type],
      signal,
    });
  }

  delete(resource: Resource, options: DeleteOptions): Promise<unknown> {
    const { uid, resourceVersion, gracePeriodSeconds, signal, ...name } = options;
    const preconditions = { uid, resourceVersion };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds, preconditions };
    return this.request({ method: 'DELETE', path: resourcePath(resource, name), body, signal });
  }

  /** Changes from a version on, until the server ends the watch; throws KubeError when it breaks. */
  async *watch(resource: Resource, options: WatchOptions): AsyncGenerator<WatchEvent> {
    const { namespace, fieldSelector, labelSelector, resourceVersion, timeoutSeconds, onOpen, signal } = options;
    const query = { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: `${timeoutSeconds}` };
    const response = await this.#send(
      {
        method: 'GET',
        path: resourcePath(resource, { namespace }),
        query: { ...query, resourceVersion, fieldSelector, labelSelector },
        patient: false,
        signal,
      },
      { idleMs: this.limits.watchIdleMs, bodyMs: timeoutSeconds * 1000 + watchOverdueMs },
    );
    onOpen?.();
    yield* watchEvents(response.chunks(), this.limits.watchEventBytes);
  }

  /** Any request whose answer is JSON (or nothing: undefined). */
  async request(request: RawRequest): Promise<unknown> {
    const text = await this.requestText(request);
    if (text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new KubeError('malformed', `${describe(request)}: the answer is not JSON: ${text.slice(0, 80)}`, { cause });
    }
  }

  /** The same for an answer that is no JSON, such as a pod's log. */
  async requestText(request: RawRequest): Promise<string> {
    const { bodyIdleMs, bodyMs } = this.limits;
    const response = await this.#send(request, { idleMs: bodyIdleMs, bodyMs });
    const { text, size } = await readText(response, request.bytesMax ?? this.limits.objectBytes, request);
    request.onSize?.(size);
    return text;
  }

  /** For a connection to the first server that is not made here. */
  async proof(signal?: AbortSignal): Promise<ConnectionProof> {
    await this.#credentials.ready(signal);
    const agent = this.#credentials.agentFor(new URL(this.#options.servers[0] ?? ''));
    const { serverName, version } = this.#credentials;
    return { agent, headers: this.#credentials.headers(), serverName, version };
  }

  /** When a server has refused it (401): whether there is another one now. */
  renewProof({ version }: ConnectionProof, signal?: AbortSignal): Promise<boolean> {
    return this.#credentials.renew(version, signal);
  }

  /** The API servers in order of preference, and which of them is in use. */
  servers(): readonly ServerStatus[] {
    return this.#servers.status();
  }

  /** How far our clock is ahead of the server's, by its last answer that told the time, to a second. */
  get clockAheadMs(): number | undefined {
    return this.#clockAheadMs;
  }

  close(): void {
    this.#servers.close();
    this.#pulse.close();
    this.#credentials.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // A busy server is asked again later, a refused token is read anew once.
  async #send(request: RawRequest, times: BodyTimes): Promise<ExchangeResponse> {
    const retries = (request.patient ?? true) ? this.limits.busyRetries : 0;
    let renewed = false;
    for (let busy = 0; ; ) {
      await this.#credentials.ready(request.signal);
      const { version } = this.#credentials;
      const response = await this.#sendToSome(request, times);
      if (response.status < 300) return response;
      const error = await this.#errorOf(response, request);
      if (error.status === 401 && !renewed && (await this.#credentials.renew(version, request.signal))) renewed = true;
      else if (error.status === 429 && busy < retries) {
        busy++;
        await sleep(this.#clock, error.retryAfterMs ?? 1_000 * 2 ** busy, request.signal);
      } else throw error;
    }
  }

  // Tries each server at most once. A write is only repeated when the first server cannot have seen it.
  async #sendToSome(request: RawRequest, times: BodyTimes): Promise<ExchangeResponse> {
    const tried = new Set<string>();
    for (let url = this.#servers.pick(tried); ; ) {
      if (url === undefined) throw new KubeError('unreachable', `${describe(request)}: no API server`);
      tried.add(url);
      const next = this.#servers.pick(tried);
      try {
        const response = await this.#exchange(url, request, { ...times, listener: this.#listenerFor(url) });
        if (!isGatewayFailure(response.status) || request.method !== 'GET' || next === undefined) {
          if (response.status < 500) this.#servers.succeeded(url);
          return response;
        }
        response.discard();
        this.#servers.failed(url, `answered ${response.status}`);
      } catch (error) {
        if (request.signal?.aborted) throw error;
        this.#servers.failed(url, error);
        if (next === undefined || !(request.method === 'GET' || error instanceof NotConnectedError)) throw error;
      }
      url = next;
    }
  }

  #exchange(server: string, request: RawRequest, terms: ExchangeTerms): Promise<ExchangeResponse> {
    const url = new URL(server + request.path);
    for (const [key, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined && value !== '') url.searchParams.set(key, value);
    }
    const { connectMs, headerMs } = this.limits;
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const answer = exchange({
      method: request.method,
      url,
      headers: this.#headers(request, body),
      body,
      agent: this.#credentials.agentFor(url),
      serverName: this.#credentials.serverName,
      connectMs,
      headerMs,
      ...terms,
      clock: this.#clock,
      signal: request.signal,
    });
    return this.#told(answer, url, request);
  }

  // What the caller himself has ended is no call that failed.
  async #told(answer: Promise<ExchangeResponse>, url: URL, request: RawRequest): Promise<ExchangeResponse> {
    const beganNs = this.#clock.monotonicNs();
    const tell = (status: number | undefined) =>
      this.#options.onCall?.({
        method: request.method,
        host: url.host,
        path: pathTemplate(request.path),
        status,
        seconds: Number(this.#clock.monotonicNs() - beganNs) / 1e9,
      });
    try {
      const response = await answer;
      tell(response.status);
      this.#compareClocks(response.header('date'));
      this.#heed(response.header('warning'), request);
      return response;
    } catch (error) {
      if (!request.signal?.aborted) tell(undefined);
      throw error;
    }
  }

  // RFC 9110, 6.6.1: when the answer was made, in whole seconds.
  #compareClocks(date: string | undefined): void {
    const told = date === undefined ? Number.NaN : Date.parse(date);
    if (!Number.isNaN(told)) this.#clockAheadMs = this.#clock.now() - told;
  }

  /** What a server says besides its answer, once for each text: above all that what we ask for is deprecated (KEP-1693). */
  #heed(warning: string | undefined, { method, path }: RawRequest): void {
    if (warning === undefined || this.#warnings.has(warning) || this.#warnings.size >= warningsMax) return;
    this.#warnings.add(warning);
    const told = { request: `${method} ${pathTemplate(path)}`, warning: warning.slice(0, 500) };
    this.#options.log?.warn(told, 'the API server warns');
  }

  #listenerFor(url: string): ExchangeListener {
    return { begin: (breakOff) => this.#pulse.wait(url, breakOff), heard: () => this.#pulse.heard(url) };
  }

  #headers(
    { contentType = 'application/json' }: RawRequest,
    body: string | undefined,
  ): Record<string, string | string[]> {
    return {
      ...this.#credentials.headers(),
      accept: 'application/json',
      'accept-encoding': 'gzip',
      'user-agent': this.#options.userAgent ?? 'sluice',
      // Node frames the body of a DELETE only when it is told the length.
      ...(body !== undefined && { 'content-type': contentType, 'content-length': `${Buffer.byteLength(body)}` }),
    };
  }

  async #errorOf(response: ExchangeResponse, request: RawRequest): Promise<KubeError> {
    const { status } = response;
    const { text } = await readText(response, this.limits.objectBytes, request).catch(() => ({ text: '' }));
    const { reason, message } = parseStatus(text);
    const retryAfterMs = this.#retryAfterMs(response.header('retry-after'));
    const location = response.header('location');
    // It is what stands before the API server that leads elsewhere, mostly to a page to log in.
    const elsewhere = location === undefined ? '' : ` to ${location.slice(0, 200)}`;
    const summary = `${describe(request)}: ${status}${elsewhere}${reason && ` ${reason}`}${message && `: ${message}`}`;
    return new KubeError('status', summary, { status, reason, retryAfterMs });
  }

  // RFC 9110, 10.2.3: seconds, or, from a proxy in between, a date.
  #retryAfterMs(header: string | undefined): number | undefined {
    if (header === undefined) return undefined;
    const wantedMs = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - this.#clock.now();
    return Number.isNaN(wantedMs) ? undefined : Math.min(Math.max(0, wantedMs), this.limits.retryAfterMs);
  }

  // Any answer at all, be it "forbidden", comes from a server that works.
  async #probe(url: string): Promise<void> {
    const { bodyIdleMs: idleMs, bodyMs } = this.limits;
    const response = await this.#exchange(url, { method: 'GET', path: '/readyz' }, { idleMs, bodyMs });
    response.discard();
    if (response.status >= 500) throw new KubeError('status', `${url} answered ${response.status}`);
  }

  // A server that fails is not a silent one. Health is answered before any limit on the rate of requests.
  async #ask(url: string): Promise<void> {
    const { pulseMs: headerMs, bodyIdleMs: idleMs, bodyMs } = this.limits;
    const response = await this.#exchange(url, { method: 'GET', path: '/livez' }, { headerMs, idleMs, bodyMs });
    response.discard();
  }
}

interface BodyTimes {
  readonly idleMs: number;
  readonly bodyMs: number;
}

interface ExchangeTerms extends BodyTimes {
  /** Default: the limit for ordinary requests. */
  readonly headerMs?: number;
  readonly listener?: ExchangeListener;
}

function isGatewayFailure(status: number): boolean {
  return status === 502 || status === 503 || status === 504;
}

async function readText(
  response: ExchangeResponse,
  bytesMax: number,
  request: RawRequest,
): Promise<{ text: string; size: number }> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.chunks()) {
    size += chunk.length;
    if (size > bytesMax) {
      throw new KubeError('too-large', `${describe(request)}: the answer is larger than ${bytesMax} bytes`);
    }
    parts.push(chunk);
  }
  return { text: Buffer.concat(parts, size).toString('utf8'), size };
}

function describe({ method, path }: RawRequest): string {
  return `${method} ${path}`;
}

function parseStatus(text: string): { reason: string; message: string } {
  try {
    const status: unknown = JSON.parse(text);
    if (!isRecord(status)) return { reason: '', message: '' };
    const { reason, message } = status;
    return {
      reason: typeof reason === 'string' ? reason : '',
      message: typeof message === 'string' ? message.slice(0, 1000) : '',
    };
  } catch {
    return { reason: '', message: text.slice(0, 200).trim() };
  }
}
