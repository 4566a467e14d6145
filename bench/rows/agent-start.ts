import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { NodeLayout } from '@sluice/lab';
import { untilReady } from '../../lab/test/agents.ts';
import { settledRows } from '../../lab/test/configuration-maps.ts';
import { cpuSecondsOf, startedAtMs } from '../../lab/test/process-cost.ts';
import { homelab } from '../environment/homelab.ts';
import { interrupted } from '../interruption.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

interface Start {
  readonly readyMs: number;
  /** What a busy machine does not change much. */
  readonly cpuMs: number;
}

export const agentStart: Row = {
  name: 'agent-start',
  sentence: 'An agent of the homelab killed with -9: from the next one’s start, Node’s own included, until it is ready',
  goal: 'median 0.9 s; the configuration maps are equal afterwards',
  async run({ quick, progress }) {
    await using home = await homelab();
    const { nodes } = home;
    progress('the lab is up');
    const before = await settledRows(nodes);
    const starts = await measureStarts(nodes, quick ? 3 : 12);
    progress('comparing the configuration maps');
    const after = await settledRows(nodes);
    const changed = nodes.filter((_, index) => !isDeepStrictEqual(before[index], after[index]));
    const readyMs = starts.map((start) => start.readyMs);
    return {
      figures: [
        {
          what: `start to ready, median of ${starts.length}`,
          value: median(readyMs),
          unit: 'ms',
          goal: { atMost: 900 },
        },
        { what: 'the slowest of them', value: Math.max(...readyMs), unit: 'ms' },
        { what: 'CPU time of a start, median', value: median(starts.map((start) => start.cpuMs)), unit: 'ms' },
        {
          what: 'nodes whose configuration maps differ after it',
          value: changed.length,
          unit: '',
          goal: { atMost: 0 },
        },
      ],
      notes: [`Load: ${await home.load()}.`, 'A start among 10,000 services is in the row full-sync.'],
    };
  },
};

async function measureStarts(nodes: readonly NodeLayout[], count: number): Promise<Start[]> {
  const measured: Start[] = [];
  for (let round = 0; round < count; round += 1) {
    const node = nodes[round % nodes.length];
    if (!node) break;
    const killed = await untilReady(node);
    process.kill(killed, 'SIGKILL');
    const pid = await untilReady(node, killed);
    measured.push({ readyMs: Date.now() - startedAtMs(pid), cpuMs: 1000 * cpuSecondsOf(pid) });
    await delay(1_000, undefined, { signal: interrupted });
  }
  return measured;
}
