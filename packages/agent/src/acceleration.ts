import { type Datapath, FrameDeviceFlag } from '@sluice/datapath';
import { isSystemError } from '@sluice/ffi';
import type { Address } from '@sluice/net';
import type { FrameFeatures, Netlink } from '@sluice/netlink';
import type { Device, NodeFacts } from '@sluice/nodes';
import type { LifecyclePart, Logger } from '@sluice/runtime';
import { type Controller, type Controllers, Table } from '@sluice/state';
import type { StatusReport } from './report.ts';

/** `loadBalancer.acceleration` */
export type WantedAcceleration = 'disabled' | 'native' | 'best-effort' | 'generic' | 'testing-only';

/** A device that faces the network, and what runs at its XDP. */
export interface AcceleratedDevice {
  readonly name: string;
  readonly ifindex: number;
  readonly mode: 'native' | 'generic' | 'off';
  /** Why there is nothing, or what it cannot do; empty: all is well. */
  readonly why: string;
  /** FrameDeviceFlag */
  readonly flags: number;
}

export interface AccelerationOptions {
  readonly datapath: () => Datapath;
  readonly facts: () => NodeFacts;
  readonly devices: Table<Device>;
  readonly netlink: Netlink;
  readonly wanted: WantedAcceleration;
  readonly controllers: Controllers;
  readonly log: Logger;
}

/** Drivers change what they can do without a word: when a veth's other end begins to merge packets, for one. */
const intervalMs = 10_000;

/** Attaches the program of XDP where it is wanted and can be, and tells it which devices can send what it hands to them. */
export class Acceleration implements LifecyclePart {
  readonly name = 'acceleration';
  readonly table = new Table<AcceleratedDevice>({
    name: 'acceleration',
    key: (row) => row.name,
    columns: {
      Device: (row) => row.name,
      Index: (row) => String(row.ifindex),
      XDP: (row) => row.mode,
      Why: (row) => row.why,
    },
  });
  readonly #options: AccelerationOptions;
  #controller: Controller | undefined;

  constructor(options: AccelerationOptions) {
    this.#options = options;
  }

