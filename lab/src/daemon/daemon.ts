import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { installationRoot, writeFileAtomic } from '@sluice/runtime';
import { type Listener, type Store, startApiServer } from '../apiserver/index.ts';
import { startControllers } from '../controllers/index.ts';
import { LabError } from '../error.ts';
import { readFaults } from '../faults.ts';
import { presentBuild } from '../host/build.ts';
import type { LabLayout } from '../layout.ts';
import { readSettings } from '../settings.ts';
import { inOrder, type LabTopology, labTopology } from '../topology.ts';
import { apiServerOf } from './cluster.ts';
import { type Applied, startControl } from './control.ts';
import { startDnsZone } from './dns-zone.ts';
import { startInternet } from './internet.ts';
import { Machines } from './machines.ts';
import { createMissing, ofFamilies, readManifests } from './manifests.ts';
import { podHooks } from './pod-hooks.ts';
import { labReport } from './report.ts';
import type { Supervised } from './supervisor.ts';

export const clusterDomain = 'cluster.local';
const clusterDns = { 4: '10.96.0.10', 6: 'fd00:10:96::a' };
const serviceRanges = { 4: { ipv4: '10.96.0.0/16' }, 6: { ipv6: 'fd00:10:96::/112' } };
const kubernetesService = { 4: '10.96.0.1', 6: 'fd00:10:96::1' };

/** Runs a lab: the API server and its controllers, and on each node a kubelet and the agent. Gives how to stop it. */
export async function runDaemon(layout: LabLayout, log: (message: string) => void): Promise<() => Promise<void>> {
  const settings = readSettings(layout);
  if (!settings) throw new LabError(`${layout.settingsFile} is missing`, { hint: 'start it with: sluice lab up' });
  const topology = labTopology(settings);
  const { families } = topology;
  const build = presentBuild();
  const state: { stage: string; store?: Store; machines?: Machines; internet?: Supervised } = {
    stage: 'starting the API server',
  };
  const machines = () => {
    if (state.machines) return state.machines;
    throw new LabError(`the lab is not that far yet: ${state.stage}`);
  };
  const control = await startControl(layout.socket, {
    report: () => labReport({ ...state, build, layout, topology, faults: readFaults(layout) }),
    apply: (paths) => apply(state.store, topology, paths),
    node: (name, action) => machines().switchNode(name, action),
    link: (name, action, device) => machines().setLink(name, action, device),
  });

  const loopback = `https://127.0.0.1:${settings.localPort}`;
  const api = await startApiServer({
    ...{
      directory: layout.apiServer,
      publicUrl: loopback,
      hooks: podHooks((name) => state.machines?.named(name)),
      log,
    },
    listeners: [...lanListeners(topology), { host: '127.0.0.1', port: settings.localPort }],
    names: { dns: [], addresses: inOrder(topology.apiServer) },
    serviceRanges: Object.assign({}, ...families.map((family) => serviceRanges[family])),
  });
  state.store = api.store;
  writeFileAtomic(
    layout.kubeconfig,
    api.kubeconfigFor('kubernetes-admin', { server: loopback, groups: ['system:masters'] }),
  );

  state.stage = 'creating the cluster';
  createMissing(api.store, ofFamilies(readManifests(join(installationRoot(), 'lab/manifests')), families));
  const apiServer = { ...apiServerOf(topology), clusterIp: kubernetesService[families[0] ?? 4] };
  const controllers = startControllers(api.store, { apiServer, log });
  mkdirSync(layout.dns, { recursive: true });
  const zone = startDnsZone(api.store, layout.dns, { domain: clusterDomain, outside: topology.world.names });

  state.stage = 'starting the nodes';
  state.internet = startInternet(layout, topology, log);
  const dns = { servers: families.map((family) => clusterDns[family]), domain: clusterDomain };
  const nodes = new Machines({ layout, topology, api, log }, dns);
  await nodes.start();
  state.machines = nodes;
  state.stage = 'running';
  return async () => {
    control.stop();
    await Promise.all([state.machines?.end(), state.internet?.stop()]);
    zone[Symbol.dispose]();
    controllers[Symbol.dispose]();
    await api.stop();
  };
}

/** Descriptors that lab-run hands over: the API server's addresses in the LAN (see `startDaemon` in up.ts). */
function lanListeners({ apiServer }: LabTopology): Listener[] {
  return inOrder(apiServer).map((_, index) => ({ fd: 3 + index }));
}

function apply(store: Store | undefined, { families }: LabTopology, paths: readonly string[]): Applied {
  if (!store) throw new LabError('the API server is not there yet');
  const objects = ofFamilies(paths.flatMap(readManifests), families);
  const workloads = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet' || kind === 'Pod');
  const namespaces = new Set(workloads.map(({ metadata }) => metadata.namespace ?? 'default'));
  return { created: createMissing(store, objects), namespaces: [...namespaces] };
}
