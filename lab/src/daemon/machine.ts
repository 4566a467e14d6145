import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { changeFaults, readFaults, switchedOff, switchedOn } from '../faults.ts';
import { killCgroup, labCgroup, makeCgroup, removeCgroup } from '../host/cgroup.ts';
import { unmount } from '../host/mounts.ts';
import { ensureNode, removeCables } from '../host/network.ts';
import { Kubelet } from '../kubelet/kubelet.ts';
import type { ClusterDns } from '../kubelet/resolv-conf.ts';
import { readSandbox } from '../kubelet/sandbox.ts';
import type { LabNode } from '../topology.ts';
import { startAgent } from './agent.ts';
import { apiServerOf, type Cluster } from './cluster.ts';
import type { OperatorSeat } from './operator-seat.ts';
import type { Supervised } from './supervisor.ts';

export interface MachineOptions {
  readonly cluster: Cluster;
  readonly dns: ClusterDns;
  readonly operator: OperatorSeat;
  readonly node: LabNode;
}

/** A node as a machine that has power or has not: its agent, its kubelet, and what they leave in the kernel. */
export class Machine {
  readonly node: LabNode;
  readonly #options: MachineOptions;
  readonly #cgroup: string;
  #running: { readonly agent: Supervised; readonly kubelet: Kubelet } | undefined;

  constructor(options: MachineOptions) {
    this.node = options.node;
    this.#options = options;
    this.#cgroup = join(labCgroup(options.cluster.layout.name), options.node.name);
  }

  get isOn(): boolean {
    return this.#running !== undefined;
  }

  get agent(): Supervised | undefined {
    return this.#running?.agent;
  }

  get kubelet(): Kubelet | undefined {
    return this.#running?.kubelet;
  }

  /** Its network is there already. */
  run({ hasBooted = false } = {}): void {
    const { cluster, dns } = this.#options;
    const { layout, topology, api, log } = cluster;
    const { node } = this;
    const agent = startAgent(cluster, node);
    const apiServer = apiServerOf(topology);
    const around = { layout, cgroup: this.#cgroup, store: api.store, apiServer, dns };
    const kubelet = new Kubelet({ ...around, node, hasBooted, log });
    this.#running = { agent, kubelet };
  }

  /** The daemon ends. */
  async end(): Promise<void> {
    this.#running?.kubelet[Symbol.dispose]();
    await this.#running?.agent.stop();
  }

  /** As after a reboot: what is on disk is there, and nothing else. */
  async start(): Promise<void> {
    const { layout, topology } = this.#options.cluster;
    makeCgroup(this.#cgroup);
    await ensureNode({ layout, topology, faults: readFaults(layout) }, this.node.name);
    changeFaults(layout, switchedOn(this.node.name));
    this.run({ hasBooted: true });
  }

  /** Orderly: the API server is told, pods end, then the agent. */
  async stop(): Promise<void> {
    const running = this.#leave('stopped');
    await running?.kubelet.shutDown();
    await Promise.all([running?.agent.stop(), running?.operator?.stop()]);
    await this.powerOff();
  }

  /** Everything at once, with no time to say anything: so its cables go first. Gives how many processes there were. */
  async kill(): Promise<number> {
    const { layout, topology } = this.#options.cluster;
    const running = this.#leave('killed');
    running?.agent.abandon();
    const silent = running?.kubelet.abandon();
    await removeCables(layout, topology, this.node.name);
    const count = await killCgroup(this.#cgroup);
    await silent;
    await this.powerOff();
    return count;
  }

  /** Takes away what lives in memory: processes, namespaces, pins, sockets. What is on disk stays. */
  async powerOff(): Promise<void> {
    const { layout, topology } = this.#options.cluster;
    const { netns, bpffs, runDirectory, pods } = layout.node(this.node.name);
    await removeCables(layout, topology, this.node.name);
    await killCgroup(this.#cgroup);
    const namespaces = [...podNamespaces(pods), netns];
    await unmount(namespaces);
    for (const path of [...namespaces, bpffs, runDirectory]) rmSync(path, { recursive: true, force: true });
    await removeCgroup(this.#cgroup);
  }

  /** It stays so until somebody switches it on, also when the daemon ends meanwhile. */
  #leave(how: 'killed' | 'stopped') {
    const { cluster, operator } = this.#options;
    changeFaults(cluster.layout, switchedOff(this.node.name, { how, since: new Date().toISOString() }));
    const running = this.#running;
    this.#running = undefined;
    return running && { ...running, operator: operator.leave(this.node) };
  }
}

function podNamespaces(pods: string): string[] {
  mkdirSync(pods, { recursive: true });
  const sandboxes = readdirSync(pods).map((uid) => readSandbox({ pods }, uid));
  return sandboxes.flatMap((sandbox) => (sandbox && !sandbox.isHostNetwork ? [sandbox.netns] : []));
}
