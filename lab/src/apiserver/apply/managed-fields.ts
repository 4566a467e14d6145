import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../object.ts';
import { isObject } from '../schema/decode.ts';
import { type FieldSet, unchanged } from './field-set.ts';
import type { Shape } from './shape.ts';

/** Who has applied which fields, an entry of metadata.managedFields. */
export interface ManagedFields {
  readonly manager: string;
  readonly operation: 'Apply';
  readonly apiVersion: string;
  readonly time: string;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: FieldSet;
  readonly subresource?: string;
}

/** What somebody applies: whose it is, and which fields. */
export interface Applied {
  readonly manager: string;
  readonly subresource: string | undefined;
  readonly apiVersion: string;
  readonly fields: FieldSet;
}

type Owner = Pick<ManagedFields, 'manager' | 'subresource'> | Pick<Applied, 'manager' | 'subresource'>;

export function isOf(owner: Owner, { manager, subresource }: Owner): boolean {
  return owner.manager === manager && owner.subresource === subresource;
}

/**
 * The entries after a write. Who changes a field that another one has applied takes it over, as with force: nothing
 * conflicts. Writes that are no apply have no entry of their own; they only take away.
 */
export function managedAfter(
  entries: readonly ManagedFields[],
  {
    shape,
    before,
    after,
    applied,
  }: { shape: Shape; before: JsonObject; after: JsonObject; applied: Applied | undefined },
  now: string,
): ManagedFields[] {
  const others = entries.filter((entry) => !applied || !isOf(entry, applied));
  const kept = others.flatMap((entry) => {
    const fieldsV1 = unchanged(entry.fieldsV1, shape, { before, after });
    return fieldsV1 ? [isDeepStrictEqual(fieldsV1, entry.fieldsV1) ? entry : { ...entry, fieldsV1 }] : [];
  });
  if (!applied || Object.keys(applied.fields).length === 0) return kept;
  const former = entries.find((entry) => isOf(entry, applied));
  const isSame =
    former && former.apiVersion === applied.apiVersion && isDeepStrictEqual(former.fieldsV1, applied.fields);
  return [...kept, isSame ? former : entryOf(applied, now)];
}

function entryOf({ manager, subresource, apiVersion, fields }: Applied, time: string): ManagedFields {
  return {
    manager,
    operation: 'Apply',
    apiVersion,
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(subresource !== undefined && { subresource }),
  };
}

/** What the server decides has no owner. */
const unownedMetadata = [
  'name',
  'namespace',
  'generateName',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'managedFields',
  'selfLink',
];

/** The part of a configuration that can be owned. */
export function ownable({ apiVersion: _a, kind: _k, metadata, ...content }: JsonObject): JsonObject {
  const owned: [string, Json | undefined][] = Object.entries(isObject(metadata) ? metadata : {}).filter(
    ([name]) => !unownedMetadata.includes(name),
  );
  return { ...content, ...(owned.length > 0 && { metadata: Object.fromEntries(owned) }) };
}
