import type { LabelFilter } from './label-filter.ts';

/** What of a pod policies can see. */
export interface LabelledPod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
}

export interface LabelRules {
  /** `cluster.name` */
  readonly cluster: string;
  readonly filter: LabelFilter;
}

/** Ours to give: a pod that says so of itself would pass for one of another namespace or service account. */
const ownPrefix = 'io.cilium.k8s';

export const podNamespaceLabel = 'io.kubernetes.pod.namespace';

type Labels = Readonly<Record<string, string>>;

/** The labels that an identity stands for, as the incumbent writes them: `k8s:app=web`, sorted. */
export function identityLabels(pod: LabelledPod, ofNamespace: Labels, rules: LabelRules): string[] {
  return [...podLabels(pod, rules), ...namespaceLabels(ofNamespace, rules)].sort();
}

/** The part of them that the pod itself says, not sorted. No label is in both parts. */
export function podLabels(
  { namespace, labels, serviceAccount }: LabelledPod,
  { cluster, filter }: LabelRules,
): string[] {
  const own = Object.entries(labels).filter(([key]) => !key.startsWith(ownPrefix) && key !== podNamespaceLabel);
  const given: [string, string][] = [
    [podNamespaceLabel, namespace],
    [`${ownPrefix}.policy.cluster`, cluster],
  ];
  if (serviceAccount !== '') given.push([`${ownPrefix}.policy.serviceaccount`, serviceAccount]);
  return texts([...own, ...given], filter);
}

/** The part that comes from the pod's namespace, not sorted. */
export function namespaceLabels(labels: Labels, { filter }: LabelRules): string[] {
  const given = Object.entries(labels).map(([key, value]): [string, string] => [
    `${ownPrefix}.namespace.labels.${key}`,
    value,
  ]);
  return texts(given, filter);
}

function texts(labels: readonly (readonly [key: string, value: string])[], filter: LabelFilter): string[] {
  return labels.filter(([key]) => filter.accepts(key)).map(([key, value]) => `k8s:${key}=${value}`);
}

/** For people, beside a pod's name: what of an identity's labels the pod's own author wrote. */
export function ownLabels(labels: readonly string[]): string[] {
  const given = [`k8s:${ownPrefix}.`, `k8s:${podNamespaceLabel}=`];
  return labels
    .filter((label) => !given.some((prefix) => label.startsWith(prefix)))
    .map((label) => label.replace(/^k8s:/, ''));
}
