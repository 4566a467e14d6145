import { badRequest } from './api-error.ts';
import type { KubernetesObject, LabelSelector } from './object.ts';

export type Predicate = (object: KubernetesObject) => boolean;

/** Does the selector of a Deployment, a policy ... match these labels? An empty selector matches everything. */
export function labelsMatch(selector: LabelSelector, labels: Readonly<Record<string, string>> | undefined): boolean {
  const present = labels ?? {};
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (present[key] !== value) return false;
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const value = present[key];
    const listed = value !== undefined && (values ?? []).includes(value);
    if (operator === 'In' ? !listed : operator === 'NotIn' ? listed : (operator === 'Exists') !== (value !== undefined))
      return false;
  }
  return true;
}

/** Parses a `labelSelector` parameter: `app=web,tier!=db,zone in (a, b),!old,env`. */
export function parseLabelSelector(text: string): LabelSelector {
  const selector: Required<LabelSelector> = { matchLabels: {}, matchExpressions: [] };
  for (const term of splitTerms(text)) {
    const set = /^([^\s!=,()]+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
    const compare = /^([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)$/.exec(term);
    const exists = /^(!?)\s*([^\s!=,()]+)$/.exec(term);
    if (set?.[1]) {
      const values = (set[3] ?? '').split(',').map((value) => value.trim());
      selector.matchExpressions.push({ key: set[1], operator: set[2] === 'in' ? 'In' : 'NotIn', values });
    } else if (compare?.[1]) {
      const operator = compare[2] === '!=' ? 'NotIn' : 'In';
      selector.matchExpressions.push({ key: compare[1], operator, values: [compare[3] ?? ''] });
    } else if (exists?.[2]) {
      selector.matchExpressions.push({ key: exists[2], operator: exists[1] ? 'DoesNotExist' : 'Exists' });
    } else throw badRequest(`unable to parse requirement: found '${term}', expected: a label requirement`);
  }
  return selector;
}

/** Parses a `fieldSelector` parameter: `spec.nodeName=a,metadata.name!=b`. `fieldsOf` names the fields that the resource selects by. */
export function parseFieldSelector(
  text: string,
  fieldsOf: (object: KubernetesObject) => Record<string, string>,
): Predicate {
  const terms = splitTerms(text).map((term) => {
    const parsed = /^([^!=]+)(==|=|!=)(.*)$/.exec(term);
    if (!parsed?.[1]) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
    return { field: parsed[1].trim(), wanted: parsed[2] !== '!=', value: parsed[3] ?? '' };
  });
  const known = fieldsOf({
    apiVersion: '',
    kind: '',
    metadata: { name: '', uid: '', resourceVersion: '', creationTimestamp: '' },
  });
  for (const { field } of terms) if (!(field in known)) throw badRequest(`field label not supported: ${field}`);
  return (object) => {
    const fields = fieldsOf(object);
    return terms.every(({ field, wanted, value }) => (fields[field] === value) === wanted);
  };
}

function splitTerms(text: string): string[] {
  const terms = text.match(/(?:[^,(]|\([^)]*\))+/g) ?? [];
  return terms.map((term) => term.trim()).filter((term) => term !== '');
}
