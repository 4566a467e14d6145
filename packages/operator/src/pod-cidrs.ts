import { type EventRecorder, type KubeClient, KubeError, type NodeObject, resources } from '@sluice/kube';
import { type AddressFamily, formatPrefix, type Prefix } from '@sluice/net';
import type { Logger } from '@sluice/runtime';
import type { ReadableTable } from '@sluice/state';
import { nodeNeighbours, serviceNeighbours } from './neighbours.ts';
import { type Assignment, type Pool, type PoolPlan, planPodCidrs } from './pools.ts';

export interface PodCidrOptions {
  readonly client: KubeClient;
  readonly nodes: ReadableTable<NodeObject>;
  readonly pools: readonly Pool[];
  readonly families: readonly AddressFamily[];
  /** Networks of the node that we run on. */
  readonly lan: () => readonly Prefix[];
  readonly events: EventRecorder;
  readonly log: Logger;
}

/** Gives each node that has none its pod CIDRs. Throws when a write failed: whoever runs it tries again. */
export async function assignPodCidrs(options: PodCidrOptions, signal: AbortSignal): Promise<PoolPlan | undefined> {
  const { client, nodes, pools, families } = options;
  // Without pools Kubernetes gives them; before the first list every share would look free.
  if (pools.length === 0 || !nodes.initialized) return undefined;
  const list = nodes.list();
  const neighbours = [...(await serviceNeighbours(client, signal)), ...nodeNeighbours(list, options.lan())];
  const plan = planPodCidrs({ pools, families, neighbours, nodes: list });
  tell(plan, list, options);
  const failures: string[] = [];
  for (const assignment of plan.assignments) {
    if (signal.aborted) return plan;
    try {
      await assign(assignment, options, signal);
    } catch (error) {
      failures.push(`${assignment.node}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (failures.length > 0) throw new Error(`give pod CIDRs: ${failures.join('; ')}`);
  return plan;
}

async function assign(
  { node, podCidrs }: Assignment,
  { client, log, events }: PodCidrOptions,
  signal: AbortSignal,
): Promise<void> {
  const texts = podCidrs.map(formatPrefix);
  try {
    await client.patch(resources.nodes, {
      name: node,
      patch: { spec: { podCIDR: texts[0], podCIDRs: texts } },
      type: 'strategic',
      fieldManager: 'sluice-operator',
      signal,
    });
  } catch (error) {
    // The field can be set once (validation of Node.spec.podCIDRs): somebody was faster, and the watch will tell.
    if (error instanceof KubeError && (error.status === 422 || error.status === 404)) {
      log.info({ node, error }, 'a node has got pod CIDRs from somebody else, or is gone');
      return;
    }
    throw error;
  }
  log.info({ node, podCidrs: texts }, 'gave pod CIDRs to a node');
  events.record({ object: nodeReference(node), type: 'Normal', reason: 'PodCIDRAssigned', message: texts.join(', ') });
}

function tell(plan: PoolPlan, nodes: readonly NodeObject[], { events, log }: PodCidrOptions): void {
  for (const refusal of plan.refusals) log.error(refusal, 'a pool is refused');
  const reasons = plan.refusals.map(({ reason }) => `; ${reason}`).join('');
  for (const { node, reason } of plan.unserved) {
    log.warn({ node, reason }, 'a node gets no pod CIDR');
    const uid = nodes.find((candidate) => candidate.name === node)?.uid;
    const message = `${reason}${reasons}`;
    events.record({ object: nodeReference(node, uid), type: 'Warning', reason: 'PodCIDRNotAvailable', message });
  }
}

function nodeReference(name: string, uid?: string) {
  // Events about nodes bear the node's name as uid, as the kubelet writes them: `kubectl describe node` asks for it.
  return { apiVersion: 'v1', kind: 'Node', name, uid: uid ?? name };
}
