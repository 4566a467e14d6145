import { isDeepStrictEqual } from 'node:util';
import { seededRandom } from '@sluice/testing';
import { type BenchNode, benchCluster, sluiceCni } from '../environment/cluster.ts';
import { callCni } from '../environment/cni.ts';
import { type NodeInventory, nodeInventory } from '../environment/node-inventory.ts';
import { interrupted } from '../interruption.ts';
import type { Row } from '../row.ts';

/** Every so many cycles the agent is killed as well. */
const agentKilledEvery = 25;
/** Longer than an ADD takes: some are killed in the middle, some not at all. */
const killedAfterUsMax = 12_000;

export const cniKills: Row = {
  name: 'cni-kills',
  sentence:
    'Pods added and deleted with the executable killed at random in three of four ADDs and every fourth DEL, and the agent now and then: what is left',
  goal: 'nothing left, after 1,000 cycles in the long form',
  async run({ quick, long, progress }) {
    const cycles = long ? 1_000 : quick ? 30 : 150;
    await using cluster = await benchCluster({ services: 20 });
    const [node] = cluster.nodes;
    if (!node) throw new Error('the cluster has no node');
    const before = await nodeInventory(node);
    const random = seededRandom(1);
    const killed = { plugins: 0, agents: 0 };
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      interrupted.throwIfAborted();
      const netns = cluster.network.namespace();
      const call = { node, plugin: sluiceCni, config: node.cniConfig, prefix: `cycle${cycle}-`, netns: [netns] };
      const shot = () => ({ ...call, killAfterUs: 1 + Math.floor(random() * killedAfterUsMax) });
      const agentDies = cycle % agentKilledEvery === agentKilledEvery - 1;
      const adding = cycle % 4 === 0 && !agentDies ? callCni('ADD', call) : callCni('ADD', shot());
      if (agentDies) {
        await restart(node);
        killed.agents += 1;
      }
      const added = await adding;
      if (cycle % 4 === 1) await callCni('DEL', shot());
      // As a runtime does it: again until it has succeeded, here the first time.
      await callCni('DEL', call);
      killed.plugins += added.filter(({ status }) => status === 137).length;
      cluster.network.remove(netns);
      if (cycle % 100 === 99) progress(`${cycle + 1} cycles`);
    }
    const after = await nodeInventory(node);
    const left = differences(before, after);
    return {
      figures: [
        { what: `kinds of things left after ${cycles} cycles`, value: left.length, unit: '', goal: { atMost: 0 } },
      ],
      notes: [
        `${killed.plugins} ADDs and ${killed.agents} agents were killed.`,
        'Looked at: devices, endpoint files, pins, rows of the maps endpoints, netns_endpoints and ipcache, addresses taken.',
        ...left,
      ],
    };
  },
};

async function restart({ agent }: BenchNode): Promise<void> {
  await agent.kill();
  await agent.start();
}

function differences(before: NodeInventory, after: NodeInventory): string[] {
  const keys = Object.keys(before) as (keyof NodeInventory)[];
  return keys
    .filter((key) => !isDeepStrictEqual(before[key], after[key]))
    .map((key) => `Left: ${key} was ${JSON.stringify(before[key])}, is ${JSON.stringify(after[key])}.`);
}
