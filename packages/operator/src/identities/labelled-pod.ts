import { type LabelRules, type LabelSet, type LabelSets, podLabels } from '@sluice/identity';
import { objectKey, type PodObject, parsePod } from '@sluice/kube';
import { Table } from '@sluice/state';

/** A pod as identities need it: there may be 100,000. */
export interface LabelledPod {
  readonly namespace: string;
  readonly name: string;
  /** What the pod itself gives to its identity; undefined: it needs none now. */
  readonly labels: LabelSet | undefined;
  /** Of a pod that is an agent of ours. */
  readonly agent: AgentPod | undefined;
  readonly problems: readonly string[];
}

export interface AgentPod {
  readonly nodeName: string;
  readonly isReady: boolean;
}

const agentLabel = 'app.kubernetes.io/name';
const agentName = 'sluice-agent';

/** A pod needs an identity from the moment it has a node until it is done; on the host's network it has the host's. */
export function parseLabelledPod(
  labelSets: LabelSets,
  rules: LabelRules,
  agentNamespace: string,
): (object: unknown) => LabelledPod {
  return (object) => {
    const pod = parsePod(object);
    const { namespace, name, problems } = pod;
    const isDone = pod.phase === 'Succeeded' || pod.phase === 'Failed';
    const isNeeded = pod.nodeName !== undefined && !pod.hostNetwork && !isDone;
    const isAgent = namespace === agentNamespace && pod.labels[agentLabel] === agentName;
    return {
      namespace,
      name,
      labels: isNeeded ? labelSets.of(podLabels(pod, rules)) : undefined,
      agent: isAgent && !isDone ? agentPod(pod) : undefined,
      problems,
    };
  };
}

function agentPod({ nodeName, ready, terminating }: PodObject): AgentPod | undefined {
  return nodeName === undefined ? undefined : { nodeName, isReady: ready && !terminating };
}

export function labelledPodTable(): Table<LabelledPod> {
  return new Table<LabelledPod>({
    name: 'pods',
    key: objectKey,
    sources: ['pods'],
    columns: { Name: objectKey },
    indexes: { agentOf: ({ agent }) => (agent ? [agent.nodeName] : []) },
  });
}
