import { join } from 'node:path';
import { writeFileAtomic } from '@sluice/runtime';
import { labCgroup } from '../host/cgroup.ts';
import { processEntry } from '../host/program.ts';
import type { LabNode } from '../topology.ts';
import { type Cluster, kubeconfigFor } from './cluster.ts';
import { type Supervised, supervise } from './supervisor.ts';

/** The operator, on the first node that has power. */
export class OperatorSeat {
  readonly #cluster: Cluster;
  #nodeName: string | undefined;
  #process: Supervised | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get process(): Supervised | undefined {
    return this.#process;
  }

  /** Stays where it is if it can. */
  takeOneOf(nodes: readonly LabNode[]): void {
    const [first] = nodes;
    if (!first || nodes.some(({ name }) => name === this.#nodeName)) return;
    this.#nodeName = first.name;
    this.#process = startOperator(this.#cluster, first);
  }

  /** The node is about to lose its power: gives the operator that runs there, which the caller ends. */
  leave(node: LabNode): Supervised | undefined {
    if (node.name !== this.#nodeName) return undefined;
    const left = this.#process;
    left?.abandon();
    this.#process = undefined;
    this.#nodeName = undefined;
    return left;
  }
}

function startOperator(cluster: Cluster, node: LabNode): Supervised {
  const { layout, log } = cluster;
  const kubeconfig = join(layout.directory, 'operator.kubeconfig');
  writeFileAtomic(kubeconfig, kubeconfigFor(cluster, 'system:serviceaccount:kube-system:sluice-operator'));
  return supervise({
    name: 'operator',
    cgroup: join(labCgroup(layout.name), node.name, 'operator'),
    netns: layout.netns(node.name),
    hostname: node.name,
    command: [
      ...[process.execPath, processEntry('operator.js', 'packages/operator/src/main.ts')],
      ...['--config', layout.valuesFile, '--kubeconfig', kubeconfig, '--node-name', node.name],
    ],
    logFile: join(layout.logs, 'operator.log'),
    log,
  });
}
