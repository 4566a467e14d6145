import { LabError } from '../error.ts';
import { changeFaults, readFaults, withCut, withHealed } from '../faults.ts';
import { setCarrier } from '../host/network.ts';
import type { ClusterDns } from '../kubelet/resolv-conf.ts';
import { cablesOf } from '../topology.ts';
import type { Cluster } from './cluster.ts';
import { Machine } from './machine.ts';
import { OperatorSeat } from './operator-seat.ts';
import type { Supervised } from './supervisor.ts';

export type NodeAction = 'kill' | 'stop' | 'start';
export type LinkAction = 'cut' | 'heal';

/** What was done, in words; nothing, if it was so already. */
export interface Done {
  readonly text: string;
  readonly isDone: boolean;
}

/** All nodes, and the operator on one of them. */
export class Machines {
  readonly #cluster: Cluster;
  readonly #operator: OperatorSeat;
  readonly #machines: ReadonlyMap<string, Machine>;

  constructor(cluster: Cluster, dns: ClusterDns) {
    this.#cluster = cluster;
    this.#operator = new OperatorSeat(cluster);
    const operator = this.#operator;
    this.#machines = new Map(
      cluster.topology.nodes.map((node) => [node.name, new Machine({ cluster, dns, operator, node })]),
    );
  }

  /** Those that somebody switched off stay off, and wholly: the last daemon may have ended in the middle of it. */
  async start(): Promise<void> {
    const { off } = readFaults(this.#cluster.layout);
    const all = [...this.#machines.values()];
    const on = all.filter(({ node }) => !off[node.name]);
    // The operator first: agents wait for the addresses that it gives to their nodes.
    this.#operator.takeOneOf(on.map(({ node }) => node));
    for (const machine of on) machine.run();
    await Promise.all(all.filter(({ node }) => off[node.name]).map((machine) => machine.powerOff()));
  }

  named(name: string): Machine | undefined {
    return this.#machines.get(name);
  }

  get supervised(): Supervised[] {
    const agents = [...this.#machines.values()].map(({ agent }) => agent);
    return [this.#operator.process, ...agents].filter((process) => process !== undefined);
  }

  async switchNode(name: string, action: NodeAction): Promise<Done> {
    const machine = this.#machine(name);
    const isWanted = machine.isOn === (action === 'start');
    if (isWanted) return { text: `${name} is ${action === 'start' ? 'on' : 'off'} already`, isDone: false };
    const text = await this.#switch(machine, action);
    this.#operator.takeOneOf([...this.#machines.values()].filter(({ isOn }) => isOn).map(({ node }) => node));
    return { text, isDone: true };
  }

  async setLink(name: string, action: LinkAction, device: string | undefined): Promise<Done> {
    const { layout, topology } = this.#cluster;
    const machine = this.#machine(name);
    const all = cablesOf(topology, name);
    const cables = all.filter(({ near }) => device === undefined || near.device === device);
    const names = cables.map(({ near }) => near.device);
    if (cables.length === 0)
      throw new LabError(`${name} has no device ${device}; it has ${all.map(({ near }) => near.device).join(' and ')}`);
    const cutBefore = readFaults(layout).cut[name] ?? [];
    const isDone = names.some((own) => cutBefore.includes(own) === (action === 'heal'));
    changeFaults(layout, action === 'cut' ? withCut(name, names) : withHealed(name, names));
    // Without power it has no devices; they come up, or do not, when it is switched on.
    const state = action === 'cut' ? 'down' : 'up';
    if (machine.isOn) await Promise.all(cables.map((cable) => setCarrier(layout, cable, state)));
    machine.kubelet?.checkNow();
    const what = `${name}: the cable of ${names.join(' and of ')} is ${action === 'cut' ? 'cut' : 'whole'}`;
    return { text: `${what}${isDone ? '' : ' already'}${machine.isOn ? '' : '; the node is off'}`, isDone };
  }

  async end(): Promise<void> {
    const ending = [...this.#machines.values()].map((machine) => machine.end());
    await Promise.all([...ending, this.#operator.process?.stop()]);
  }

  #machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (machine) return machine;
    throw new LabError(`there is no node ${name}; the lab's nodes are ${[...this.#machines.keys()].join(', ')}`);
  }

  async #switch(machine: Machine, action: NodeAction): Promise<string> {
    const { name } = machine.node;
    switch (action) {
      case 'kill':
        return `${name} is without power: ${await machine.kill()} processes were killed, its cables are dead`;
      case 'stop':
        await machine.stop();
        return `${name} is off: its pods, its kubelet and its agent have ended`;
      case 'start':
        await machine.start();
        return `${name} is on`;
    }
  }
}
