import { join } from 'node:path';
import { seededRandom } from '@sluice/testing';
import { labCgroup, processesIn } from '../../src/host/cgroup.ts';
import { untilReady } from '../agents.ts';
import { pause, type SoakRun, say } from './run.ts';

const soonMs = 8_000;

/** Half of the instants fall anywhere; the other half soon after the one before, into the start that it caused. */
export async function killAgents({ lab, options, nodes, ended }: SoakRun): Promise<void> {
  const random = seededRandom(options.seed);
  const first = Array.from({ length: Math.ceil(options.kills / 2) }, () => random() * options.seconds * 1000);
  const again = first.slice(0, Math.floor(options.kills / 2)).map((at) => at + random() * soonMs);
  const kills = first.flatMap((at, index) => {
    const node = nodes[Math.floor(random() * nodes.length)];
    return [at, again[index]].flatMap((when) => (node && when !== undefined ? [{ when, node }] : []));
  });
  const beginning = performance.now();
  for (const { when, node } of kills.sort((left, right) => left.when - right.when)) {
    await pause(beginning + when - performance.now(), ended);
    if (ended.aborted) return;
    const agent = processesIn(join(labCgroup(lab.name), node.name, 'agent'));
    for (const pid of agent) process.kill(pid, 'SIGKILL');
    say(agent.length > 0 ? `killed the agent of ${node.name}` : `the agent of ${node.name} is not even started`);
    if (agent.length > 0) void untilReady(node, agent[0]).then(() => say(`the agent of ${node.name} is ready`), say);
  }
}
