import { badRequest, notFound } from '../api-error.ts';
import type { Cluster, Target, VersionedWriteOptions } from '../cluster.ts';
import type { Deployment } from '../kinds/types.ts';
import type { Json, JsonObject } from '../object.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { selectorText } from '../printing/workloads.ts';
import type { Resource } from '../resources.ts';
import { isObject } from '../schema/decode.ts';
import type { PatchType } from '../store.ts';

/** The `scale` subresource: the number of replicas, without the rest of the object. */
export function readScale(cluster: Cluster, resource: Resource, target: Target): JsonObject {
  const object = cluster.get(resource.id, target.name, target.namespace) as Deployment | undefined;
  if (!object) throw notFound(resource, target.name);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: object.spec.replicas ?? 1 },
    status: { replicas: object.status.replicas ?? 0, selector: selectorText(object.spec.selector) },
  };
}

export function writeScale(
  cluster: Cluster,
  resource: Resource,
  { target, scale, options }: { target: Target; scale: Json | undefined; options: VersionedWriteOptions },
): JsonObject {
  const spec = isObject(scale) ? scale.spec : undefined;
  const replicas = isObject(spec) ? (spec.replicas ?? 0) : undefined;
  if (typeof replicas !== 'number') throw badRequest('Scale needs spec.replicas');
  const metadata = isObject(scale) && isObject(scale.metadata) ? scale.metadata : {};
  const { subresource: _, ...rest } = options;
  cluster.modify(
    resource.id,
    target,
    (draft) => {
      if (typeof metadata.resourceVersion === 'string') draft.metadata.resourceVersion = metadata.resourceVersion;
      (draft as Deployment).spec.replicas = replicas;
    },
    rest,
  );
  return readScale(cluster, resource, target);
}

export function patchScale(
  cluster: Cluster,
  resource: Resource,
  {
    target,
    patch,
    options,
  }: { target: Target; patch: { type: PatchType; body: Json }; options: VersionedWriteOptions },
): JsonObject {
  const current = readScale(cluster, resource, target);
  const scale =
    patch.type === 'json'
      ? applyJsonPatch(current, patch.body)
      : isObject(patch.body)
        ? applyMergePatch(current, patch.body)
        : current;
  return writeScale(cluster, resource, { target, scale, options });
}
