import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AddressFamily } from '@sluice/net';
import { parseAllDocuments } from 'yaml';
import type { NewObject, Store } from '../apiserver/index.ts';
import { LabError, messageOf } from '../error.ts';

export interface ManifestObject extends NewObject {
  readonly apiVersion: string;
  readonly kind: string;
}

/** The objects of a YAML file, or of all such files of a folder, in the order of their names. */
export function readManifests(path: string): ManifestObject[] {
  const files = path.endsWith('.yaml') ? [path] : globSync(join(path, '*.yaml')).sort();
  if (files.length === 0) throw new LabError(`no .yaml file in ${path}`);
  return files.flatMap((file) => {
    const documents = parseAllDocuments(readFileSync(file, 'utf8'));
    if (!Array.isArray(documents)) return [];
    return documents.flatMap((document) => {
      const [error] = document.errors;
      if (error) throw new LabError(`${file}: ${error.message}`);
      const object: unknown = document.toJS();
      if (object === null) return [];
      if (!isObject(object)) throw new LabError(`${file}: a document without apiVersion, kind and metadata.name`);
      return [object];
    });
  });
}

/** Services that ask for both families, in a cluster that has one: what its operator would have written. */
export function ofFamilies(objects: readonly ManifestObject[], families: readonly AddressFamily[]): ManifestObject[] {
  if (families.length > 1) return [...objects];
  return objects.map((object) => {
    const { spec } = object as { spec?: { clusterIPs?: string[]; ipFamilyPolicy?: string } };
    if (object.kind !== 'Service' || spec?.ipFamilyPolicy !== 'RequireDualStack') return object;
    const clusterIPs = (spec.clusterIPs ?? []).filter((address) => families.includes(address.includes(':') ? 6 : 4));
    const ipFamilies = families.map((family) => `IPv${family}`);
    const own = {
      ipFamilyPolicy: 'SingleStack',
      ipFamilies,
      ...(clusterIPs[0] && { clusterIP: clusterIPs[0], clusterIPs }),
    };
    return { ...object, spec: { ...spec, ...own } };
  });
}

const resources: Readonly<Record<string, string>> = {
  'v1/Namespace': 'namespaces',
  'v1/Service': 'services',
  'v1/ConfigMap': 'configmaps',
  'v1/Secret': 'secrets',
  'v1/ServiceAccount': 'serviceaccounts',
  'v1/Pod': 'pods',
  'apps/v1/Deployment': 'deployments.apps',
  'apps/v1/DaemonSet': 'daemonsets.apps',
  'networking.k8s.io/v1/NetworkPolicy': 'networkpolicies.networking.k8s.io',
  'apiextensions.k8s.io/v1/CustomResourceDefinition': 'customresourcedefinitions.apiextensions.k8s.io',
};

/** Creates what is not there yet, namespaces and definitions first. Gives how many it created. */
export function createMissing(store: Store, objects: readonly ManifestObject[]): number {
  const ordered = objects.toSorted((a, b) => rank(a) - rank(b));
  return ordered.filter((object) => createIfMissing(store, object)).length;
}

function createIfMissing(store: Store, object: ManifestObject): boolean {
  const { apiVersion, kind, metadata } = object;
  const resource = resources[`${apiVersion}/${kind}`];
  const name = metadata.name ?? '';
  const isNamespaced = !clusterScoped.has(kind);
  const namespace = isNamespaced ? (metadata.namespace ?? 'default') : undefined;
  if (!resource)
    throw new LabError(`${kind} ${name}: the lab does not create objects of ${apiVersion} ${kind} itself; use kubectl`);
  if (store.get(resource, name, namespace)) return false;
  try {
    store.create(resource, {
      ...object,
      metadata: { ...metadata, ...(namespace && { namespace }), annotations: annotations(object) },
    });
    return true;
  } catch (error) {
    throw new LabError(`${kind} ${namespace ? `${namespace}/` : ''}${name}: ${messageOf(error)}`, { cause: error });
  }
}

/** As if kubectl had applied it: a later `kubectl apply` of a changed file then knows what to take away. */
function annotations(object: ManifestObject): Record<string, string> {
  const { annotations: own = {}, ...metadata } = object.metadata;
  const applied = { ...object, metadata: { ...metadata, annotations: own } };
  return { ...own, 'kubectl.kubernetes.io/last-applied-configuration': `${JSON.stringify(applied)}\n` };
}

const clusterScoped = new Set(['Namespace', 'CustomResourceDefinition']);

function rank({ kind }: ManifestObject): number {
  return ['CustomResourceDefinition', 'Namespace', 'Service'].indexOf(kind) + 1 || 9;
}

function isObject(value: unknown): value is ManifestObject {
  if (typeof value !== 'object' || value === null) return false;
  if (!('apiVersion' in value && 'kind' in value && 'metadata' in value)) return false;
  const { metadata } = value;
  return typeof metadata === 'object' && metadata !== null && 'name' in metadata;
}