  start(): void {
    const { controllers, devices } = this.#options;
    this.#controller = controllers.start({ name: this.name, intervalMs, run: () => this.#look() });
    devices.subscribe(() => this.#controller?.trigger());
  }

  /** The programs go on. */
  async stop(): Promise<void> {
    await this.#controller?.stop();
  }

  report(): StatusReport['acceleration'] {
    return {
      wanted: this.#options.wanted,
      devices: this.table.list().map(({ name, mode, why }) => ({ name, mode, why })),
    };
  }

  /** Undefined: as wanted. Where a driver cannot, best-effort is content. */
  get problem(): string | undefined {
    if (this.#options.wanted === 'best-effort') return undefined;
    const wanting = this.table.list().filter(({ mode }) => mode === 'off');
    return wanting.length === 0 ? undefined : wanting.map(({ name, why }) => `${name}: ${why}`).join('; ');
  }

  #look(): void {
    const { wanted, devices } = this.#options;
    const chosen = wanted === 'disabled' ? [] : devices.list().filter(({ selected }) => selected);
    this.#detachOthers(new Set(chosen.map(({ name }) => name)));
    const mode = wanted === 'generic' || wanted === 'testing-only' ? 'generic' : 'native';
    const rows = chosen.map((device) => this.#accelerate(device, mode));
    this.#writeRows(rows);
    for (const { after } of this.table.replaceAll(rows)) if (after) this.#tell(after);
    this.table.markInitialized(this.name);
  }

  #detachOthers(chosen: ReadonlySet<string>): void {
    const datapath = this.#options.datapath();
    for (const name of datapath.listXdpLinks()) if (!chosen.has(name)) datapath.detachXdp(name);
  }

  #accelerate(device: Device, mode: 'native' | 'generic'): AcceleratedDevice {
    const { name, ifindex, kind } = device;
    if (mode === 'native' && kind === 'bond') {
      this.#options.datapath().detachXdp(name);
      return { name, ifindex, mode: 'off', why: bondIsOff, flags: 0 };
    }
    try {
      this.#attach(device, mode);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#options.datapath().detachXdp(name);
      return { name, ifindex, mode: 'off', why: this.#refusal(device, error.code), flags: 0 };
    }
    const underlay = underlayFlags(device, this.#options.facts());
    if (mode === 'generic') return { name, ifindex, mode, why: '', flags: underlay | FrameDeviceFlag.Generic };
    const { why, flags } = abilities(device, this.#options.netlink.links.frameFeatures(ifindex));
    return { name, ifindex, mode, why, flags: underlay | flags };
  }

  /** A link that is there already is left alone: drivers may start anew when they are given a program. */
  #attach({ name, ifindex }: Device, mode: 'native' | 'generic'): void {
    const datapath = this.#options.datapath();
    const link = datapath.links().find((candidate) => candidate.name === `xdp_${mode}_${name}`);
    if (link?.attached && link.ifindex === ifindex) return;
    datapath.attachXdp(name, { ifindex, mode });
  }

  #refusal({ ifindex }: Device, code: string): string {
    const other = this.#options.netlink.links.get(ifindex)?.xdpProgramId;
    if ((code === 'EBUSY' || code === 'EEXIST') && other !== undefined)
      return `program ${other} of somebody else is at its XDP ("bpftool net" shows whose): it is left there`;
    if (code === 'EOPNOTSUPP') return 'its driver runs no XDP programs';
    return `the kernel refuses it (${code}); its log ("dmesg") may say why`;
  }

  /** First what can be relied on no more. */
  #writeRows(rows: readonly AcceleratedDevice[]): void {
    const { frameDevices } = this.#options.datapath().maps;
    const wanted = new Map(rows.map(({ ifindex, flags }) => [ifindex, flags]));
    const present = new Map(frameDevices.entries());
    for (const ifindex of present.keys()) if (!wanted.has(ifindex)) frameDevices.delete(ifindex);
    for (const [ifindex, flags] of wanted) {
      if (present.get(ifindex) !== flags) frameDevices.update(ifindex, flags);
    }
  }

  #tell({ name, mode, why }: AcceleratedDevice): void {
    const level = mode === 'off' && this.#options.wanted !== 'best-effort' ? 'warn' : 'info';
    this.#options.log[level]({ device: name, mode, why }, `XDP of ${name}: ${mode}${why === '' ? '' : `, ${why}`}`);
  }
}

// bond_xdp_set gives the program to the bond's devices, whose frames name them and not the bond.
const bondIsOff = 'a bond, whose packets come to XDP by the devices below it; "generic" serves it';

function underlayFlags({ addresses }: Device, { nodeIpv4, nodeIpv6 }: NodeFacts): number {
  const has = (address: Address | undefined) => address !== undefined && addresses.includes(address);
  return (has(nodeIpv4) ? FrameDeviceFlag.UnderlayIpv4 : 0) | (has(nodeIpv6) ? FrameDeviceFlag.UnderlayIpv6 : 0);
}

function abilities({ kind }: Device, features: FrameFeatures | undefined): { why: string; flags: number } {
  const takes = features?.takes ?? false;
  // Of a veth see next_hop.h.
  const returns = features?.native === true && kind !== 'veth';
  const flags =
    (returns ? FrameDeviceFlag.Returns : 0) |
    (takes ? FrameDeviceFlag.Takes : 0) |
    (features?.takesFragments ? FrameDeviceFlag.Fragments : 0);
  if (takes) return { why: '', flags };
  const why =
    kind === 'veth'
      ? 'what leaves by it is left to TC: its other end takes no frames, "ethtool -K DEVICE gro on" there changes that'
      : 'what comes by another device and leaves by it is left to TC: its driver takes no frames of others';
  return { why, flags };
}
