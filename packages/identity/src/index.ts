/**
 * Identities: which labels make one, which numbers a set of labels would like, and a store of all of the cluster's that
 * takes little memory. The operator creates their objects, agents look their pods' up; neither is done here.
 * Begin with `identity-labels.ts`, then `identities.ts`.
 */
export { identityCandidates } from './candidate.ts';
export { Identities, type Identity, type IdentityChange } from './identities.ts';
export {
  identityLabels,
  type LabelledPod,
  type LabelRules,
  namespaceLabels,
  ownLabels,
  podLabels,
  podNamespaceLabel,
} from './identity-labels.ts';
export { LabelFilter } from './label-filter.ts';
export { type LabelSet, LabelSets } from './label-sets.ts';
