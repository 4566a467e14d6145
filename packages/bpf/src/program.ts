import { readFileSync } from 'node:fs';
import { close } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { Command } from './kernel-constants.ts';
import { nameAt, openById, readObjectInfo } from './object-info.ts';
import { openPin, pinObject } from './pin.ts';
import { ProgramType } from './program-type.ts';

/** What the kernel says about a loaded program. */
export interface ProgramInfo {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** Hash of the instructions, in hex: equal programs have equal tags. */
  readonly tag: string;
  /** After the verifier's rewriting. */
  readonly instructions: number;
  /** Instructions the verifier walked, over all paths: its measure of complexity. Limit: one million. */
  readonly verifiedInstructions: number;
  readonly jitedBytes: number;
  /** CLOCK_BOOTTIME */
  readonly loadedAtNs: bigint;
  readonly mapIds: readonly number[];
}

/** Counted only while statistics are enabled, see `enableStatistics`. */
export interface ProgramStatistics {
  readonly runCount: bigint;
  readonly runTimeNs: bigint;
  /** Runs skipped because the program was already running on that CPU. */
  readonly recursionMisses: bigint;
}

/** A program in the kernel. Disposing closes this descriptor; links and pins keep the program. */
export class Program implements Disposable {
  readonly fd: number;
  readonly type: number;
  /** As in the object; the kernel cuts it to 15 characters. */
  readonly name: string;
  #open = true;

  constructor(fd: number, name: string, type: number) {
    this.fd = fd;
    this.name = name;
    this.type = type;
  }

  /** Without a name of the caller's it has the one that the kernel has cut. */
  static openPinned(path: string, name?: string): Program {
    return programOf(openPin(path, 'program'), name);
  }

  static openById(id: number): Program {
    return programOf(openById(Command.progGetFdById, id));
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  info(): ProgramInfo {
    return readProgramInfo(this.fd);
  }

  statistics(): ProgramStatistics {
    const info = new Attributes(INFO_BYTES);
    readObjectInfo(this.fd, info);
    return { runTimeNs: info.getU64(192), runCount: info.getU64(200), recursionMisses: info.getU64(208) };
  }

  /** Kernel memory that the program is charged for, in bytes. */
  memoryBytes(): number {
    const text = readFileSync(`/proc/self/fdinfo/${this.fd}`, 'utf8');
    return Number(/^memlock:\s*(\d+)/m.exec(text)?.[1] ?? 0);
  }

  testRun(options: TestRunOptions = {}): TestRunResult {
    return testRun(this, options);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.fd);
  }
}

export interface TestRunOptions {
  /** The packet, from its Ethernet header on (XDP and TCX). */
  readonly data?: Uint8Array;
  /** struct __sk_buff, xdp_md, or a syscall program's argument. */
  readonly context?: Uint8Array;
  /** The packet is not reset between the runs. Default 1. */
  readonly repeat?: number;
}

export interface TestRunResult {
  readonly returnValue: number;
  /** The packet as the program left it; undefined when none was given. */
  readonly data: Uint8Array | undefined;
  readonly context: Uint8Array | undefined;
  /** Of one run, averaged over the repetitions. */
  readonly durationNs: number;
}

// A program may push headers in front of the packet; more than this has no room in front of it.
const GROWTH_BYTES_MAX = 4096;

function testRun(program: Program, options: TestRunOptions): TestRunResult {
  const { data, repeat = 1 } = options;
  const isSyscall = program.type === ProgramType.syscall;
  const dataOut = data && new Uint8Array(data.byteLength + GROWTH_BYTES_MAX);
  // The kernel writes a syscall program's context back in place and refuses a second buffer (EINVAL).
  const context = options.context && Uint8Array.from(options.context);
  const contextOut = isSyscall || context === undefined ? undefined : new Uint8Array(context.byteLength);
  const attributes = new Attributes(80)
    .u32(0, program.fd)
    .u32(8, data?.byteLength ?? 0)
    .u32(12, dataOut?.byteLength ?? 0)
    .pointer(16, data)
    .pointer(24, dataOut)
    .u32(32, isSyscall ? 0 : repeat)
    .u32(40, context?.byteLength ?? 0)
    .u32(44, contextOut?.byteLength ?? 0)
    .pointer(48, context)
    .pointer(56, contextOut);
  attributes.call(Command.progTestRun, `test run ${program.name}`);
  return {
    returnValue: attributes.getU32(4),
    data: dataOut?.subarray(0, attributes.getU32(12)),
    context: isSyscall ? context : contextOut,
    durationNs: attributes.getU32(36),
  };
}

/** The kernel counts every program's runs and time until this is disposed of: some 20 ns a run. */
export function enableStatistics(): Disposable {
  const RUN_TIME = 0;
  const fd = new Attributes(4).u32(0, RUN_TIME).call(Command.enableStats, 'enable statistics');
  return { [Symbol.dispose]: () => close(fd) };
}

const INFO_BYTES = 232;

function programOf(fd: number, name?: string): Program {
  const info = new Attributes(INFO_BYTES);
  readObjectInfo(fd, info);
  return new Program(fd, name ?? nameAt(info, 64), info.getU32(0));
}

function readProgramInfo(fd: number): ProgramInfo {
  const sizes = new Attributes(INFO_BYTES);
  readObjectInfo(fd, sizes);
  const mapIds = new Uint8Array(sizes.getU32(52) * 4);
  const info = new Attributes(INFO_BYTES).u32(52, mapIds.byteLength / 4).pointer(56, mapIds);
  readObjectInfo(fd, info);
  return {
    type: info.getU32(0),
    id: info.getU32(4),
    tag: Buffer.from(info.bytes.subarray(8, 16)).toString('hex'),
    jitedBytes: info.getU32(16),
    instructions: info.getU32(20) / 8,
    loadedAtNs: info.getU64(40),
    mapIds: [...new Uint32Array(mapIds.buffer)],
    name: nameAt(info, 64),
    verifiedInstructions: info.getU32(216),
  };
}
