import { Errno, SystemError } from '@sluice/ffi';
import { Attributes } from './attributes.ts';
import { INSTRUCTION_BYTES } from './instruction.ts';
import { Command } from './kernel-constants.ts';
import { Program } from './program.ts';
import { ProgramType } from './program-type.ts';
import type { LineInfo } from './spec.ts';
import { keepLog, parseVerifierLog, VerifierError } from './verifier-error.ts';

/** A program with nothing left open: descriptors and kernel ids stand in its instructions. */
export interface LoadableProgram {
  readonly name: string;
  readonly type: number;
  readonly instructions: Uint8Array;
  readonly license: string;
  readonly attachType?: number | undefined;
  /** What a tracing program attaches to, in the kernel's BTF. */
  readonly attachBtfId?: number | undefined;
  /** XDP: reads and changes frames that lie in several buffers, as those of 9000 bytes do. */
  readonly takesFragments?: boolean;
  readonly debug?: DebugInfo | undefined;
  /** Where the log of a refused program is kept; default: a new directory in the system's temporary one. */
  readonly logDirectory?: string | undefined;
}

/** What lets the verifier check global functions one by one and speak of source lines. */
export interface DebugInfo {
  readonly btfFd: number;
  /** struct bpf_func_info, 8 bytes each. */
  readonly functionInfo: Uint8Array;
  /** struct bpf_line_info, 16 bytes each. */
  readonly lineInfo: Uint8Array;
  readonly lines: readonly LineInfo[];
}

/** The descriptor, or the negative errno; no log. */
export function attemptLoad(program: LoadableProgram): number {
  return attempt(encode(program));
}

const ATTEMPTS_MAX = 5;

/** A signal that arrives while the verifier works ends its work with EAGAIN; libbpf tries as often. */
function attempt(attributes: Attributes): number {
  for (let attempts = 1; ; attempts += 1) {
    const result = attributes.attempt(Command.progLoad);
    if (result !== -Errno.EAGAIN || attempts === ATTEMPTS_MAX) return result;
  }
}

/** Loads without a log, which is quicker; only a refused program is tried again with one. */
export function loadProgram(program: LoadableProgram): Program {
  const result = attemptLoad(program);
  if (result >= 0) return new Program(result, program.name, program.type);
  const cause = new SystemError('bpf', -result, `load program ${program.name}`);
  if (result === -Errno.EPERM) throw cause;
  const { fd, log } = loadWithLog(program);
  if (fd >= 0) return new Program(fd, program.name, program.type);
  // No word in the log: the kernel refused before it came to the verifier (unknown type, bad sizes).
  if (log.trim() === '') throw cause;
  throw new VerifierError({
    ...parseVerifierLog(log, program.debug?.lines),
    program: program.name,
    logPath: keepLog(log, { program: program.name, directory: program.logDirectory }),
    cause,
  });
}

const LOG_BYTES_FIRST = 256 * 1024;
const LOG_BYTES_MAX = 64 * 1024 * 1024;

function loadWithLog(program: LoadableProgram): { fd: number; log: string } {
  for (let bytes = LOG_BYTES_FIRST; ; bytes *= 4) {
    const log = new Uint8Array(bytes);
    const LOG_LEVEL_STEPS = 1;
    const attributes = encode(program).u32(24, LOG_LEVEL_STEPS).u32(28, bytes).pointer(32, log);
    const fd = attempt(attributes);
    // ENOSPC: the log did not fit, and what stands in the buffer is its end (since Linux 6.4).
    if (fd === -Errno.ENOSPC && bytes < LOG_BYTES_MAX) continue;
    const end = log.indexOf(0);
    return { fd, log: Buffer.from(end < 0 ? log : log.subarray(0, end)).toString() };
  }
}

function encode(program: LoadableProgram): Attributes {
  const attributes = new Attributes(152)
    .u32(0, program.type)
    .u32(4, program.instructions.byteLength / INSTRUCTION_BYTES)
    .pointer(8, program.instructions)
    .text(16, program.license)
    .u32(44, flagsOf(program))
    .name(48, program.name)
    .u32(68, program.attachType ?? 0)
    .u32(108, program.attachBtfId ?? 0);
  const { debug } = program;
  // Without a BTF id for each function the kernel takes neither.
  if (debug === undefined || debug.functionInfo.byteLength === 0) return attributes;
  return attributes
    .u32(72, debug.btfFd)
    .u32(76, FUNCTION_INFO_BYTES)
    .pointer(80, debug.functionInfo)
    .u32(88, debug.functionInfo.byteLength / FUNCTION_INFO_BYTES)
    .u32(92, LINE_INFO_BYTES)
    .pointer(96, debug.lineInfo)
    .u32(104, debug.lineInfo.byteLength / LINE_INFO_BYTES);
}

const FUNCTION_INFO_BYTES = 8;
const LINE_INFO_BYTES = 16;
// Syscall programs are always sleepable; the kernel wants to hear it.
const FLAG_SLEEPABLE = 1 << 4;
const FLAG_XDP_HAS_FRAGS = 1 << 5;

function flagsOf({ type, takesFragments }: LoadableProgram): number {
  return (type === ProgramType.syscall ? FLAG_SLEEPABLE : 0) | (takesFragments ? FLAG_XDP_HAS_FRAGS : 0);
}
