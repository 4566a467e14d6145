import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import {
  ApiError,
  badRequest,
  methodNotAllowed,
  noSuchPath,
  notFound,
  type Status,
  unauthorized,
  unsupportedMediaType,
} from '../api-error.ts';
import type { Cluster, Target, VersionedWriteOptions } from '../cluster.ts';
import type { Pod } from '../kinds/types.ts';
import type { Json, JsonObject, KubernetesObject, NewObject } from '../object.ts';
import { patchMediaTypes } from '../patch/patch.ts';
import { apiVersionOf, type Resource, type ResourceVersion, versionNamed } from '../resources.ts';
import { isObject } from '../schema/decode.ts';
import type { PodHooks } from '../server.ts';
import type { DeleteOptions } from '../store.ts';
import { answerReview, isReview } from './access-review.ts';
import { mediaType, parseBody, readBody } from './body.ts';
import { discovery, serverVersion } from './discovery.ts';
import { listPage } from './list.ts';
import { serveLogs } from './logs.ts';
import { openApi } from './openapi.ts';
import { parsePath } from './path.ts';
import { patchScale, readScale, writeScale } from './scale.ts';
import { booleanParameter, integerParameter, selection } from './selection.ts';
import { rowContent, toTable, wantsTable } from './table.ts';
import { encodeObject, serveWatch } from './watch.ts';

export interface User {
  name: string;
  groups: readonly string[];
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  query: URLSearchParams;
  resource: Resource;
  version: ResourceVersion;
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
}

const open = ['/healthz', '/livez', '/readyz', '/version'];

/** Answers requests on a cluster. Failures become Status objects, never a dead connection. */
export function requestHandler(
  cluster: Cluster,
  { hooks, log }: { hooks: PodHooks; log: (message: string) => void },
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    void answer(cluster, hooks, request, response).catch((error: unknown) => {
      const known =
        error instanceof ApiError
          ? error
          : new ApiError(
              500,
              'InternalError',
              `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`,
            );
      if (!(error instanceof ApiError))
        log(`${request.method} ${request.url}: ${error instanceof Error ? error.stack : String(error)}`);
      if (response.headersSent) response.destroy();
      else sendJson(response, known.toStatus(), known.code);
    });
  };
}

async function answer(
  cluster: Cluster,
  hooks: PodHooks,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://server');
  const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, '') : url.pathname;
  const user = userOf(request);
  if (!user && !open.includes(path)) throw unauthorized();
  const route = parsePath(path);
  if (route.type === 'other') return answerFixed(cluster, path, request, response);
  if (request.method === 'POST' && isReview(route.plural)) {
    // kubectl sends these in protobuf, but the answer does not depend on what was asked.
    const type = mediaType(request);
    const bytes = await readBody(request);
    const body = type.endsWith('protobuf') ? undefined : parseBody(bytes, type);
    return sendJson(response, answerReview(route, body, user), 201);
  }
  const resource = cluster.registry.find(route.group, route.version, route.plural);
  if (!resource) throw noSuchPath();
  const version = versionNamed(resource, route.version);
  const { namespace, name, subresource } = route;
  if (version.deprecationWarning) response.appendHeader('warning', `299 - "${version.deprecationWarning}"`);
  await answerResource(cluster, hooks, {
    request,
    response,
    query: url.searchParams,
    resource,
    version,
    namespace,
    name,
    subresource,
  });
}

const users = new WeakMap<TLSSocket, User>();

/** Who speaks: the subject of a client certificate that our authority signed. Read once per connection. */
export function userOf(request: IncomingMessage): User | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return undefined;
  const known = users.get(socket);
  if (known) return known;
  const subject = socket.getPeerCertificate().subject as { CN?: string; O?: string | string[] } | undefined;
  if (!subject?.CN) return undefined;
  const user = { name: subject.CN, groups: [subject.O ?? []].flat() };
  users.set(socket, user);
  return user;
}

function answerFixed(cluster: Cluster, path: string, request: IncomingMessage, response: ServerResponse): void {
  if (path === '/version') {
    sendJson(response, serverVersion);
    return;
  }
  if (['/healthz', '/livez', '/readyz'].includes(path)) {
    response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
    return;
  }
  const found = discovery(cluster.registry, path, request.headers.accept);
  if (found) {
    sendJson(response, found.body, 200, found.contentType);
    return;
  }
  const schema = openApi(cluster.registry, path);
  if (!schema) throw noSuchPath();
  sendJson(response, schema);
}

