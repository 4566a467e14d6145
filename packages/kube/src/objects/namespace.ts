import { type ObjectRow, openObject } from './metadata.ts';

export interface NamespaceObject extends ObjectRow {
  readonly labels: Readonly<Record<string, string>>;
}

export function parseNamespace(object: unknown): NamespaceObject {
  const { root, name, uid } = openObject(object, 'Namespace');
  return { name, uid, labels: root.get('metadata').get('labels').texts(), problems: root.problems };
}
