import {
  attachTracepoint,
  type BpfMap,
  type Btf,
  isPinned,
  Link,
  type LoadedObject,
  loadObject,
  Program,
  readKernelBtf,
  unpin,
} from '@sluice/bpf';
import { AddressFamily, close, getsockopt, SocketLevel, SocketOption, SocketType, socket } from '@sluice/ffi';
import type { Logger } from '@sluice/runtime';
import type { DropReasonText } from './drop-reasons.ts';
import { mapDescriptors } from './generated/maps.ts';
import type { KernelDropSettings } from './generated/structs.ts';
import { type KernelReasons, kernelReasonText, readKernelReasons } from './kernel-reasons.ts';
import { textOf } from './kernel-text.ts';
import type { DatapathMaps } from './maps.ts';
import { readObject } from './objects.ts';
import type { Paths } from './paths.ts';

export interface KernelDropCount extends DropReasonText {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Sees what the kernel drops on our devices. Disposing closes descriptors: the pinned link goes on counting. */
export interface KernelDrops extends Disposable {
  /** Not once somebody has removed the pin, and the link with it; true once disposed of. */
  isPinned(): boolean;
  /** Attaches anew when somebody removed the link. */
  ensurePinned(): void;
  /** By reason, most first. */
  counts(): KernelDropCount[];
  describe(reason: number, functionName: string): DropReasonText;
  /** Every text that `describe` may give, without the functions' names. */
  readonly texts: readonly string[];
  /** Packets that were freed while the program was at work on the same CPU: the kernel does not call it twice. */
  missed(): bigint;
  /** The one that counts; none once disposed of. */
  programs(): readonly Program[];
}

export interface KernelDropsOptions {
  readonly paths: Paths;
  /** By their names in C. */
  readonly pinned: ReadonlyMap<string, BpfMap>;
  readonly maps: DatapathMaps;
  readonly objectsDirectory: string;
  readonly log: Logger;
  readonly logDirectory: string | undefined;
}

/** The name of the link's pin. */
export const kernelDropsLink = 'kernel_drops';

/**
 * Throws NotSupportedError where the kernel tells nobody what it drops. Its tracepoint takes no other program in the
 * place of the one that is there: a pinned link with the same program and our maps stays; otherwise a new one takes
 * over, and for some 20 ms, until the kernel has let go of the old one, both may count.
 */
export function openKernelDrops(options: KernelDropsOptions): KernelDrops {
  using stack = new DisposableStack();
  using kernelBtf = readKernelBtf();
  const reasons = readKernelReasons(kernelBtf);
  options.maps.kernelSettings.update(0, settingsOf(reasons));
  const object = stack.use(load(options, kernelBtf));
  let attached = attach(options, programOf(object));
  stack.defer(() => attached[Symbol.dispose]());
  const owned = stack.move();
  const isLinkPinned = () => owned.disposed || isPinned(options.paths.link(kernelDropsLink));
  return {
    isPinned: isLinkPinned,
    ensurePinned() {
      if (isLinkPinned()) return;
      attached[Symbol.dispose]();
      attached = attach(options, programOf(object));
    },
    counts: () => readCounts(options.maps, reasons),
    describe: (reason, functionName) => kernelReasonText(reasons.nameOf(reason), functionName || undefined),
    texts: reasons.names.map((name) => kernelReasonText(name, undefined).text),
    missed: () => attached.statistics().recursionMisses,
    programs: () => (owned.disposed ? [] : [attached]),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function load(options: KernelDropsOptions, kernelBtf: Btf): LoadedObject {
  return loadObject(readObject(options.objectsDirectory, 'kfree'), {
    maps: Object.fromEntries(options.pinned),
    layouts: Object.values(mapDescriptors),
    kernelBtf,
    ...(options.logDirectory === undefined ? {} : { logDirectory: options.logDirectory }),
  });
}

function programOf(object: LoadedObject): Program {
  const program = object.programs.get('kfree_seen');
  if (program === undefined) throw new TypeError(`object ${object.name} has no program kfree_seen`);
  return program;
}

/** A descriptor of the program that the pinned link runs. */
function attach({ paths, pinned, log }: KernelDropsOptions, program: Program): Program {
  const path = paths.link(kernelDropsLink);
  if (isPinned(path)) {
    using link = Link.openPinned(path);
    const present = Program.openById(link.info().programId);
    if (isSame(present, program, pinned)) return present;
    present[Symbol.dispose]();
    unpin(path);
    log.info('the program that sees what the kernel drops is replaced');
  }
  using link = attachTracepoint(program);
  link.pin(path);
  return Program.openById(program.info().id);
}

/** The tag is a hash of the instructions, maps left aside; those must be ours, or nobody would read what it counts. */
function isSame(present: Program, wanted: Program, pinned: ReadonlyMap<string, BpfMap>): boolean {
  const [theirs, ours] = [present.info(), wanted.info()];
  const shared = new Set([...pinned.values()].map((map) => map.info.id));
  return theirs.tag === ours.tag && ours.mapIds.every((id) => !shared.has(id) || theirs.mapIds.includes(id));
}

/** KERNEL_REASON_WORDS of kfree.h. */
const WORDS = 4;
const WORD_BITS = 64;
/** No kernel has so many: never equal to a reason. */
const NO_REASON = 0xffff_ffff;

function settingsOf(reasons: KernelReasons): KernelDropSettings {
  const words = Array.from({ length: WORDS }, () => 0n);
  for (const reason of reasons.ignored) {
    const word = Math.floor(reason / WORD_BITS);
    if (word < words.length) words[word] = (words[word] ?? 0n) | (1n << BigInt(reason % WORD_BITS));
  }
  return {
    netnsCookie: ownNamespaceCookie(),
    ignoredReasons: words,
    unspecifiedReason: reasons.numberOf('NOT_SPECIFIED') ?? NO_REASON,
    tcIngressReason: reasons.numberOf('TC_INGRESS') ?? NO_REASON,
    tcEgressReason: reasons.numberOf('TC_EGRESS') ?? NO_REASON,
  };
}

function ownNamespaceCookie(): bigint {
  const fd = socket(AddressFamily.INET, SocketType.DGRAM);
  try {
    const bytes = getsockopt(fd, SocketLevel.SOCKET, SocketOption.NETNS_COOKIE, 8);
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  } finally {
    close(fd);
  }
}

/** One function has several places that drop: they are one line. */
function readCounts(maps: DatapathMaps, reasons: KernelReasons): KernelDropCount[] {
  const byText = new Map<string, KernelDropCount>();
  for (const [{ reason, location }, perCpu] of maps.kernelDrops.entries()) {
    const functionName = location === 0n ? undefined : functionAt(maps, location);
    const described = kernelReasonText(reasons.nameOf(reason), functionName);
    const before = byText.get(described.text);
    byText.set(described.text, {
      ...described,
      packets: perCpu.reduce((sum, counter) => sum + counter.packets, before?.packets ?? 0n),
      bytes: perCpu.reduce((sum, counter) => sum + counter.bytes, before?.bytes ?? 0n),
    });
  }
  return [...byText.values()].sort((left, right) => Number(right.packets - left.packets));
}

function functionAt(maps: DatapathMaps, location: bigint): string | undefined {
  const row = maps.kernelPlaces.lookup(location);
  return row && (textOf(row.name) || undefined);
}
