import { createHash } from 'node:crypto';
import type { StructuralSchema } from '../custom/structural.ts';
import { patchMediaTypes } from '../patch/patch.ts';
import { apiVersionOf, type Registry, type Resource, type ResourceVersion } from '../resources.ts';
import { type FieldSchema, typeSchemas } from '../schema/schema.ts';
import { groupNames, versionsOf } from './discovery.ts';

/**
 * OpenAPI v3 as kubectl reads it: `explain` walks the schemas, `apply` takes merge keys from them, and the
 * `fieldValidation` parameter of PATCH tells it that the server validates.
 */
export function openApi(registry: Registry, path: string): object | undefined {
  if (path === '/openapi/v3')
    return {
      paths: Object.fromEntries(
        groupVersions(registry).map((entry) => [
          entry.path,
          { serverRelativeURL: `/openapi/v3/${entry.path}?hash=${hashOf(registry, entry)}` },
        ]),
      ),
    };
  const wanted = groupVersions(registry).find((entry) => path === `/openapi/v3/${entry.path}`);
  return wanted && document(registry, wanted);
}

interface GroupVersion {
  group: string;
  version: string;
  path: string;
}

type Node = Record<string, unknown>;

function groupVersions(registry: Registry): GroupVersion[] {
  const named = groupNames(registry).flatMap((group) =>
    versionsOf(registry, group).map((version) => ({ group, version, path: `apis/${group}/${version}` })),
  );
  return [{ group: '', version: 'v1', path: 'api/v1' }, ...named];
}

/** Clients cache documents by it: changes with the resources served and their schemas. */
function hashOf(registry: Registry, { group, version }: GroupVersion): string {
  const parts = members(registry, group, version).map((entry) =>
    'structural' in entry.version.schema ? JSON.stringify(entry.version.schema) : entry.resource.id,
  );
  return createHash('sha256').update(parts.join('\n')).digest('hex').toUpperCase();
}

function members(
  registry: Registry,
  group: string,
  versionName: string,
): { resource: Resource; version: ResourceVersion }[] {
  return registry.all().flatMap((resource) => {
    const version =
      resource.group === group ? resource.versions.find((candidate) => candidate.name === versionName) : undefined;
    return version ? [{ resource, version }] : [];
  });
}

function document(registry: Registry, { group, version, path }: GroupVersion): object {
  const schemas: Record<string, Node> = {};
  const paths: Record<string, Node> = {};
  for (const entry of members(registry, group, version)) {
    const gvk = { group, version, kind: entry.resource.kind };
    const name = addKind(schemas, entry.resource, entry.version);
    const schema = schemas[name];
    if (schema) schema['x-kubernetes-group-version-kind'] = [gvk];
    const prefix = `/${path}${entry.resource.namespaced ? '/namespaces/{namespace}' : ''}/${entry.resource.plural}`;
    paths[prefix] = { get: operation('list', gvk, name), post: operation('post', gvk, name) };
    paths[`${prefix}/{name}`] = {
      get: operation('get', gvk, name),
      put: operation('put', gvk, name),
      patch: operation('patch', gvk, name),
      delete: operation('delete', gvk, name),
    };
  }
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'v1.35.0' }, paths, components: { schemas } };
}

const writeParameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
  name,
  in: 'query',
  schema: { type: 'string', uniqueItems: true },
}));

function operation(action: string, gvk: object, schemaName: string): Node {
  const isWrite = ['post', 'put', 'patch'].includes(action);
  const content = { 'application/json': { schema: { $ref: reference(schemaName) } } };
  return {
    ...(isWrite && { parameters: writeParameters }),
    ...(action === 'patch' && { requestBody: { content: patchContent(schemaName) } }),
    responses: { 200: { description: 'OK', content } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  };
}

/** kubectl merges strategically by these schemas where it finds the media type; custom resources know no such patch. */
function patchContent(schemaName: string): Node {
  const isBuiltin = schemaName.startsWith('io.k8s.api.');
  const types = Object.entries(patchMediaTypes).flatMap(([media, type]) =>
    type === 'strategic' && !isBuiltin ? [] : [media],
  );
  return Object.fromEntries(types.map((type) => [type, { schema: { type: 'object' } }]));
}

function addKind(schemas: Record<string, Node>, resource: Resource, { name, schema }: ResourceVersion): string {
  if ('type' in schema) {
    addType(schemas, schema.type);
    return publicName(schema.type);
  }
  addType(schemas, 'meta.v1.ObjectMeta');
  const key = [...resource.group.split('.').reverse(), name, resource.kind].join('.');
  schemas[key] = customSchema(schema.structural, apiVersionOf(resource.group, name));
  return key;
}

function customSchema(structural: StructuralSchema, apiVersion: string): Node {
  const root = {
    apiVersion: { type: 'string', description: `${apiVersion}: the version of this schema.` },
    kind: { type: 'string', description: 'The kind of this object.' },
  };
  const metadata = {
    description: "Standard object's metadata.",
    allOf: [{ $ref: reference(publicName('meta.v1.ObjectMeta')) }],
  };
  return { type: 'object', ...structural, properties: { ...structural.properties, ...root, metadata } };
}

function addType(schemas: Record<string, Node>, type: string): void {
  const name = publicName(type);
  if (schemas[name]) return;
  const schema = typeSchemas[type];
  const node: Node = { type: 'object', description: schema?.doc ?? '' };
  schemas[name] = node;
  if (!schema) {
    node['x-kubernetes-preserve-unknown-fields'] = true;
    return;
  }
  node.properties = Object.fromEntries(
    Object.entries(schema.fields).map(([field, fieldSchema]) => [field, fieldNode(schemas, fieldSchema)]),
  );
  if (schema.required) node.required = schema.required;
}

function fieldNode(schemas: Record<string, Node>, field: FieldSchema): Node {
  const node = typeNode(schemas, field.type);
  if (field.doc) node.description = field.doc;
  if (field.merge !== undefined) node['x-kubernetes-patch-strategy'] = field.retainKeys ? 'merge,retainKeys' : 'merge';
  if (field.merge) node['x-kubernetes-patch-merge-key'] = field.merge;
  if (field.listKeys)
    Object.assign(node, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': field.listKeys });
  return node;
}

const scalarNodes: Record<string, Node> = {
  any: { type: 'object' },
  integer: { type: 'integer', format: 'int32' },
  time: { type: 'string', format: 'date-time' },
  bytes: { type: 'string', format: 'byte' },
  quantity: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  intOrString: { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' },
};

function typeNode(schemas: Record<string, Node>, type: string): Node {
  if (type.startsWith('[]')) return { type: 'array', items: typeNode(schemas, type.slice(2)) };
  if (type.startsWith('map:')) return { type: 'object', additionalProperties: typeNode(schemas, type.slice(4)) };
  if (!type.includes('.')) return { ...(scalarNodes[type] ?? { type }) };
  addType(schemas, type);
  return { allOf: [{ $ref: reference(publicName(type)) }] };
}

function publicName(type: string): string {
  return type.startsWith('meta.') ? `io.k8s.apimachinery.pkg.apis.${type}` : `io.k8s.api.${type}`;
}

function reference(name: string): string {
  return `#/components/schemas/${name}`;
}
