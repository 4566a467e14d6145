import type { Btf } from './btf.ts';
import type { BtfKind } from './btf-type.ts';
import { essentialName, type TypePair } from './core-access.ts';
import { type CoreValue, coreValue } from './core-value.ts';
import { INSTRUCTION_BYTES, OPCODE_CALL, OPCODE_LD_IMM64 } from './instruction.ts';
import type { CoreRelocation, LinkedProgram } from './spec.ts';

/** libbpf's number for "must not be reached": the verifier names it when it is. */
const POISON_HELPER = 195_896_080;
const CLASS_MASK = 0x07;
const SIZE_MASK = 0x18;
const Class = { ldx: 1, st: 2, stx: 3, alu: 4, alu64: 7 } as const;
/** BPF_W, BPF_H, BPF_B, BPF_DW in an opcode. */
const sizeBits: Readonly<Record<number, number>> = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 };

/**
 * Adjusts a program's instructions to the running kernel's types (CO-RE). Only the types that the program names are
 * looked at. What the kernel lacks becomes an instruction that the verifier refuses if it can be reached.
 */
export function relocateCore(
  program: LinkedProgram,
  types: { readonly local: Btf; readonly kernel: Btf },
): LinkedProgram {
  if (program.coreRelocations.length === 0) return program;
  const instructions = Uint8Array.from(program.instructions);
  const code = { view: new DataView(instructions.buffer), types };
  const candidates = findCandidates(program.coreRelocations, types);
  for (const relocation of program.coreRelocations) {
    const { local, kernel } = coreValue(relocation, types, candidates.get(relocation.typeId) ?? []);
    const fits = kernel !== undefined && patch(code, { relocation, local, kernel });
    if (!fits) poison(code.view, relocation.instruction * INSTRUCTION_BYTES);
  }
  return { ...program, instructions, coreRelocations: [] };
}

/** For each type of the object the kernel's types of the same name and kind; one pass over the kernel's. */
function findCandidates(relocations: readonly CoreRelocation[], types: TypePair): Map<number, number[]> {
  const { local, kernel } = types;
  const typeIds = new Set(relocations.filter(({ kind }) => kind !== 'type-id-local').map(({ typeId }) => typeId));
  const names = new Set([...typeIds].map((id) => essentialName(rootName(local, id))));
  const byName = kernel.findAll(names);
  return new Map(
    [...typeIds].map((id) => {
      const { kind } = namedType(local, id);
      const sameName = byName.get(essentialName(rootName(local, id))) ?? [];
      return [id, sameName.filter((candidate) => kernel.type(candidate).kind === kind)];
    }),
  );
}

function rootName(btf: Btf, id: number): string {
  const { name, kind } = namedType(btf, id);
  if (name === '') throw btf.error(btf.recordOffset(id), `a relocation against an anonymous ${kind}`);
  return name;
}

/** Qualifiers have no name; a typedef is looked for as a typedef. */
function namedType(btf: Btf, id: number): { readonly name: string; readonly kind: BtfKind } {
  const type = btf.type(id);
  return type.kind === 'const' || type.kind === 'volatile' ? btf.resolve(id) : type;
}

interface Patch {
  readonly relocation: CoreRelocation;
  readonly local: CoreValue;
  readonly kernel: CoreValue;
}

/** False when the instruction cannot hold the value. */
function patch(code: { view: DataView; types: TypePair }, { relocation, local, kernel }: Patch): boolean {
  const { view } = code;
  const at = relocation.instruction * INSTRUCTION_BYTES;
  if (at + INSTRUCTION_BYTES > view.byteLength) throw unpatchable(code.types, relocation);
  const opcode = view.getUint8(at);
  if (opcode === OPCODE_LD_IMM64 && at + 2 * INSTRUCTION_BYTES <= view.byteLength) {
    view.setUint32(at + 4, Number(BigInt.asUintN(32, kernel.value)), true);
    view.setUint32(at + INSTRUCTION_BYTES + 4, Number(BigInt.asUintN(32, kernel.value >> 32n)), true);
    return true;
  }
  switch (opcode & CLASS_MASK) {
    case Class.alu:
    case Class.alu64:
      view.setInt32(at + 4, Number(BigInt.asIntN(32, kernel.value)), true);
      return true;
    case Class.ldx:
    case Class.st:
    case Class.stx: {
      if (kernel.value < 0n || kernel.value > 32767n) return false;
      view.setInt16(at + 2, Number(kernel.value), true);
      if (local.accessSize === kernel.accessSize || kernel.accessSize === undefined) return true;
      // The field has grown or shrunk: load what is there. Sign extension would be lost, pointers and unsigned are fine.
      const bits = sizeBits[kernel.accessSize];
      if (bits === undefined) return false;
      view.setUint8(at, (opcode & ~SIZE_MASK) | bits);
      return true;
    }
    default:
      throw unpatchable(code.types, relocation);
  }
}

function unpatchable(types: TypePair, relocation: CoreRelocation): Error {
  return types.local.error(
    0,
    `CO-RE relocation of instruction ${relocation.instruction}, which has no place for a value`,
  );
}

function poison(view: DataView, at: number): void {
  const wide = view.getUint8(at) === OPCODE_LD_IMM64 && at + 2 * INSTRUCTION_BYTES <= view.byteLength;
  for (const place of wide ? [at, at + INSTRUCTION_BYTES] : [at]) {
    view.setUint32(place, OPCODE_CALL, true);
    view.setInt32(place + 4, POISON_HELPER, true);
  }
}
