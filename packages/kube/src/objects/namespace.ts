import { type ObjectRow, openObject } from './metadata.ts';

export interface NamespaceObject extends ObjectRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly terminating: boolean;
}

export function parseNamespace(object: unknown): NamespaceObject {
  const { root, name, uid } = openObject(object, 'Namespace');
  const metadata = root.get('metadata');
  return {
    name,
    uid,
    labels: metadata.get('labels').texts(),
    terminating: metadata.get('deletionTimestamp').present || root.get('status').get('phase').value === 'Terminating',
    problems: root.problems,
  };
}
