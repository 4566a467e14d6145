import { close, Errno, openFd, SystemError } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { requireFeatures } from './features.ts';
import { Command, LinkType } from './kernel-constants.ts';
import type { BpfMap } from './map.ts';
import { openById, readObjectInfo } from './object-info.ts';
import { openPin, pinObject } from './pin.ts';
import type { Program } from './program.ts';
import { AttachType } from './program-type.ts';

/** What the kernel says about a link; which device or cgroup depends on the type. */
export interface LinkInfo {
  readonly id: number;
  readonly type: number;
  readonly programId: number;
  readonly attachType: number | undefined;
  /** TCX and XDP; 0 when the device is gone. In the namespace where the link was made. */
  readonly ifindex: number | undefined;
  readonly cgroupId: bigint | undefined;
}

/** An attachment. Disposing closes the descriptor: without a pin that detaches, with one it does not. */
export class Link implements Disposable {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  static openPinned(path: string): Link {
    return new Link(openPin(path, 'link'));
  }

  static openById(id: number): Link {
    return new Link(openById(Command.linkGetFdById, id));
  }

  /**
   * Puts another program in the place of the present one. Each packet sees one or the other, none sees neither.
   * ENOLINK: the device or cgroup is gone. `expected`: EPERM unless that one is there now.
   */
  update(program: Program, options: { expected?: Program } = {}): void {
    const REPLACE = 4;
    new Attributes(16)
      .u32(0, this.fd)
      .u32(4, program.fd)
      .u32(8, options.expected === undefined ? 0 : REPLACE)
      .u32(12, options.expected?.fd ?? 0)
      .call(Command.linkUpdate, `put program ${program.name} into link`);
  }

  /** Ends the attachment at once, whoever else holds the link. */
  detach(): void {
    new Attributes(4).u32(0, this.fd).call(Command.linkDetach, 'detach link');
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  info(): LinkInfo {
    const info = new Attributes(64);
    readObjectInfo(this.fd, info);
    const type = info.getU32(0);
    const onDevice = type === LinkType.tcx || type === LinkType.xdp;
    return {
      type,
      id: info.getU32(4),
      programId: info.getU32(8),
      ifindex: onDevice ? info.getU32(16) : undefined,
      attachType: type === LinkType.tcx ? info.getU32(20) : type === LinkType.cgroup ? info.getU32(24) : undefined,
      cgroupId: type === LinkType.cgroup ? info.getU64(16) : undefined,
    };
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.fd);
  }
}

export type TcxHook = 'ingress' | 'egress';

export interface AttachTcxOptions {
  readonly program: Program;
  /** In the network namespace of the calling thread. */
  readonly ifindex: number;
  readonly hook: TcxHook;
  /** Where among the programs of the hook: default last. Without `relativeTo` first or last of all. */
  readonly place?: 'before' | 'after';
  readonly relativeTo?: Program;
  /** ESTALE unless the hook's programs are still those that `queryTcx` told with this revision. */
  readonly expectedRevision?: bigint;
}

/** Attaches to a device's traffic control hook (Linux 6.6). */
export function attachTcx(options: AttachTcxOptions): Link {
  const { program, ifindex, hook, place, relativeTo } = options;
  const flags = place === undefined ? 0 : place === 'before' ? PLACE_BEFORE : PLACE_AFTER;
  const attributes = new Attributes(32)
    .u32(0, program.fd)
    .u32(4, ifindex)
    .u32(8, tcxAttachTypes[hook])
    .u32(12, flags)
    .u32(16, relativeTo?.fd ?? 0)
    .u64(24, options.expectedRevision ?? 0n);
  const result = attributes.attempt(Command.linkCreate);
  if (result >= 0) return new Link(result);
  // An older kernel takes the attach type for nonsense; so it does the rest: ask before blaming the kernel.
  if (result === -Errno.EINVAL) requireFeatures('TCX link');
  throw new SystemError('bpf', -result, `attach ${program.name} to ${hook} of device ${ifindex}`);
}

const PLACE_BEFORE = 1 << 3;
const PLACE_AFTER = 1 << 4;
const tcxAttachTypes: Record<TcxHook, number> = { ingress: AttachType.tcxIngress, egress: AttachType.tcxEgress };

/** Before the driver makes socket buffers, or on those that it has made. */
export type XdpMode = 'native' | 'generic';

export interface AttachXdpOptions {
  readonly program: Program;
  /** In the network namespace of the calling thread. */
  readonly ifindex: number;
  readonly mode: XdpMode;
}

