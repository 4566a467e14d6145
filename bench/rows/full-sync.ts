import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf } from '../../lab/test/process-cost.ts';
import { type BenchNode, benchCluster, frontendRows } from '../environment/cluster.ts';
import { assertFillers, frontendCount } from '../environment/full-maps.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

const large = { services: 10_000, endpointsPerService: 25 };
const small = { services: 1_000, endpointsPerService: 25 };
const timeoutMs = 120_000;

interface Sync {
  readonly listedToFullS: number;
  readonly startToFullS: number;
  readonly peakMiB: number;
  readonly cpuS: number;
}

export const fullSync: Row = {
  name: 'full-sync',
  sentence:
    'A fresh agent in a cluster of 10,000 services with 25 endpoints each: from its first request for a list until the kernel has everything',
  goal: '<= 4 s, peak <= 450 MiB',
  async run({ quick, progress }) {
    const size = quick ? small : large;
    const syncs: Sync[] = [];
    for (let round = 0; round < (quick ? 1 : 3); round += 1) {
      progress('making the cluster');
      await using cluster = await benchCluster({ ...size, startAgents: false });
      const [node] = cluster.nodes;
      if (!node) throw new Error('the cluster has no node');
      progress('the agent starts');
      const began = process.hrtime.bigint();
      await node.agent.start();
      const fullNs = await untilFull(node, frontendRows(size.services));
      const listedNs = BigInt(await cluster.api.ask('/listed/endpointslices'));
      const pid = node.agent.pid();
      syncs.push({
        listedToFullS: Number(fullNs - listedNs) / 1e9,
        startToFullS: Number(fullNs - began) / 1e9,
        peakMiB: peakMiB(pid),
        cpuS: cpuSecondsOf(pid),
      });
      progress('comparing every service, slot and backend');
      assertFillers(node.bpffs, size);
    }
    const middle = (of: (sync: Sync) => number) => median(syncs.map(of));
    return {
      figures: [
        {
          what: 'from the first list to all in the maps',
          value: middle((one) => one.listedToFullS),
          unit: 's',
          goal: { atMost: 4 },
        },
        {
          what: 'peak of resident memory',
          value: Math.max(...syncs.map((one) => one.peakMiB)),
          unit: 'MiB',
          goal: { atMost: 450 },
        },
        { what: 'from the agent’s start', value: middle((one) => one.startToFullS), unit: 's' },
        { what: 'CPU time of the agent by then', value: middle((one) => one.cpuS), unit: 's' },
      ],
      notes: [
        `${size.services.toLocaleString('en-US')} services, ${(size.services * size.endpointsPerService).toLocaleString('en-US')} endpoints, all compared with what the API server has; median of ${syncs.length}.`,
        'Until the first lists are in the kernel the heap may grow fourfold between two collections: as V8 does for a small heap, garbage collection was half of the CPU time.',
        'What kube-proxy’s rule sets need to load 10,000 services with 2 endpoints each is in the row kube-proxy.',
      ],
    };
  },
};

/** A frontend is written when all that it leads to is there: their number says it all, and costs little to ask. */
async function untilFull({ bpffs, agent }: BenchNode, frontends: number): Promise<bigint> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; await delay(20)) {
    if (frontendCount(bpffs) >= frontends) return process.hrtime.bigint();
    if (agent.hasEnded()) throw new Error('the agent has ended before all was in the maps');
  }
  throw new Error(`${frontendCount(bpffs)} of ${frontends} frontends are there after ${timeoutMs / 1000} s`);
}

function peakMiB(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
