import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { recommendedEnvironment, recommendedNodeFlags } from '@sluice/agent';
import { installationRoot, writeFileAtomic } from '@sluice/runtime';
import { type ApiServer, type Listener, type Store, startApiServer } from '../apiserver/index.ts';
import { startControllers } from '../controllers/index.ts';
import { LabError } from '../error.ts';
import { presentBuild } from '../host/build.ts';
import { labCgroup } from '../host/cgroup.ts';
import { processEntry } from '../host/program.ts';
import { Kubelet } from '../kubelet/kubelet.ts';
import type { LabLayout, NodeLayout } from '../layout.ts';
import { readSettings } from '../settings.ts';
import { type LabNode, type LabTopology, labTopology } from '../topology.ts';
import { startControl } from './control.ts';
import { startDnsZone } from './dns-zone.ts';
import { createMissing, readManifests } from './manifests.ts';
import { podHooks } from './pod-hooks.ts';
import { labReport } from './report.ts';
import { type Supervised, supervise } from './supervisor.ts';

export const clusterDomain = 'cluster.local';
const clusterDns = ['10.96.0.10', 'fd00:10:96::a'];
// Descriptors that lab-run hands over: the API server's addresses in the LAN (see `startDaemon` in up.ts).
const lanListeners: readonly Listener[] = [{ fd: 3 }, { fd: 4 }];

/** Runs a lab: the API server and its controllers, and on each node a kubelet and the agent. Gives how to stop it. */
export async function runDaemon(layout: LabLayout, log: (message: string) => void): Promise<() => Promise<void>> {
  const settings = readSettings(layout);
  if (!settings) throw new LabError(`${layout.settingsFile} is missing`, { hint: 'start it with: sluice lab up' });
  const topology = labTopology(settings);
  const build = presentBuild();
  const kubelets = new Map<string, Kubelet>();
  const supervised: Supervised[] = [];
  const state: { stage: string; store: Store | undefined } = { stage: 'starting the API server', store: undefined };
  const control = await startControl(layout.socket, {
    report: () => labReport({ stage: state.stage, build, layout, topology, store: state.store, kubelets, supervised }),
    apply: (paths) => {
      if (!state.store) throw new LabError('the API server is not there yet');
      const objects = paths.flatMap(readManifests);
      const workloads = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet' || kind === 'Pod');
      const namespaces = new Set(workloads.map(({ metadata }) => metadata.namespace ?? 'default'));
      return { created: createMissing(state.store, objects), namespaces: [...namespaces] };
    },
  });

  const loopback = `https://127.0.0.1:${settings.localPort}`;
  const listeners = [...lanListeners, { host: '127.0.0.1', port: settings.localPort }];
  const api = await startApiServer({
    ...{ directory: layout.apiServer, listeners, publicUrl: loopback, hooks: podHooks(kubelets), log },
    names: { dns: [], addresses: [topology.apiServer4, topology.apiServer6] },
  });
  state.store = api.store;
  writeFileAtomic(
    layout.kubeconfig,
    api.kubeconfigFor('kubernetes-admin', { server: loopback, groups: ['system:masters'] }),
  );

  state.stage = 'creating the cluster';
  createMissing(api.store, readManifests(join(installationRoot(), 'lab/manifests')));
  const apiServer = { address: topology.apiServer4, port: topology.apiServerPort };
  const controllers = startControllers(api.store, { apiServer, log });
  mkdirSync(layout.dns, { recursive: true });
  const zone = startDnsZone(api.store, layout.dns, clusterDomain);

  state.stage = 'starting the nodes';
  supervised.push(...startProcesses({ layout, topology, api, log }));
  const dns = { servers: clusterDns, domain: clusterDomain };
  for (const node of topology.nodes) {
    const cgroup = join(labCgroup(layout.name), node.name);
    kubelets.set(node.name, new Kubelet({ layout, node, cgroup, store: api.store, dns, log }));
  }
  state.stage = 'running';
  return async () => {
    control.stop();
    for (const kubelet of kubelets.values()) kubelet[Symbol.dispose]();
    await Promise.all(supervised.map((process) => process.stop()));
    zone[Symbol.dispose]();
    controllers[Symbol.dispose]();
    await api.stop();
  };
}

interface Cluster {
  readonly layout: LabLayout;
  readonly topology: LabTopology;
  readonly api: ApiServer;
  readonly log: (message: string) => void;
}

/** The operator first: agents wait for the addresses that it gives to their nodes. */
function startProcesses(cluster: Cluster): Supervised[] {
  const [first] = cluster.topology.nodes;
  if (!first) return [];
  return [startOperator(cluster, first), ...cluster.topology.nodes.map((node) => startAgent(cluster, node))];
}

function startOperator({ layout, topology, api, log }: Cluster, node: LabNode): Supervised {
  const kubeconfig = join(layout.directory, 'operator.kubeconfig');
  writeKubeconfig(api, topology, kubeconfig, 'system:serviceaccount:kube-system:sluice-operator', ['system:masters']);
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

function startAgent({ layout, topology, api, log }: Cluster, node: LabNode): Supervised {
  const folders: NodeLayout = layout.node(node.name);
  for (const directory of [folders.runDirectory, folders.stateDirectory, folders.bpffs])
    mkdirSync(directory, { recursive: true });
  writeKubeconfig(api, topology, folders.kubeconfig, 'system:serviceaccount:kube-system:sluice', ['system:masters']);
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

function writeKubeconfig(api: ApiServer, topology: LabTopology, path: string, user: string, groups: string[]): void {
  const server = `https://${topology.apiServer4}:${topology.apiServerPort}`;
  writeFileAtomic(path, api.kubeconfigFor(user, { server, groups }));
}
