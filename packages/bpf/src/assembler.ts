import { INSTRUCTION_BYTES, OPCODE_CALL, OPCODE_LD_IMM64, PseudoSource } from './instruction.ts';

/**
 * Instructions by hand, for programs of a few lines such as feature probes. Registers are numbers: 0 the result,
 * 1 to 5 arguments, 6 to 9 kept over calls, 10 the frame pointer.
 */
export function assemble(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** dst = imm (sign extended to 64 bits) */
export function moveImmediate(dst: number, immediate: number): Uint8Array {
  return instruction({ opcode: 0xb7, dst, immediate });
}

/** dst = src */
export function move(dst: number, src: number): Uint8Array {
  return instruction({ opcode: 0xbf, dst, src });
}

/** dst += imm */
export function addImmediate(dst: number, immediate: number): Uint8Array {
  return instruction({ opcode: 0x07, dst, immediate });
}

/** *(u64 *)(dst + offset) = imm */
export function storeImmediate64(dst: number, offset: number, immediate: number): Uint8Array {
  return instruction({ opcode: 0x7a, dst, offset, immediate });
}

/** dst = *(u32 *)(src + offset) */
export function load32(dst: number, src: number, offset: number): Uint8Array {
  return instruction({ opcode: 0x61, dst, src, offset });
}

/** dst = *(u64 *)(src + offset) */
export function load64(dst: number, src: number, offset: number): Uint8Array {
  return instruction({ opcode: 0x79, dst, src, offset });
}

/** Skips `offset` instructions when dst is not 0. */
export function jumpIfNotZero(dst: number, offset: number): Uint8Array {
  return instruction({ opcode: 0x55, dst, offset });
}

/** dst = the map */
export function loadMap(dst: number, fd: number): Uint8Array {
  return assemble(
    instruction({ opcode: OPCODE_LD_IMM64, dst, src: PseudoSource.mapFd, immediate: fd }),
    instruction({ opcode: 0 }),
  );
}

/** dst = a function of this program, for helpers that call back; `offset` counts from the next instruction. */
export function loadFunction(dst: number, offset: number): Uint8Array {
  return assemble(
    instruction({ opcode: OPCODE_LD_IMM64, dst, src: PseudoSource.function, immediate: offset }),
    instruction({ opcode: 0 }),
  );
}

/** r0 = helper(r1…r5), BPF_FUNC_* */
export function callHelper(helper: number): Uint8Array {
  return instruction({ opcode: OPCODE_CALL, immediate: helper });
}

/** r0 = function of this program; `offset` counts from the next instruction. */
export function callFunction(offset: number): Uint8Array {
  return instruction({ opcode: OPCODE_CALL, src: PseudoSource.call, immediate: offset });
}

/** r0 = kernel function, by its id in the kernel's BTF */
export function callKernelFunction(btfId: number): Uint8Array {
  return instruction({ opcode: OPCODE_CALL, src: PseudoSource.kfuncCall, immediate: btfId });
}

export function exit(): Uint8Array {
  return instruction({ opcode: 0x95 });
}

interface Fields {
  readonly opcode: number;
  readonly dst?: number;
  readonly src?: number;
  readonly offset?: number;
  readonly immediate?: number;
}

function instruction({ opcode, dst = 0, src = 0, offset = 0, immediate = 0 }: Fields): Uint8Array {
  const view = new DataView(new ArrayBuffer(INSTRUCTION_BYTES));
  view.setUint8(0, opcode);
  view.setUint8(1, (src << 4) | dst);
  view.setInt16(2, offset, true);
  view.setInt32(4, immediate, true);
  return new Uint8Array(view.buffer);
}
