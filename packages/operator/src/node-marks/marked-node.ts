import { isRecord, type NodeObject, parseNode } from '@sluice/kube';

/** Nodes register with one of these where a cluster wants pods to wait for the network. */
export const agentTaintKeys = ['node.sluice.io/agent-not-ready', 'node.cilium.io/agent-not-ready'] as const;
/** Of the condition NetworkUnavailable, when we have set it. */
export const availableReason = 'SluiceIsUp';

/** A node with what we put on it for others to see. */
export interface MarkedNode extends NodeObject {
  /** `key:effect` of taints that say that no agent serves the node. */
  readonly agentTaints: readonly string[];
  /** Whether the condition NetworkUnavailable is False, as we say it. */
  readonly saysAvailable: boolean;
}

export interface Taint {
  readonly key: string;
  readonly effect: string;
}

export function parseMarkedNode(object: unknown): MarkedNode {
  const agentTaints = taintsOf(object)
    .filter(isAgentTaint)
    .map(({ key, effect }) => `${key}:${effect}`);
  return { ...parseNode(object), agentTaints, saysAvailable: conditionsOf(object).some(isAvailable) };
}

/** As they stand in the object, with fields that we do not know. */
export function taintsOf(object: unknown): readonly Taint[] {
  return listAt(object, 'spec', 'taints').filter(isTaint);
}

export function isAgentTaint({ key }: Taint): boolean {
  return agentTaintKeys.some((known) => known === key);
}

function conditionsOf(object: unknown): readonly unknown[] {
  return listAt(object, 'status', 'conditions');
}

function isAvailable(condition: unknown): boolean {
  if (!isRecord(condition) || condition.type !== 'NetworkUnavailable') return false;
  return condition.status === 'False' && condition.reason === availableReason;
}

function isTaint(value: unknown): value is Taint {
  return isRecord(value) && typeof value.key === 'string' && typeof value.effect === 'string';
}

function listAt(object: unknown, part: string, name: string): readonly unknown[] {
  const parent = isRecord(object) ? object[part] : undefined;
  const list = isRecord(parent) ? parent[name] : undefined;
  return Array.isArray(list) ? list : [];
}
