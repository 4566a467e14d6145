/** Packets, maps and programs: by the kernel's own counts. */

import { DropReason, FrameWay, frameWayNames } from '@sluice/datapath';
import { counter, gauge, histogram } from '@sluice/runtime';
import { fullestShare } from '../nat-ports.ts';
import type { MetricsSource } from './source.ts';

type Source = MetricsSource;

const reasonAndDirection = ['reason', 'direction'];
const byDirection = ['direction'];

export const packetMetrics = [
  counter<Source>(
    'cilium_drop_count_total',
    'Packets dropped, by reason and direction; direction KERNEL: dropped by the kernel itself on a device of ours.',
    reasonAndDirection,
    ({ packets }) => packets.drops.map((drop) => [drop.reason, drop.direction.toUpperCase(), drop.packets]),
  ),
  counter<Source>(
    'cilium_drop_bytes_total',
    'Bytes of the packets dropped, by reason and direction.',
    reasonAndDirection,
    ({ packets }) => packets.drops.map((drop) => [drop.reason, drop.direction.toUpperCase(), drop.bytes]),
  ),
  counter<Source>('cilium_forward_count_total', 'Packets that went on, by direction.', byDirection, ({ packets }) =>
    packets.forwarded.map(({ direction, packets: count }) => [direction.toUpperCase(), count]),
  ),
  counter<Source>(
    'cilium_forward_bytes_total',
    'Bytes of the packets that went on, by direction.',
    byDirection,
    ({ packets }) => packets.forwarded.map(({ direction, bytes }) => [direction.toUpperCase(), bytes]),
  ),
  counter<Source>(
    'sluice_xdp_forward_count_total',
    'Packets that XDP has sent on itself (loadBalancer.acceleration), by way: tunnel, to a pod of another node; world, to a client. They are among those that went on as well.',
    ['way'],
    ({ agent }) => frames(agent, 'packets'),
  ),
  counter<Source>(
    'sluice_xdp_forward_bytes_total',
    'Bytes of the packets that XDP has sent on itself, by way.',
    ['way'],
    ({ agent }) => frames(agent, 'bytes'),
  ),
  counter<Source>(
    'sluice_untracked_packets_total',
    'Packets that passed without being remembered in conntrack, which had no room.',
    byDirection,
    ({ agent }) => untracked(agent),
  ),
  counter<Source>(
    'sluice_kernel_drops_missed_total',
    'Drops of the kernel that could not be counted, as its tracepoint was busy on that CPU.',
    [],
    ({ agent: { kernelDrops } }) => (kernelDrops.drops ? [[kernelDrops.drops.missed()]] : []),
  ),
  counter<Source>(
    'sluice_events_lost_total',
    'Events that the programs could not report, as the ring was full.',
    [],
    ({ agent: { events } }) => (events ? [[events.lost()]] : []),
  ),
  counter<Source>(
    'sluice_events_withheld_total',
    'Events held back because a CPU reported more than its budget; the packets are counted all the same.',
    ['type'],
    ({ agent: { events } }) =>
      events
        ? [
            ['drop', events.withheld()],
            ['trace', events.tracesWithheld()],
          ]
        : [],
  ),
];

function frames({ datapath }: Source['agent'], what: 'packets' | 'bytes'): [string, bigint][] {
  if (!datapath) return [];
  return Object.values(FrameWay).map((way): [string, bigint] => {
    const perCpu = datapath.maps.frameCounters.lookup(way) ?? [];
    return [frameWayNames[way], perCpu.reduce((sum, counts) => sum + counts[what], 0n)];
  });
}

/** From 0 on: of a counter that begins with its first value Prometheus sees no increase, and an alert would miss it. */
function untracked({ datapath }: Source['agent']): [string, bigint][] {
  if (!datapath) return [];
  return ([0, 1] as const).map((direction): [string, bigint] => {
    const perCpu = datapath.maps.counters.lookup({ reason: DropReason.CtCreateFailed, direction }) ?? [];
    return [direction === 0 ? 'INGRESS' : 'EGRESS', perCpu.reduce((sum, { packets }) => sum + packets, 0n)];
  });
}

const byMap = ['map_name'];

