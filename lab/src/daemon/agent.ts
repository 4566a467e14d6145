import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { recommendedEnvironment, recommendedNodeFlags } from '@sluice/agent';
import { writeFileAtomic } from '@sluice/runtime';
import { labCgroup } from '../host/cgroup.ts';
import { processEntry } from '../host/program.ts';
import type { LabNode } from '../topology.ts';
import { type Cluster, kubeconfigFor } from './cluster.ts';
import { type Supervised, supervise } from './supervisor.ts';

export function startAgent(cluster: Cluster, node: LabNode): Supervised {
  const { layout, log } = cluster;
  const folders = layout.node(node.name);
  for (const directory of [folders.runDirectory, folders.stateDirectory, folders.bpffs])
    mkdirSync(directory, { recursive: true });
  writeFileAtomic(folders.kubeconfig, kubeconfigFor(cluster, 'system:serviceaccount:kube-system:sluice'));
  const cgroup = join(labCgroup(layout.name), node.name);
  return supervise({
    name: `agent ${node.name}`,
    cgroup: join(cgroup, 'agent'),
    netns: folders.netns,
    hostname: node.name,
    environment: recommendedEnvironment,
    command: [
      ...[process.execPath, ...recommendedNodeFlags, processEntry('agent.js', 'packages/agent/src/main.ts')],
      ...['--node-name', node.name],
      ...['--config', layout.valuesFile, '--kubeconfig', folders.kubeconfig],
      ...['--state-dir', folders.stateDirectory, '--run-dir', folders.runDirectory],
      ...['--cgroup-root', cgroup, '--bpffs', folders.bpffs, '--proc', '/proc', '--sys', '/sys'],
      ...['--log-level', process.env.SLUICE_LOG_LEVEL ?? 'info'],
    ],
    logFile: join(layout.logs, `agent-${node.name}.log`),
    log,
  });
}
