import { createHash } from 'node:crypto';
import { IDENTITY_MAX, IDENTITY_MIN, type IdentityId, reservedIdentities } from '@sluice/model';

export type Labels = Readonly<Record<string, string>>;

/**
 * Labels that change with each roll-out or pod and that no policy selects by; with them every pod would be an identity
 * of its own. The list is the incumbent's default.
 */
const ignoredLabels = [
  /^pod-template-hash$/,
  /^pod-template-generation$/,
  /^controller-revision-hash$/,
  /^statefulset\.kubernetes\.io\/pod-name$/,
  /^apps\.kubernetes\.io\/pod-index$/,
  /^batch\.kubernetes\.io\//,
  /^controller-uid$/,
  /^job-name$/,
];

/** What policies can see of a pod: its labels and its namespace, sorted. */
export function identityLabels(namespace: string, labels: Labels): string[] {
  const own = Object.entries(labels)
    .filter(([key]) => !ignoredLabels.some((pattern) => pattern.test(key)))
    .map(([key, value]) => `k8s:${key}=${value}`);
  return [...own, `k8s:io.kubernetes.pod.namespace=${namespace}`].sort();
}

/**
 * The number that a set of labels would like: a hash within the 24 bits of a VXLAN identifier, above the reserved ones.
 * The same on every node without asking anybody. Two sets may meet in one number: identities as API objects settle that.
 */
export function identityCandidate(labels: readonly string[]): IdentityId {
  const hash = createHash('sha256').update(labels.join('\n')).digest().readUIntBE(0, 6);
  return IDENTITY_MIN + (hash % (IDENTITY_MAX - IDENTITY_MIN + 1));
}

/** `init` while the labels are not known. */
export function identityOf(namespace: string, labels: Labels | undefined): IdentityId {
  return labels ? identityCandidate(identityLabels(namespace, labels)) : reservedIdentities.init;
}
