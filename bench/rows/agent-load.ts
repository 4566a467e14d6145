import { setTimeout as delay } from 'node:timers/promises';
import type { NodeLayout } from '@sluice/lab';
import { untilReady } from '../../lab/test/agents.ts';
import { cpuSecondsOf, memoryOf } from '../../lab/test/process-cost.ts';
import type { TestLab } from '../../lab/test/test-lab.ts';
import { homelab, sluice } from '../environment/homelab.ts';
import { interrupted } from '../interruption.ts';
import type { Row } from '../row.ts';

const settleMs = 10_000;

export const agentLoad: Row = {
  name: 'agent-load',
  sentence: 'What an agent takes in the homelab with the sample workload and no traffic, the most of three agents',
  goal: '<= 110 MiB resident, <= 60 anonymous, <= 20 millicores, <= 24 MiB of maps',
  async run({ quick, progress }) {
    await using home = await homelab();
    const { lab, nodes } = home;
    const agents = await Promise.all(nodes.map((node) => untilReady(node)));
    progress('the lab is up, the agents are left alone');
    await delay(quick ? 1_000 : settleMs, undefined, { signal: interrupted });
    const idleMs = quick ? 5_000 : 60_000;
    const before = agents.map(cpuSecondsOf);
    await delay(idleMs, undefined, { signal: interrupted });
    const milliCores = agents.map((pid, index) => ((cpuSecondsOf(pid) - (before[index] ?? 0)) * 1e6) / idleMs);
    const memory = agents.map(memoryOf);
    for (const { name } of nodes) await lab.must('exec', name, '--', sluice, 'status');
    const asked = agents.map(memoryOf);
    const mapsMiB = await Promise.all(nodes.map((node) => mapsOf(lab, node)));
    const mebibytes = (what: string, values: readonly number[], atMost: number) =>
      ({ what, value: Math.max(...values), unit: 'MiB', goal: { atMost } }) as const;
    return {
      figures: [
        mebibytes(
          'resident memory',
          memory.map(({ rssMiB }) => rssMiB),
          110,
        ),
        mebibytes(
          'of it anonymous',
          memory.map(({ anonymousMiB }) => anonymousMiB),
          60,
        ),
        mebibytes(
          'resident after `sluice status`',
          asked.map(({ rssMiB }) => rssMiB),
          110,
        ),
        {
          what: `CPU over ${idleMs / 1000} s`,
          value: Math.max(...milliCores),
          unit: 'millicores',
          goal: { atMost: 20 },
        },
        mebibytes('BPF maps', mapsMiB, 24),
      ],
      notes: [
        `Load: ${await home.load()}.`,
        'Memory is that of `/proc/PID/smaps_rollup`, maps are the kernel’s own account (`memlock`).',
      ],
    };
  },
};

async function mapsOf(lab: TestLab, node: NodeLayout): Promise<number> {
  const text = await lab.must('exec', node.name, '--', sluice, 'map', 'list', '-o', 'json');
  const maps: { bytes: number }[] = JSON.parse(text);
  return maps.reduce((sum, { bytes }) => sum + bytes, 0) / (1 << 20);
}
