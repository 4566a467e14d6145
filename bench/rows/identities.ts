import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type MapUsage, recommendedEnvironment, type StatusReport } from '@sluice/agent';
import { installationRoot } from '@sluice/runtime';
import { cpuSecondsOf, memoryOf } from '../../lab/test/process-cost.ts';
import { type BenchCluster, type BenchNode, benchCluster } from '../environment/cluster.ts';
import { startInside } from '../environment/inside.ts';
import type { Figure, Row } from '../row.ts';

const timeoutMs = 600_000;
const settleMs = 5_000;
const idleMs = 20_000;
const operatorFlags = ['--max-semi-space-size=1', '--optimize-for-size'];

export const identities: Row = {
  name: 'identities',
  sentence:
    'What 100,000 identities cost: the operator makes them for as many pods with labels of their own, an agent sees them all and 30,000 endpoints of 273 other nodes',
  goal: 'only told',
  onRequest: true,
  async run({ quick, progress }) {
    const [pods, endpoints] = quick ? [2_000, 1_000] : [100_000, 30_000];
    await using cluster = await benchCluster({ startAgents: false });
    const [node] = cluster.nodes;
    if (!node) throw new Error('the cluster has no node');
    const figures: Figure[] = await agentFigures(node, 'empty cluster');
    await node.agent.kill();
    progress(`${pods} pods`);
    await cluster.api.ask(`/fill?pods=${pods}`);
    figures.push(...(await operatorFigures(cluster, node, pods)));
    progress('an agent sees the identities');
    figures.push(...(await agentFigures(node, `${pods} identities`)));
    await node.agent.kill();
    progress('an agent sees the endpoints as well');
    await cluster.api.ask(`/publish?endpoints=${endpoints}`);
    figures.push(...(await agentFigures(node, `${pods} identities, ${endpoints} endpoints elsewhere`)));
    const maps = await node.agent.get<MapUsage[]>('/maps');
    const rows = maps.find(({ name }) => name === 'ipcache')?.entries ?? 0;
    const before = cpuSecondsOf(node.agent.pid());
    await delay(quick ? 1_000 : idleMs);
    const used = ((cpuSecondsOf(node.agent.pid()) - before) * 1e6) / (quick ? 1_000 : idleMs);
    figures.push(
      { what: 'rows of map ipcache', value: rows, unit: '' },
      { what: 'agent: CPU without changes', value: used, unit: 'millicores' },
    );
    return {
      figures,
      notes: [
        'An identity has eight labels, three of them with a value that no other has.',
        `The operator runs with \`${operatorFlags.join(' ')}\`, the agent with its recommended flags.`,
        'Map ipcache holds 65,536 rows: 32,000 pods with two addresses. What does not fit is an error on its share, and is reached by its prefix.',
      ],
    };
  },
};

async function agentFigures({ agent }: BenchNode, what: string): Promise<Figure[]> {
  const began = performance.now();
  await agent.start();
  await until('all lists', async () => {
    const { kubernetes } = await agent.get<StatusReport>('/status');
    return kubernetes.watches.every((watch) => watch.synced || watch.off !== undefined);
  });
  const seconds = (performance.now() - began) / 1000;
  await delay(settleMs);
  return [
    { what: `agent, ${what}: start until all lists are in`, value: seconds, unit: 's' },
    { what: `agent, ${what}: CPU time since its start`, value: cpuSecondsOf(agent.pid()), unit: 's' },
    ...memoryFigures(`agent, ${what}`, agent.pid()),
  ];
}

async function operatorFigures(cluster: BenchCluster, { netns, agent }: BenchNode, pods: number): Promise<Figure[]> {
  const program = join(installationRoot(), 'dist/operator.js');
  const command = [
    process.execPath,
    ...operatorFlags,
    program,
    '--kubeconfig',
    agent.kubeconfig,
    '--log-level',
    'warn',
  ];
  const began = performance.now();
  await using operator = await startInside({ netns }, command, { environment: recommendedEnvironment });
  await until('the identities', async () => Number(await cluster.api.ask('/count/ciliumidentities')) >= pods);
  const seconds = (performance.now() - began) / 1000;
  await delay(settleMs);
  const pid = operator.child.pid ?? 0;
  return [
    { what: `operator: ${pods} identities created`, value: seconds, unit: 's' },
    { what: 'operator: CPU time so far', value: cpuSecondsOf(pid), unit: 's' },
    ...memoryFigures('operator', pid),
  ];
}

function memoryFigures(what: string, pid: number): Figure[] {
  const { rssMiB, anonymousMiB } = memoryOf(pid);
  return [
    { what: `${what}, resident`, value: rssMiB, unit: 'MiB' },
    { what: `${what}, of it anonymous`, value: anonymousMiB, unit: 'MiB' },
  ];
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + timeoutMs; !(await holds()); await delay(200)) {
    if (performance.now() > end) throw new Error(`${what}: not after ${timeoutMs / 1000} s`);
  }
}
