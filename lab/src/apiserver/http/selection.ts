import { badRequest } from '../api-error.ts';
import type { KubernetesObject } from '../object.ts';
import type { Resource } from '../resources.ts';
import { labelsMatch, type Predicate, parseFieldSelector, parseLabelSelector } from '../selectors.ts';

/** Which objects a list or a watch is about: namespace, name, labels, fields. */
export function selection(
  resource: Resource,
  { namespace, name, query }: { namespace: string | undefined; name?: string | undefined; query: URLSearchParams },
): Predicate {
  const tests: Predicate[] = [];
  if (namespace !== undefined) tests.push((object) => object.metadata.namespace === namespace);
  if (name !== undefined) tests.push((object) => object.metadata.name === name);
  const labelText = query.get('labelSelector');
  if (labelText) {
    const selector = parseLabelSelector(labelText);
    tests.push((object) => labelsMatch(selector, object.metadata.labels));
  }
  const fieldText = query.get('fieldSelector');
  if (fieldText) tests.push(parseFieldSelector(fieldText, (object) => selectableFields(resource, object)));
  return (object) => tests.every((test) => test(object));
}

function selectableFields(resource: Resource, object: KubernetesObject): Record<string, string> {
  const { name, namespace } = object.metadata;
  return { 'metadata.name': name, 'metadata.namespace': namespace ?? '', ...resource.strategy.selectable?.(object) };
}

export function integerParameter(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

export function booleanParameter(query: URLSearchParams, name: string): boolean {
  const text = query.get(name);
  return text === 'true' || text === '1' || text === '';
}
