import { type LabelRules, type LabelSet, type LabelSets, podLabels } from '@sluice/identity';
import { objectKey, parsePod } from '@sluice/kube';
import { Table } from '@sluice/state';

/** A pod as identities need it: there may be 100,000. */
export interface LabelledPod {
  readonly namespace: string;
  readonly name: string;
  /** What the pod itself gives to its identity; undefined: it needs none now. */
  readonly labels: LabelSet | undefined;
  readonly problems: readonly string[];
}

/** A pod needs an identity from the moment it has a node until it is done; on the host's network it has the host's. */
export function parseLabelledPod(labelSets: LabelSets, rules: LabelRules): (object: unknown) => LabelledPod {
  return (object) => {
    const pod = parsePod(object);
    const { namespace, name, problems } = pod;
    const isDone = pod.phase === 'Succeeded' || pod.phase === 'Failed';
    const isNeeded = pod.nodeName !== undefined && !pod.hostNetwork && !isDone;
    return { namespace, name, labels: isNeeded ? labelSets.of(podLabels(pod, rules)) : undefined, problems };
  };
}

export function labelledPodTable(): Table<LabelledPod> {
  return new Table<LabelledPod>({
    name: 'pods',
    key: objectKey,
    sources: ['pods'],
    columns: { Name: objectKey },
  });
}
