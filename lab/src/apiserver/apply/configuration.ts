import { ApiError, badRequest } from '../api-error.ts';
import type { Json, JsonObject, KubernetesObject } from '../object.ts';
import type { ResourceVersion } from '../resources.ts';
import { isObject } from '../schema/decode.ts';
import { fieldsOf, withoutDropped } from './field-set.ts';
import { type Applied, isOf, type ManagedFields, ownable } from './managed-fields.ts';
import { overlay } from './merge.ts';
import { shapeOf } from './shape.ts';

/** A configuration that somebody applies, before it meets the object. */
export interface Configuration {
  readonly body: JsonObject;
  readonly applied: Applied;
}

/** Checks what comes with `application/apply-patch+yaml`. */
export function configurationOf(
  body: Json,
  version: ResourceVersion,
  owner: { manager: string | undefined; subresource: string | undefined; apiVersion: string },
): Configuration {
  if (!isObject(body)) throw badRequest('a configuration to apply must be an object');
  if (!owner.manager) throw managerRequired();
  if (isObject(body.metadata) && body.metadata.managedFields) throw badRequest('metadata.managedFields must be nil');
  const fields = fieldsOf(shapeOf(version), ownable(body));
  return { body, applied: { ...owner, manager: owner.manager, fields } };
}

function managerRequired(): ApiError {
  const [kind, group, message] = ['PatchOptions', 'meta.k8s.io', 'Required value: is required for apply patch'];
  const causes = [{ reason: 'FieldValueRequired', message, field: 'fieldManager' }];
  const text = `${kind}.${group} "" is invalid: fieldManager: ${message}`;
  return new ApiError(422, 'Invalid', text, { group, kind, causes });
}

/** The object with the configuration laid over it, without what its manager had applied before and no longer mentions. */
export function applyConfiguration(
  version: ResourceVersion,
  live: JsonObject,
  { body, applied }: Configuration,
): JsonObject {
  const shape = shapeOf(version);
  const entries = managedFieldsOf(live as unknown as KubernetesObject);
  const before = entries.find((entry) => isOf(entry, applied))?.fieldsV1 ?? {};
  const others = entries.filter((entry) => !isOf(entry, applied)).map((entry) => entry.fieldsV1);
  const remaining = withoutDropped(shape, live, { before, now: applied.fields, others });
  const merged = overlay(shape, remaining, body);
  return withLastApplied(isObject(merged) ? merged : {}, live, { body, applied });
}

export function managedFieldsOf({ metadata }: Pick<KubernetesObject, 'metadata'>): readonly ManagedFields[] {
  return metadata.managedFields ?? [];
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** Whoever goes on with `kubectl apply` from the client later finds there what was applied last, as on a real server. */
function withLastApplied(merged: JsonObject, live: JsonObject, { body, applied }: Configuration): JsonObject {
  const annotationsOf = ({ metadata }: JsonObject): JsonObject =>
    isObject(metadata) && isObject(metadata.annotations) ? metadata.annotations : {};
  if (applied.manager !== 'kubectl' || annotationsOf(live)[lastApplied] === undefined) return merged;
  const metadata = isObject(merged.metadata) ? merged.metadata : {};
  const annotations = { ...annotationsOf(merged), [lastApplied]: `${JSON.stringify(body)}\n` };
  return { ...merged, metadata: { ...metadata, annotations } };
}