async function answerResource(cluster: Cluster, hooks: PodHooks, exchange: Exchange): Promise<void> {
  const { request, name, subresource } = exchange;
  if (name === undefined) return answerCollection(cluster, exchange);
  const target = { name, namespace: exchange.namespace };
  if (subresource === 'log')
    return serveLogs(
      hooks,
      { pod: find(cluster, exchange, target) as Pod, query: exchange.query },
      request,
      exchange.response,
    );
  if (subresource === 'scale') return answerScale(cluster, exchange, target);
  if (subresource === 'binding' || subresource === 'eviction') return answerPodAction(cluster, exchange, target);
  switch (request.method) {
    case 'GET':
      if (booleanParameter(exchange.query, 'watch')) return watch(cluster, exchange);
      return sendObject(exchange, find(cluster, exchange, target));
    case 'PUT':
      return update(cluster, exchange, target);
    case 'PATCH':
      return patch(cluster, exchange, target);
    case 'DELETE':
      return remove(cluster, exchange, target);
    default:
      throw methodNotAllowed();
  }
}

async function answerCollection(cluster: Cluster, exchange: Exchange): Promise<void> {
  switch (exchange.request.method) {
    case 'GET':
      return booleanParameter(exchange.query, 'watch') ? watch(cluster, exchange) : list(cluster, exchange);
    case 'POST':
      return create(cluster, exchange);
    case 'DELETE':
      return removeAll(cluster, exchange);
    default:
      throw methodNotAllowed();
  }
}

function find(cluster: Cluster, { resource }: Exchange, target: Target): KubernetesObject {
  const object = cluster.get(resource.id, target.name, target.namespace);
  if (!object) throw notFound(resource, target.name);
  return object;
}

function list(cluster: Cluster, { request, response, query, resource, version, namespace }: Exchange): void {
  const { objects, metadata } = listPage(cluster, resource, { namespace, query });
  if (wantsTable(request.headers.accept)) {
    sendJson(response, toTable(version.columns, objects, metadata, rowContent(query.get('includeObject'))));
    return;
  }
  const apiVersion = apiVersionOf(resource.group, version.name);
  const items = objects.map((object) => encodeObject(resource, version, object)).join(',');
  const head = JSON.stringify({ kind: resource.listKind, apiVersion, metadata }).slice(0, -1);
  response.writeHead(200, { 'content-type': 'application/json' }).end(`${head},"items":[${items}]}\n`);
}

function watch(cluster: Cluster, { request, response, query, resource, version, namespace, name }: Exchange): void {
  const matches = selection(resource, { namespace, name, query });
  serveWatch(cluster, { resource, version, matches, query, accept: request.headers.accept }, response);
}

async function create(cluster: Cluster, exchange: Exchange): Promise<void> {
  const { resource, namespace } = exchange;
  const body = await readObject(exchange);
  checkNamespace(body, namespace);
  const metadata = { ...body.metadata, ...(namespace !== undefined && { namespace }) };
  const options = writeOptions(exchange);
  sendObject(exchange, cluster.create(resource.id, { ...body, metadata }, options), 201, options.warnings);
}

