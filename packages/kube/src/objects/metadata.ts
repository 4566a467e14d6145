import { Field, isRecord, MalformedObjectError } from '../field.ts';

/** What every object's row has. */
export interface ObjectRow {
  readonly name: string;
  readonly uid: string;
  /** What could not be used of this object, each with its path; the rest of it is in the row. */
  readonly problems: readonly string[];
}

export interface NamespacedRow extends ObjectRow {
  readonly namespace: string;
}

/** `namespace/name`, or the name where there is no namespace. */
export function objectKey({ namespace, name }: { readonly namespace?: string; readonly name: string }): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** Opens an object; throws `MalformedObjectError` when it has no name to speak of it by. */
export function openObject(
  object: unknown,
  kind: string,
): { root: Field; name: string; namespace: string; uid: string } {
  if (!isRecord(object)) throw new MalformedObjectError(`not an object where a ${kind} should be`);
  const root = new Field(object);
  const metadata = root.get('metadata');
  const name = metadata.get('name').text();
  const namespace = metadata.get('namespace').text() ?? '';
  if (!name) throw new MalformedObjectError(`${kind} without metadata.name`);
  const actualKind = root.get('kind').text();
  if (actualKind !== undefined && actualKind !== kind) {
    throw new MalformedObjectError(`${objectKey({ namespace, name })} is a ${actualKind}, not a ${kind}`);
  }
  return { root, name, namespace, uid: metadata.get('uid').text() ?? '' };
}

/** Like `openObject`, and the namespace must be there. */
export function openNamespacedObject(object: unknown, kind: string): ReturnType<typeof openObject> {
  const opened = openObject(object, kind);
  if (opened.namespace === '') throw new MalformedObjectError(`${kind} ${opened.name} without metadata.namespace`);
  return opened;
}