export const mapMetrics = [
  gauge<Source>(
    'cilium_bpf_map_pressure',
    'Fill of the map, from 0 to 1; those that evict (lru) refuse nothing when they are full.',
    byMap,
    ({ maps }) =>
      maps.flatMap(({ name, entries, maxEntries }) =>
        entries === undefined || maxEntries === 0 ? [] : [[name, entries / maxEntries] as const],
      ),
  ),
  gauge<Source>('cilium_bpf_map_capacity', 'Entries that the map has room for.', ['map_group'], ({ maps }) =>
    maps.filter(({ maxEntries }) => maxEntries > 0).map(({ name, maxEntries }) => [name, maxEntries]),
  ),
  counter<Source>(
    'cilium_bpf_map_ops_total',
    'Rows that this agent has looked up, updated or deleted in the map; what programs do is not in it.',
    ['map_name', 'operation', 'outcome'],
    ({ agent }) => mapOperations(agent),
  ),
  gauge<Source>(
    'cilium_bpf_maps_virtual_memory_max_bytes',
    'Kernel memory that our maps are charged for.',
    [],
    ({ maps }) => (maps.length === 0 ? [] : [[maps.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)]]),
  ),
  gauge<Source>('sluice_bpf_map_entries', 'Entries of the map.', byMap, ({ maps }) =>
    maps.flatMap(({ name, entries }) => (entries === undefined ? [] : [[name, entries] as const])),
  ),
  gauge<Source>('sluice_bpf_map_memory_bytes', 'Kernel memory that the map is charged for.', byMap, ({ maps }) =>
    maps.flatMap(({ name, bytes }) => (bytes === undefined ? [] : [[name, bytes] as const])),
  ),
];

function* mapOperations({ datapath }: Source['agent']): Generator<[string, string, string, number]> {
  for (const [name, counts] of datapath?.mapCounts() ?? []) {
    for (const [operation, { good, failed }] of Object.entries(counts)) {
      if (good + failed === 0) continue;
      yield [name, operation, 'success', good];
      yield [name, operation, 'fail', failed];
    }
  }
}

const byProgram = ['program'];

export const programMetrics = [
  gauge<Source>(
    'cilium_bpf_progs_virtual_memory_max_bytes',
    'Kernel memory that our programs are charged for.',
    [],
    ({ programs }) => (programs.length === 0 ? [] : [[programs.reduce((sum, { bytes }) => sum + bytes, 0)]]),
  ),
  gauge<Source>('sluice_bpf_program_instructions', 'Instructions of the program.', byProgram, ({ programs }) =>
    programs.map(({ name, instructions }) => [name, instructions]),
  ),
  gauge<Source>('sluice_bpf_program_links', 'Where the program is attached now.', byProgram, ({ programs }) =>
    programs.map(({ name, attachedTo }) => [name, attachedTo.length]),
  ),
  counter<Source>(
    'sluice_bpf_program_runs_total',
    'Runs of the program while the statistics of the kernel were on (kernel.bpf_stats_enabled).',
    byProgram,
    ({ programs }) => programs.flatMap(({ name, runs }) => (runs?.runCount ? [[name, runs.runCount] as const] : [])),
  ),
  counter<Source>('sluice_bpf_program_run_seconds_total', 'Time of those runs.', byProgram, ({ programs }) =>
    programs.flatMap(({ name, runs }) => (runs?.runCount ? [[name, Number(runs.runTimeNs) / 1e9] as const] : [])),
  ),
];

export const conntrackMetrics = [
  counter<Source>(
    'cilium_datapath_conntrack_gc_runs_total',
    'Collections of expired connections, both families at once, by whether they came to their end.',
    ['status'],
    function* ({ agent }) {
      for (const { labels, count } of agent.tallies.collections.samples()) yield [labels[0] ?? '', count];
    },
  ),
  gauge<Source>(
    'cilium_datapath_conntrack_gc_entries',
    'Entries that the last collection found alive, and those that it deleted; aliases of translations count, too.',
    ['status'],
    ({ agent: { connections } }) => {
      const counts = connections.counts;
      if (counts === undefined) return [];
      return [
        ['alive', counts.alive],
        ['deleted', counts.deleted],
      ];
    },
  ),
  histogram<Source>(
    'cilium_datapath_conntrack_gc_duration_seconds',
    'How long collections took, pauses for the rest of the agent included.',
    ['status'],
    ({ agent }) => agent.tallies.collections.samples(),
  ),
  gauge<Source>(
    'cilium_nat_endpoint_max_connection',
    "Share of an address's ports that connections to one destination (address, port, protocol) have, of the fullest one, from 0 to 1; at 1 new ones there are dropped. As the last collection found them; what sockets of the node have is not among them, and `sluice nat top` counts at once.",
    ['family'],
    ({ agent: { connections, values } }) => {
      const taken = connections.takenPorts;
      if (taken === undefined) return [];
      return [
        ...(values.ipv4.enabled ? [['ipv4', fullestShare(taken, 4)] as const] : []),
        ...(values.ipv6.enabled ? [['ipv6', fullestShare(taken, 6)] as const] : []),
      ];
    },
  ),
  gauge<Source>(
    'sluice_connections_established',
    'Established connections that the last collection found.',
    [],
    ({ agent: { connections } }) => (connections.counts === undefined ? [] : [[connections.counts.established]]),
  ),
];