async function update(cluster: Cluster, exchange: Exchange, target: Target): Promise<void> {
  const body = await readObject(exchange);
  const { name } = body.metadata;
  if (name && name !== target.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${target.name})`);
  checkNamespace(body, target.namespace);
  const metadata = {
    ...body.metadata,
    name: target.name,
    ...(target.namespace !== undefined && { namespace: target.namespace }),
  };
  const options = writeOptions(exchange);
  sendObject(exchange, cluster.update(exchange.resource.id, { ...body, metadata }, options), 200, options.warnings);
}

async function patch(cluster: Cluster, exchange: Exchange, target: Target): Promise<void> {
  const { request, resource } = exchange;
  const type = patchMediaTypes[mediaType(request)];
  if (!type) throw unsupportedMediaType(mediaType(request), Object.keys(patchMediaTypes));
  const body = parseBody(await readBody(request), type === 'apply' ? 'application/yaml' : 'application/json');
  if (body === undefined) throw badRequest('the patch is empty');
  const options = writeOptions(exchange);
  const existed = cluster.get(resource.id, target.name, target.namespace) !== undefined;
  sendObject(
    exchange,
    cluster.patch(resource.id, target, { type, body }, options),
    existed ? 200 : 201,
    options.warnings,
  );
}

async function remove(cluster: Cluster, exchange: Exchange, target: Target): Promise<void> {
  const { resource, response } = exchange;
  const deleted = cluster.delete(resource.id, target, await deleteOptions(exchange));
  if (cluster.get(resource.id, target.name, target.namespace)) return sendObject(exchange, deleted);
  const details = {
    name: target.name,
    ...(resource.group && { group: resource.group }),
    kind: resource.plural,
    uid: deleted.metadata.uid,
  };
  const status: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: 200 };
  sendJson(response, status);
}

async function removeAll(cluster: Cluster, exchange: Exchange): Promise<void> {
  const { resource, version, response, namespace, query } = exchange;
  const options = await deleteOptions(exchange);
  const { objects, metadata } = listPage(cluster, resource, { namespace, query });
  const deleted = objects.map((object) => cluster.delete(resource.id, object.metadata, options));
  sendJson(response, {
    kind: resource.listKind,
    apiVersion: apiVersionOf(resource.group, version.name),
    metadata,
    items: deleted,
  });
}

async function answerScale(cluster: Cluster, exchange: Exchange, target: Target): Promise<void> {
  const { request, response, resource, version } = exchange;
  if (!version.subresources.has('scale')) throw noSuchPath();
  const options = writeOptions(exchange);
  if (request.method === 'GET') return sendJson(response, readScale(cluster, resource, target));
  const body = parseBody(await readBody(request), 'application/json') ?? {};
  if (request.method === 'PUT')
    return sendJson(response, writeScale(cluster, resource, { target, scale: body, options }));
  const type = patchMediaTypes[mediaType(request)];
  if (request.method !== 'PATCH' || !type) throw methodNotAllowed();
  sendJson(response, patchScale(cluster, resource, { target, patch: { type, body }, options }));
}

/** Binding puts a pod on a node; eviction is a deletion, since the lab keeps no disruption budgets. */
async function answerPodAction(cluster: Cluster, exchange: Exchange, target: Target): Promise<void> {
  const { request, response, subresource } = exchange;
  if (request.method !== 'POST') throw methodNotAllowed();
  const body = parseBody(await readBody(request), mediaType(request));
  if (subresource === 'eviction')
    cluster.delete('pods', target, isObject(body) ? toDeleteOptions(body.deleteOptions) : {});
  else {
    const node = isObject(body) && isObject(body.target) ? body.target.name : undefined;
    if (typeof node !== 'string') throw badRequest('a binding needs target.name');
    const pod = cluster.modify('pods', target, (draft) => {
      draft.spec.nodeName = node;
    });
    if (!pod) throw notFound(exchange.resource, target.name);
  }
  sendJson(response, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201);
}

async function readObject({ request }: Exchange): Promise<NewObject> {
  const body = parseBody(await readBody(request), mediaType(request));
  if (!isObject(body)) throw badRequest('the body of the request is not an object');
  // Whoever reads it checks its fields against the schema.
  return { ...body, metadata: isObject(body.metadata) ? body.metadata : {} } as NewObject;
}

function checkNamespace(body: NewObject, namespace: string | undefined): void {
  if (namespace !== undefined && body.metadata.namespace && body.metadata.namespace !== namespace)
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
}

function writeOptions({ query, version, subresource }: Exchange): VersionedWriteOptions & { warnings: string[] } {
  const validation = query.get('fieldValidation');
  return {
    version: version.name,
    dryRun: query.has('dryRun'),
    warnings: [],
    fieldManager: query.get('fieldManager') ?? undefined,
    ...(subresource !== undefined && { subresource }),
    ...((validation === 'Strict' || validation === 'Ignore') && { fieldValidation: validation }),
  };
}

async function deleteOptions({ request, query }: Exchange): Promise<DeleteOptions> {
  const body = parseBody(await readBody(request), mediaType(request));
  const grace = integerParameter(query, 'gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  return {
    ...toDeleteOptions(body),
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(policy !== null && { propagationPolicy: propagation(policy) }),
    ...(query.has('dryRun') && { dryRun: true }),
  };
}

function toDeleteOptions(body: Json | undefined): DeleteOptions {
  if (!isObject(body)) return {};
  const { gracePeriodSeconds, propagationPolicy, orphanDependents } = body;
  const preconditions: JsonObject = isObject(body.preconditions) ? body.preconditions : {};
  const policy = propagationPolicy ?? (orphanDependents === true ? 'Orphan' : undefined);
  return {
    ...(typeof gracePeriodSeconds === 'number' && { gracePeriodSeconds }),
    ...(typeof policy === 'string' && { propagationPolicy: propagation(policy) }),
    ...(typeof preconditions.uid === 'string' && { uid: preconditions.uid }),
    ...(typeof preconditions.resourceVersion === 'string' && { resourceVersion: preconditions.resourceVersion }),
    ...(Array.isArray(body.dryRun) && body.dryRun.length > 0 && { dryRun: true }),
  };
}

function propagation(text: string): NonNullable<DeleteOptions['propagationPolicy']> {
  if (text === 'Background' || text === 'Foreground' || text === 'Orphan') return text;
  throw badRequest(`propagationPolicy: Unsupported value: "${text}"`);
}

function sendObject(
  { request, response, query, resource, version }: Exchange,
  object: KubernetesObject,
  code = 200,
  warnings: readonly string[] = [],
): void {
  for (const warning of warnings) response.appendHeader('warning', `299 - ${JSON.stringify(warning)}`);
  if (wantsTable(request.headers.accept)) {
    sendJson(
      response,
      toTable(
        version.columns,
        [object],
        { resourceVersion: object.metadata.resourceVersion },
        rowContent(query.get('includeObject')),
      ),
      code,
    );
    return;
  }
  sendJson(response, { ...object, apiVersion: apiVersionOf(resource.group, version.name) }, code);
}

function sendJson(response: ServerResponse, body: object, code = 200, contentType = 'application/json'): void {
  response.writeHead(code, { 'content-type': contentType }).end(`${JSON.stringify(body)}\n`);
}
