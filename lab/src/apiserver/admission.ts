import { badRequest } from './api-error.ts';
import { applyDefaults, prune } from './custom/structural.ts';
import { validateStructural } from './custom/validate.ts';
import { FieldErrors } from './field-errors.ts';
import { validateMetadata } from './metadata.ts';
import type { JsonObject, KubernetesObject, NewObject } from './object.ts';
import { apiVersionOf, type Resource, type ResourceVersion } from './resources.ts';
import { decode, isObject } from './schema/decode.ts';
import type { WriteOptions } from './store.ts';

/** Reads a body as an object of the resource: types checked, unknown fields dropped, warned about or refused. */
export function decodeObject(
  resource: Resource,
  version: ResourceVersion,
  body: unknown,
  options: WriteOptions,
): NewObject {
  if (!isObject(body)) throw badRequest('the body of the request is not an object');
  const apiVersion = apiVersionOf(resource.group, version.name);
  checkKind(resource, apiVersion, body);
  const { value, unknownFields, wrongTypes } = decodeBySchema(version, body);
  if (wrongTypes.length > 0)
    throw badRequest(
      `${resource.kind} in version "${version.name}" cannot be handled as a ${resource.kind}: ${wrongTypes[0]}`,
    );
  if (unknownFields.length > 0) report(resource, version, unknownFields, options);
  const metadata = isObject(value.metadata) ? value.metadata : {};
  const { apiVersion: _a, kind: _k, metadata: _m, ...content } = value;
  return { apiVersion, kind: resource.kind, metadata: metadata as NewObject['metadata'], ...content };
}

function checkKind(resource: Resource, apiVersion: string, body: JsonObject): void {
  if (body.kind !== undefined && body.kind !== resource.kind)
    throw badRequest(`the kind in the data (${body.kind}) does not match the expected kind (${resource.kind})`);
  if (body.apiVersion !== undefined && body.apiVersion !== apiVersion)
    throw badRequest(
      `the API version in the data (${body.apiVersion}) does not match the expected API version (${apiVersion})`,
    );
}

function decodeBySchema(
  version: ResourceVersion,
  body: JsonObject,
): { value: JsonObject; unknownFields: string[]; wrongTypes: string[] } {
  if ('structural' in version.schema) {
    const { metadata, ...rest } = body;
    const { value, unknownFields } = prune(version.schema.structural, rest);
    const decoded = decode('meta.v1.ObjectMeta', isObject(metadata) ? metadata : {});
    const unknown = [...unknownFields, ...decoded.problems.unknownFields.map((field) => `metadata.${field}`)];
    return {
      value: { ...value, metadata: decoded.value },
      unknownFields: unknown,
      wrongTypes: decoded.problems.wrongTypes,
    };
  }
  const { value, problems } = decode(version.schema.type, body);
  return { value, ...problems };
}

function report(resource: Resource, version: ResourceVersion, fields: readonly string[], options: WriteOptions): void {
  const texts = fields.map((field) => `unknown field "${field}"`);
  if (options.fieldValidation === 'Strict')
    throw badRequest(
      `${resource.kind} in version "${version.name}" cannot be handled as a ${resource.kind}: strict decoding error: ${texts.join(', ')}`,
    );
  if (options.fieldValidation !== 'Ignore') options.warnings?.push(...texts);
}

/** Completes and checks an object that is about to be stored. Throws a 422 that lists everything that is wrong. */
export function admit(
  resource: Resource,
  version: ResourceVersion,
  object: KubernetesObject,
  old: KubernetesObject | undefined,
): void {
  const errors = new FieldErrors();
  validateMetadata(object.metadata, resource, errors, old?.metadata);
  errors.throwIfAny(resource, object.metadata.name);
  if ('structural' in version.schema) {
    const schema = version.schema.structural;
    const content = object as unknown as JsonObject;
    applyDefaults(schema, content);
    validateStructural({ ...schema, properties: { ...schema.properties, metadata: {} } }, content, '', errors);
  }
  resource.strategy.complete?.(object, old);
  resource.strategy.validate?.(object, errors, old);
  errors.throwIfAny(resource, object.metadata.name);
}
