import { readdirSync, readFileSync } from 'node:fs';
import type { NodeLayout } from '@sluice/lab';
import { untilReady } from '../agents.ts';
import { memoryOf } from '../process-cost.ts';
import type { TestLab } from '../test-lab.ts';

/** What an agent and its node hold; must end where it began. */
export interface Resources {
  readonly rssMiB: number;
  readonly descriptors: number;
  readonly devices: number;
  readonly routes: number;
  /** Of each map but those of traffic and its losses, which come and go by time. */
  readonly rows: Readonly<Record<string, number>>;
}

const ofTraffic = new Set([
  'affinities',
  'conntrack',
  'conntrack_new',
  'counters',
  'fragments',
  'kernel_drops',
  'kernel_places',
  'connected_sockets',
  'connected_translations',
  'translations',
]);
/** More than that is a leak: an agent that was asked and has worked keeps some of its heap. */
const rssGrowthMiBMax = 16;
const descriptorGrowthMax = 4;

export async function resourcesOf(lab: TestLab, node: NodeLayout): Promise<Resources> {
  const pid = await untilReady(node);
  const answer = await lab.must('exec', node.name, '--', 'sluice', 'map', 'list', '-o', 'json');
  const maps: { name: string; entries?: number }[] = JSON.parse(answer);
  const counted = maps.filter(({ name, entries }) => entries !== undefined && !ofTraffic.has(name));
  return {
    rssMiB: memoryOf(pid).rssMiB,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    devices: linesOf(pid, 'dev'),
    routes: linesOf(pid, 'route') + linesOf(pid, 'ipv6_route'),
    rows: Object.fromEntries(counted.map(({ name, entries }) => [name, entries ?? 0])),
  };
}

/** Of the namespace that the process lives in. */
function linesOf(pid: number, file: string): number {
  return readFileSync(`/proc/${pid}/net/${file}`, 'utf8').trim().split('\n').length;
}

/** Network namespaces of the lab: of its machines and its pods. */
export function namespaceCount(lab: TestLab): number {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`/${lab.name}/`) && line.includes(' nsfs ')).length;
}

/** What there is more or less of than before; empty: nothing leaked and nothing is lost. */
export function differences(before: Resources, after: Resources): string[] {
  const found: string[] = [];
  const grown = after.rssMiB - before.rssMiB;
  if (grown > rssGrowthMiBMax)
    found.push(`resident memory grew by ${grown.toFixed(0)} MiB to ${after.rssMiB.toFixed(0)}`);
  const opened = after.descriptors - before.descriptors;
  if (opened > descriptorGrowthMax) found.push(`${opened} more descriptors`);
  for (const what of ['devices', 'routes'] as const)
    if (before[what] !== after[what]) found.push(`${before[what]} ${what} before, ${after[what]} after`);
  for (const [map, entries] of Object.entries(after.rows))
    if (before.rows[map] !== entries) found.push(`map ${map}: ${before.rows[map]} rows before, ${entries} after`);
  return found;
}
