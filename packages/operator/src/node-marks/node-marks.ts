import { isConflict, isNotFound, isRecord, type KubeClient, resources } from '@sluice/kube';
import type { Clock, Logger } from '@sluice/runtime';
import type { ReadableTable, Table } from '@sluice/state';
import type { LabelledPod } from '../identities/labelled-pod.ts';
import { agentTaintKeys, availableReason, isAgentTaint, type MarkedNode, type Taint, taintsOf } from './marked-node.ts';

export interface NodeMarksOptions {
  readonly client: KubeClient;
  readonly nodes: ReadableTable<MarkedNode>;
  /** With the index `agentOf`. */
  readonly pods: Pick<Table<LabelledPod>, 'initialized' | 'by'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An agent that is replaced is back within seconds, and its node serves all the while. */
const patienceMs = 60_000;
const taint: Taint = { key: agentTaintKeys[0], effect: 'NoSchedule' };

/**
 * Tells the scheduler which nodes have an agent: a node whose agent is ready loses the taint with which it came and has
 * the condition NetworkUnavailable=False; one whose agent has not been ready for a minute gets the taint. A node that has no
 * agent pod at all is somebody else's.
 */
export class NodeMarks {
  readonly #options: NodeMarksOptions;
  /** By node, in milliseconds of the monotonic clock. */
  readonly #unreadySince = new Map<string, number>();

  constructor(options: NodeMarksOptions) {
    this.#options = options;
  }

  async round(signal: AbortSignal): Promise<void> {
    const { nodes, pods } = this.#options;
    if (!nodes.initialized || !pods.initialized) return;
    const failures: string[] = [];
    for (const node of nodes.list()) {
      if (signal.aborted) return;
      try {
        await this.#mark(node, signal);
      } catch (error) {
        // Others may have changed it meanwhile, which the watch tells.
        if (isNotFound(error) || isConflict(error)) continue;
        failures.push(`${node.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    this.#forgetGone();
    if (failures.length > 0) throw new Error(`mark nodes: ${failures.join('; ')}`);
  }

  async #mark(node: MarkedNode, signal: AbortSignal): Promise<void> {
    const agents = this.#options.pods.by('agentOf', node.name);
    const isReady = agents.some(({ agent }) => agent?.isReady);
    if (isReady || agents.length === 0) this.#unreadySince.delete(node.name);
    if (agents.length === 0) return;
    if (!isReady) {
      if (this.#isLongUnready(node.name) && node.agentTaints.length === 0) await this.#setTaints(node, [taint], signal);
      return;
    }
    if (node.agentTaints.length > 0) await this.#setTaints(node, [], signal);
    if (!node.saysAvailable) await this.#setAvailable(node, signal);
  }

  #isLongUnready(name: string): boolean {
    const nowMs = Number(this.#options.clock.monotonicNs() / 1_000_000n);
    const since = this.#unreadySince.get(name) ?? nowMs;
    this.#unreadySince.set(name, since);
    return nowMs - since >= patienceMs;
  }

  /** Those of others stay. The list has no keys to merge by, so it is written on the condition that nobody else has. */
  async #setTaints({ name }: MarkedNode, ours: readonly Taint[], signal: AbortSignal): Promise<void> {
    const { client, log } = this.#options;
    const object = await client.get(resources.nodes, { name, signal });
    const metadata = isRecord(object) && isRecord(object.metadata) ? object.metadata : {};
    const taints = [...taintsOf(object).filter((each) => !isAgentTaint(each)), ...ours];
    const patch = { metadata: { resourceVersion: metadata.resourceVersion }, spec: { taints } };
    await client.patch(resources.nodes, { name, patch, fieldManager: 'sluice-operator', signal });
    if (ours.length > 0)
      log.warn({ node: name }, 'the agent has not been ready for a minute: no new pods for the node');
    else log.info({ node: name }, 'the agent is ready: removed the taint that kept pods away');
  }

  async #setAvailable({ name }: MarkedNode, signal: AbortSignal): Promise<void> {
    const now = new Date(this.#options.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const condition = {
      type: 'NetworkUnavailable',
      status: 'False',
      reason: availableReason,
      message: 'the agent of Sluice is ready',
      lastTransitionTime: now,
      lastHeartbeatTime: now,
    };
    const patch = { status: { conditions: [condition] } };
    const common = { name, subresource: 'status', type: 'strategic', fieldManager: 'sluice-operator' } as const;
    await this.#options.client.patch(resources.nodes, { ...common, patch, signal });
  }

  #forgetGone(): void {
    for (const name of this.#unreadySince.keys()) if (!this.#options.nodes.has(name)) this.#unreadySince.delete(name);
  }
}
