import type { FieldErrors } from '../field-errors.ts';
import type { CustomResourceDefinition } from '../kinds/types.ts';
import { labelNameProblem, subdomainNameProblem } from '../names.ts';
import type { JsonObject, KubernetesObject } from '../object.ts';
import { age, ageColumn, type Cell, type Column, nameColumn } from '../printing/column.ts';
import type { Resource, ResourceVersion, Strategy } from '../resources.ts';
import { compileJsonPath } from './json-path.ts';
import type { StructuralSchema } from './structural.ts';

type Version = CustomResourceDefinition['spec']['versions'][number];

export const customResourceDefinitionStrategy: Strategy = {
  countsGenerations: true,
  complete: (object) => {
    const definition = object as CustomResourceDefinition;
    const { names } = definition.spec ?? {};
    if (!names) return;
    names.singular ??= names.kind?.toLowerCase();
    names.listKind ??= `${names.kind}List`;
    (definition.spec as { conversion?: object }).conversion ??= { strategy: 'None' };
    definition.status = established(definition);
  },
  validate: (object, errors, old) =>
    validateDefinition(object as CustomResourceDefinition, errors, old as CustomResourceDefinition | undefined),
};

function established(definition: CustomResourceDefinition): NonNullable<CustomResourceDefinition['status']> {
  const since = definition.status?.conditions?.[0]?.lastTransitionTime ?? definition.metadata.creationTimestamp;
  const stored = (definition.spec.versions ?? []).filter((version) => version.storage).map((version) => version.name);
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True' as const,
    reason,
    message,
    lastTransitionTime: since,
  });
  return {
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: definition.spec.names,
    storedVersions: [...new Set([...(definition.status?.storedVersions ?? []), ...stored])],
  };
}

function validateDefinition(
  definition: CustomResourceDefinition,
  errors: FieldErrors,
  old: CustomResourceDefinition | undefined,
): void {
  const spec: Partial<CustomResourceDefinition['spec']> = definition.spec ?? {};
  if (!spec.group) errors.required('spec.group');
  else if (subdomainNameProblem(spec.group))
    errors.invalid('spec.group', spec.group, subdomainNameProblem(spec.group) ?? '');
  if (!spec.names?.plural) errors.required('spec.names.plural');
  if (!spec.names?.kind) errors.required('spec.names.kind');
  if (spec.scope !== 'Namespaced' && spec.scope !== 'Cluster')
    errors.notSupported('spec.scope', spec.scope, ['Cluster', 'Namespaced']);
  const wanted = `${spec.names?.plural}.${spec.group}`;
  if (spec.group && spec.names?.plural && definition.metadata.name !== wanted)
    errors.invalid('metadata.name', definition.metadata.name, `must be spec.names.plural+"."+spec.group`);
  const versions = spec.versions ?? [];
  if (versions.length === 0) errors.required('spec.versions');
  else if (versions.filter((version) => version.storage).length !== 1)
    errors.invalid(
      'spec.versions',
      versions.map((version) => version.name),
      'must have exactly one version marked as storage version',
    );
  for (const [index, version] of versions.entries()) validateVersion(version, `spec.versions[${index}]`, errors);
  if (old && (old.spec.scope !== spec.scope || old.spec.names.kind !== spec.names?.kind))
    errors.invalid('spec', spec.scope, 'scope and kind are immutable');
}

function validateVersion(version: Version, path: string, errors: FieldErrors): void {
  const problem = labelNameProblem(version.name ?? '');
  if (problem) errors.invalid(`${path}.name`, version.name, problem);
  const schema = version.schema?.openAPIV3Schema;
  if (!schema) errors.required(`${path}.schema.openAPIV3Schema`, 'schemas are required');
  else validateSchema(schema, `${path}.schema.openAPIV3Schema`, errors);
  for (const [index, column] of (version.additionalPrinterColumns ?? []).entries()) {
    try {
      compileJsonPath(column.jsonPath);
    } catch (error) {
      errors.invalid(
        `${path}.additionalPrinterColumns[${index}].jsonPath`,
        column.jsonPath,
        error instanceof Error ? error.message : '',
      );
    }
  }
}

/** Structural: every node has a type, unless it is an int-or-string or keeps what it does not know. */
function validateSchema(schema: StructuralSchema, path: string, errors: FieldErrors): void {
  const isFree = schema['x-kubernetes-int-or-string'] || schema['x-kubernetes-preserve-unknown-fields'];
  if (!schema.type && !isFree) errors.required(`${path}.type`, 'must not be empty for specified object fields');
  if (schema.pattern !== undefined) {
    try {
      new RegExp(schema.pattern, 'u');
    } catch {
      errors.invalid(`${path}.pattern`, schema.pattern, 'must be a valid regular expression');
    }
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const isMetadata = path.endsWith('openAPIV3Schema') && name === 'metadata';
    if (!isMetadata) validateSchema(property, `${path}.properties[${name}]`, errors);
  }
  if (schema.items) validateSchema(schema.items, `${path}.items`, errors);
  if (typeof schema.additionalProperties === 'object')
    validateSchema(schema.additionalProperties, `${path}.additionalProperties`, errors);
}

/** The resource that an established definition brings. */
export function resourceOf(definition: CustomResourceDefinition): Resource {
  const { group, names, scope, versions } = definition.spec;
  const served = versions.filter((version) => version.served).sort((a, b) => versionRank(b.name) - versionRank(a.name));
  return {
    id: `${names.plural}.${group}`,
    group,
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    kind: names.kind,
    listKind: names.listKind ?? `${names.kind}List`,
    namespaced: scope === 'Namespaced',
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    versions: served.map((version) => servedVersion(group, names.kind, version)),
    storageVersion: versions.find((version) => version.storage)?.name ?? '',
    strategy: { countsGenerations: true },
    custom: true,
  };
}

function servedVersion(group: string, kind: string, version: Version): ResourceVersion {
  const warning = version.deprecationWarning ?? `${group}/${version.name} ${kind} is deprecated`;
  return {
    name: version.name,
    schema: { structural: (version.schema?.openAPIV3Schema ?? {}) as StructuralSchema },
    columns: printerColumns(version),
    subresources: new Set(Object.keys(version.subresources ?? {})),
    ...(version.deprecated && { deprecationWarning: warning }),
  };
}

function printerColumns(version: Version): Column[] {
  const declared = version.additionalPrinterColumns ?? [];
  if (declared.length === 0) return [nameColumn, ageColumn];
  return [
    nameColumn,
    ...declared.map((column) => {
      const find = compileJsonPath(column.jsonPath);
      return {
        name: column.name,
        type: column.type,
        format: column.format ?? '',
        description: column.description ?? '',
        priority: column.priority ?? 0,
        cell: (object: KubernetesObject) => printed(find(object as unknown as JsonObject), column.type),
      };
    }),
  ];
}

function printed(values: readonly unknown[], type: string): Cell {
  if (values.length === 0) return null;
  const [first] = values;
  if (type === 'date') return typeof first === 'string' ? age(first) : '<unknown>';
  if (type === 'string')
    return values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join(',');
  return typeof first === 'number' || typeof first === 'boolean' ? first : null;
}

/** GA before beta before alpha, then the higher number: v2 > v1 > v1beta1 > v1alpha1. */
export function versionRank(name: string): number {
  const parsed = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(name);
  if (!parsed) return 0;
  const stage = parsed[2] === undefined ? 3 : parsed[2] === 'beta' ? 2 : 1;
  return stage * 1_000_000 + Number(parsed[1]) * 1000 + Number(parsed[3] ?? 0);
}
