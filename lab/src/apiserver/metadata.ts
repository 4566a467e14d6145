import { randomUUID } from 'node:crypto';
import { badRequest } from './api-error.ts';
import type { FieldErrors } from './field-errors.ts';
import { generatedName, labelValueProblem, qualifiedNameProblem, subdomainNameProblem } from './names.ts';
import type { NewObject, ObjectMeta } from './object.ts';
import type { Resource } from './resources.ts';

/** Bytes that the annotations of one object may take. */
const annotationBytesMax = 256 * 1024;

/** Metadata of an object on its way in: what the server decides is set, whatever the client sent. */
export function newMetadata({ metadata }: NewObject, resource: Resource): ObjectMeta {
  const { name, generateName, labels, annotations, ownerReferences, finalizers, namespace } = metadata;
  if (!name && !generateName) throw badRequest('name or generateName is required');
  return {
    name: name || generatedName(generateName ?? ''),
    ...(generateName && { generateName }),
    ...(resource.namespaced && { namespace: namespace ?? 'default' }),
    uid: randomUUID(),
    resourceVersion: '',
    ...(resource.strategy.countsGenerations && { generation: 1 }),
    creationTimestamp: timestamp(),
    ...(labels && { labels }),
    ...(annotations && { annotations }),
    ...(ownerReferences && { ownerReferences }),
    ...(finalizers && { finalizers }),
  };
}

/** Metadata after an update: the client decides labels, annotations, owners and finalizers, the rest stays. */
export function updatedMetadata({ metadata }: NewObject, old: ObjectMeta): ObjectMeta {
  const { labels, annotations, ownerReferences, finalizers } = metadata;
  const { labels: _l, annotations: _a, ownerReferences: _o, finalizers: _f, ...fixed } = old;
  return {
    ...fixed,
    ...(labels && { labels }),
    ...(annotations && { annotations }),
    ...(ownerReferences && { ownerReferences }),
    ...(finalizers && { finalizers }),
  };
}

export function validateMetadata(
  metadata: ObjectMeta,
  { strategy }: Resource,
  errors: FieldErrors,
  old: ObjectMeta | undefined,
): void {
  const nameProblem = old ? undefined : (strategy.nameProblem ?? subdomainNameProblem)(metadata.name);
  if (nameProblem) errors.invalid('metadata.name', metadata.name, nameProblem);
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    const problem = qualifiedNameProblem(key) ?? labelValueProblem(value);
    if (problem) errors.invalid('metadata.labels', qualifiedNameProblem(key) ? key : value, problem);
  }
  let annotationBytes = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    const problem = qualifiedNameProblem(key.toLowerCase());
    if (problem) errors.invalid('metadata.annotations', key, problem);
    annotationBytes += key.length + Buffer.byteLength(value);
  }
  if (annotationBytes > annotationBytesMax) errors.tooLong('metadata.annotations', annotationBytesMax);
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries())
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const)
      if (!owner[field]) errors.invalid(`metadata.ownerReferences[${index}].${field}`, '', 'must not be empty');
  validateFinalizers(metadata, errors, old);
}

function validateFinalizers(metadata: ObjectMeta, errors: FieldErrors, old: ObjectMeta | undefined): void {
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries()) {
    const problem = qualifiedNameProblem(finalizer);
    if (problem) errors.invalid(`metadata.finalizers[${index}]`, finalizer, problem);
  }
  if (!old?.deletionTimestamp) return;
  const added = (metadata.finalizers ?? []).filter((finalizer) => !old.finalizers?.includes(finalizer));
  if (added.length > 0)
    errors.forbidden(
      'metadata.finalizers',
      `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((name) => JSON.stringify(name)).join(', ')}}`,
    );
}

/** RFC 3339 in whole seconds, as metav1.Time is written. */
export function timestamp(milliseconds: number = Date.now()): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