/**
 * Attaches to a device's XDP hook (Linux 5.9), which takes one program. EBUSY: it has one, in the same mode; EEXIST: in
 * the other; EOPNOTSUPP: the driver has no native mode; others are the driver's own.
 */
export function attachXdp({ program, ifindex, mode }: AttachXdpOptions): Link {
  const attributes = new Attributes(32)
    .u32(0, program.fd)
    .u32(4, ifindex)
    .u32(8, AttachType.xdp)
    .u32(12, xdpModeFlags[mode]);
  return new Link(attributes.call(Command.linkCreate, `attach ${program.name} to ${mode} XDP of device ${ifindex}`));
}

const xdpModeFlags: Record<XdpMode, number> = { generic: 1 << 1, native: 1 << 2 };

export interface AttachCgroupOptions {
  readonly program: Program;
  /** A cgroup v2 directory, or a descriptor of one. */
  readonly cgroup: string | number;
  /** AttachType.cgroup… */
  readonly attachType: number;
}

/** Attaches to a cgroup: its sockets and those of all groups below. Programs of groups below run first. */
export function attachCgroup(options: AttachCgroupOptions): Link {
  const { program, cgroup, attachType } = options;
  const owned = typeof cgroup === 'string' ? openFd(cgroup) : undefined;
  try {
    const attributes = new Attributes(32)
      .u32(0, program.fd)
      .u32(4, typeof cgroup === 'number' ? cgroup : (owned ?? 0))
      .u32(8, attachType);
    return new Link(attributes.call(Command.linkCreate, `attach ${program.name} to cgroup ${cgroup}`));
  } finally {
    if (owned !== undefined) close(owned);
  }
}

/** Makes an iterator of a program; `map` for those that walk a map's elements. Read it with `readIterator`. */
export function attachIterator(options: { program: Program; map?: BpfMap }): Link {
  const { program, map } = options;
  const info = map === undefined ? undefined : new Attributes(16).u32(0, map.fd).bytes;
  const attributes = new Attributes(32)
    .u32(0, program.fd)
    .u32(8, AttachType.traceIter)
    .pointer(16, info)
    .u32(24, info?.byteLength ?? 0);
  return new Link(attributes.call(Command.linkCreate, `attach iterator ${program.name}`));
}

/**
 * Attaches a `tp_btf/…` program to its tracepoint, for the whole machine and all its namespaces. Such a link takes no
 * other program later, and ends only with its last descriptor and pin.
 */
export function attachTracepoint(program: Program): Link {
  const attributes = new Attributes(32).u32(0, program.fd).u32(8, AttachType.traceRawTracepoint);
  return new Link(attributes.call(Command.linkCreate, `attach ${program.name} to its tracepoint`));
}

export interface AttachedProgram {
  readonly programId: number;
  /** 0 when it was attached without a link. */
  readonly linkId: number;
}

const ATTACHED_MAX = 64;

/** Who is attached to a device's hook, in the order of execution. */
export function queryTcx(ifindex: number, hook: TcxHook): { revision: bigint; programs: AttachedProgram[] } {
  const programIds = new Uint8Array(ATTACHED_MAX * 4);
  const linkIds = new Uint8Array(ATTACHED_MAX * 4);
  const attributes = new Attributes(64)
    .u32(0, ifindex)
    .u32(4, tcxAttachTypes[hook])
    .pointer(16, programIds)
    .u32(24, ATTACHED_MAX)
    .pointer(40, linkIds);
  attributes.call(Command.progQuery, `query ${hook} of device ${ifindex}`);
  const links = new Uint32Array(linkIds.buffer);
  const programs = [...new Uint32Array(programIds.buffer, 0, attributes.getU32(24))].map((programId, index) => ({
    programId,
    linkId: links[index] ?? 0,
  }));
  return { revision: attributes.getU64(56), programs };
}

/** Ids of the programs that run for a cgroup's sockets, those of the groups above among them, in the order of execution. */
export function queryCgroup(cgroup: string, attachType: number): number[] {
  const programIds = new Uint8Array(ATTACHED_MAX * 4);
  const fd = openFd(cgroup);
  try {
    const attributes = new Attributes(64)
      .u32(0, fd)
      .u32(4, attachType)
      .u32(8, QUERY_EFFECTIVE)
      .pointer(16, programIds)
      .u32(24, ATTACHED_MAX);
    attributes.call(Command.progQuery, `query cgroup ${cgroup}`);
    return [...new Uint32Array(programIds.buffer, 0, attributes.getU32(24))];
  } finally {
    close(fd);
  }
}

const QUERY_EFFECTIVE = 1;
