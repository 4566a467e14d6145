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

/** The labels that an identity stands for, as the incumbent writes them: `k8s:app=web`, sorted. */
export function identityLabels(
  { namespace, labels, serviceAccount }: LabelledPod,
  namespaceLabels: Readonly<Record<string, string>>,
  { cluster, filter }: LabelRules,
): string[] {
  const all: Record<string, string> = {};
  for (const [key, value] of Object.entries(labels)) if (!key.startsWith(ownPrefix)) all[key] = value;
  for (const [key, value] of Object.entries(namespaceLabels)) all[`${ownPrefix}.namespace.labels.${key}`] = value;
  all[podNamespaceLabel] = namespace;
  all[`${ownPrefix}.policy.cluster`] = cluster;
  if (serviceAccount !== '') all[`${ownPrefix}.policy.serviceaccount`] = serviceAccount;
  return Object.entries(all)
    .filter(([key]) => filter.accepts(key))
    .map(([key, value]) => `k8s:${key}=${value}`)
    .sort();
}
