// Accelerated nodes: the program of XDP at real devices, and by itself on single frames.
import { join } from 'node:path';
import { Program } from '@sluice/bpf';
import { setOffload } from '@sluice/testing';
import { FrameDeviceFlag, type FrameWay } from '../src/index.ts';
import { pathsOn } from '../src/paths.ts';
import { testMode } from './mode.ts';
import type { TestNode } from './node.ts';
import type { Place } from './sockets.ts';

/** struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. */
const CONTEXT_WORDS = 6;
const DATA_END = 1;
const INGRESS_IFINDEX = 3;

/** The end of a cable; that of a node runs the program. */
export interface CableEnd {
  readonly node?: TestNode;
  readonly place: Place;
  readonly device: string;
}

/** Where the file's mode asks for it. */
export function accelerateInMode(ends: readonly CableEnd[]): void {
  if (!testMode.isAccelerated) return;
  prepareCable(...ends);
  for (const { node, device } of ends) if (node) testMode.accelerations.push(accelerate(node, [device]));
}

/** The wire has whole checksums, and a veth takes frames where its other end merges packets. */
export function prepareCable(...ends: readonly Pick<CableEnd, 'place' | 'device'>[]): void {
  for (const { place, device } of ends) {
    place.run(() => setOffload(device, 'transmitChecksums', false));
    place.run(() => setOffload(device, 'receiveMerging', true));
  }
}

export const XdpAction = { drop: 1, pass: 2, send: 3, redirect: 4 } as const;

/** Runs the program on a frame that came in by a device; what is sent goes nowhere. */
export type Runner = (device: string, frame: Uint8Array) => { readonly action: number; readonly frame: Uint8Array };

export interface Acceleration {
  /** Off: the program runs and lets all pass, for it may send nothing anywhere. */
  set(isOn: boolean): void;
  /** For many runs at once; on the node all the while. */
  running<Result>(section: (run: Runner) => Result): Result;
  readonly runOn: Runner;
  /** Packets sent so far. */
  count(way: FrameWay): number;
  /** Whether of each next hop, on each CPU, a packet is left to the stack again, the next one at once; or never from now on. */
  lookAtNextHops(isDue: boolean): void;
}

/** Later than any packet of a test. */
const NEVER_DUE = 2n ** 62n;

export function accelerate(
  node: TestNode,
  devices: readonly string[],
  mode: 'native' | 'generic' = 'native',
): Acceleration {
  const { maps } = node.datapath;
  const ifindexes = new Map(devices.map((device) => [device, node.netlink.links.get(device)?.ifindex ?? 0]));
  const underlay = FrameDeviceFlag.UnderlayIpv4 | FrameDeviceFlag.UnderlayIpv6;
  // A veth does not return frames, see next_hop.h.
  const driver = FrameDeviceFlag.Takes | FrameDeviceFlag.Fragments;
  const flags = underlay | (mode === 'generic' ? FrameDeviceFlag.Generic : driver);
  const set = (isOn: boolean) => {
    for (const ifindex of ifindexes.values()) maps.frameDevices.update(ifindex, isOn ? flags : 0);
  };
  for (const [device, ifindex] of ifindexes) node.run(() => node.datapath.attachXdp(device, { ifindex, mode }));
  set(true);
  const runWith =
    (program: Program): Runner =>
    (device, frame) => {
      const context = new Uint32Array(CONTEXT_WORDS);
      context[DATA_END] = frame.byteLength;
      context[INGRESS_IFINDEX] = ifindexes.get(device) ?? 0;
      const { returnValue, data } = program.testRun({ data: frame, context: new Uint8Array(context.buffer) });
      return { action: returnValue, frame: data ?? new Uint8Array() };
    };
  const running = <Result>(section: (run: Runner) => Result): Result => {
    using program = openPinnedProgram(node, 'xdp_from_network');
    return node.run(() => section(runWith(program)));
  };
  return {
    set,
    running,
    runOn: (device, frame) => running((run) => run(device, frame)),
    lookAtNextHops: (isDue) => {
      const checked = node.datapath.anyMap('next_hops_checked');
      if (checked === undefined) throw new Error('no map next_hops_checked');
      for (const [place, perCpu] of [...checked.entries()])
        checked.update(
          place,
          (perCpu as bigint[]).map(() => (isDue ? 0n : NEVER_DUE)),
        );
    },
    count: (way) => (maps.frameCounters.lookup(way) ?? []).reduce((sum, { packets }) => sum + Number(packets), 0),
  };
}

function openPinnedProgram(node: TestNode, name: string): Program {
  const paths = pathsOn(node.bpffs);
  const [set] = paths.programSets();
  if (set === undefined) throw new Error(`no programs are pinned below ${join(node.bpffs, 'sluice')}`);
  return Program.openPinned(paths.program(set, name), name);
}
