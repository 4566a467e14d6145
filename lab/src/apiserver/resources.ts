import { noSuchPath, type Subject } from './api-error.ts';
import type { StructuralSchema } from './custom/structural.ts';
import type { FieldErrors } from './field-errors.ts';
import type { KubernetesObject } from './object.ts';
import type { Column } from './printing/column.ts';

/** What is special about a kind. Everything has a default, so plain kinds have an empty strategy. */
export interface Strategy {
  /** Why a name is not valid, or `undefined`. Default: RFC 1123 subdomain. */
  nameProblem?(name: string): string | undefined;
  /** Fields for field selectors beyond metadata.name and metadata.namespace. */
  selectable?(object: KubernetesObject): Record<string, string>;
  /** Fills in defaults and what follows from other fields; `old` on an update. */
  complete?(object: KubernetesObject, old: KubernetesObject | undefined): void;
  validate?(object: KubernetesObject, errors: FieldErrors, old: KubernetesObject | undefined): void;
  /** Does metadata.generation count changes of the spec? Default no. */
  countsGenerations?: boolean;
  /** Seconds that a deletion waits for somebody (the kubelet) to finish it, when the request names none. */
  gracePeriodSeconds?(object: KubernetesObject): number;
  /** Called before a deletion, may refuse by throwing. */
  beforeDelete?(object: KubernetesObject): void;
}

export interface ResourceVersion {
  name: string;
  /** A built-in type such as `core.v1.Pod`, or the schema that a CustomResourceDefinition gives. */
  schema: { type: string } | { structural: StructuralSchema };
  columns: readonly Column[];
  subresources: ReadonlySet<string>;
  deprecationWarning?: string;
}

export interface Resource extends Subject {
  /** `plural` or `plural.group`: the store's name for it. */
  id: string;
  group: string;
  plural: string;
  singular: string;
  kind: string;
  listKind: string;
  namespaced: boolean;
  shortNames: readonly string[];
  categories: readonly string[];
  /** The versions served, the preferred first. */
  versions: readonly ResourceVersion[];
  storageVersion: string;
  strategy: Strategy;
  custom: boolean;
}

export function apiVersionOf(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

export function versionNamed(resource: Resource, name: string): ResourceVersion {
  const version = resource.versions.find((candidate) => candidate.name === name);
  if (!version) throw noSuchPath();
  return version;
}

export function storedVersion(resource: Resource): ResourceVersion {
  const version =
    resource.versions.find((candidate) => candidate.name === resource.storageVersion) ?? resource.versions[0];
  if (!version) throw noSuchPath();
  return version;
}

/** The resources served, built in and custom. */
export class Registry {
  readonly #byId = new Map<string, Resource>();

  add(resource: Resource): void {
    this.#byId.set(resource.id, resource);
  }

  remove(id: string): void {
    this.#byId.delete(id);
  }

  all(): Resource[] {
    return [...this.#byId.values()];
  }

  byId(id: string): Resource {
    const resource = this.#byId.get(id);
    if (!resource) throw noSuchPath();
    return resource;
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    const resource = this.#byId.get(group === '' ? plural : `${plural}.${group}`);
    return resource?.versions.some((served) => served.name === version) ? resource : undefined;
  }

  /** By what an object says of itself: owner references, references of events. */
  findKind(apiVersion: string, kind: string): Resource | undefined {
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    return this.all().find((resource) => resource.group === group && resource.kind === kind);
  }
}
