import { setSource } from './bind-references.ts';
import { BpfFormatError } from './format-error.ts';
import { INSTRUCTION_BYTES, PseudoSource } from './instruction.ts';
import type { FunctionSpec, LineInfo, LinkedProgram, ObjectSpec, ProgramSpec, Reference } from './spec.ts';

/** The kernel's limit on subprograms (BPF_MAX_SUBPROGS). */
const FUNCTIONS_MAX = 256;

interface Placed {
  readonly spec: FunctionSpec;
  /** Where it begins in the linked program. */
  readonly start: number;
}

/**
 * Puts a program and every function that it reaches, by call or as a callback, into one array, the program first.
 * Throws BpfFormatError when a function is missing.
 */
export function linkProgram(program: ProgramSpec, object: ObjectSpec): LinkedProgram {
  const placed = placeFunctions(program, object);
  const instructions = new Uint8Array(placed.reduce((bytes, { spec }) => bytes + spec.instructions.length, 0));
  for (const { spec, start } of placed) instructions.set(spec.instructions, start * INSTRUCTION_BYTES);
  const references = placed.flatMap(({ spec, start }) => moved(spec.references, start));
  const starts = new Map(placed.map(({ spec, start }) => [spec.name, start]));
  const view = new DataView(instructions.buffer);
  for (const reference of references) resolveFunction(reference, { view, starts });
  const lines = placed.flatMap(({ spec, start }) => moved(spec.lines, start));
  return {
    name: program.name,
    section: program.section,
    type: program.type,
    attachType: program.attachType,
    attachTo: program.attachTo,
    instructions,
    references: references.filter(({ kind }) => kind !== 'call' && kind !== 'callback'),
    coreRelocations: placed.flatMap(({ spec, start }) => moved(spec.coreRelocations, start)),
    functionInfo: functionInfo(placed),
    lineInfo: lineInfo(placed, lines),
    lines,
    functions: placed.map(({ spec, start }) => ({ name: spec.name, instruction: start })),
  };
}

/** Breadth first, so that the order does not depend on anything but the code. */
function placeFunctions(program: ProgramSpec, object: ObjectSpec): Placed[] {
  const byName = new Map<string, FunctionSpec>();
  for (const spec of [...object.functions, ...object.programs]) byName.set(spec.name, spec);
  const placed: Placed[] = [];
  const seen = new Set([program.name]);
  const queue: FunctionSpec[] = [program];
  let start = 0;
  for (const spec of queue) {
    if (placed.length === FUNCTIONS_MAX)
      throw failure(object, spec, `${program.name} has over ${FUNCTIONS_MAX} functions`);
    placed.push({ spec, start });
    start += spec.instructions.length / INSTRUCTION_BYTES;
    for (const reference of spec.references) {
      if (reference.kind !== 'call' && reference.kind !== 'callback') continue;
      if (seen.has(reference.function)) continue;
      const target = byName.get(reference.function);
      if (target === undefined)
        throw failure(object, spec, `${spec.name} calls ${reference.function}, which is missing`);
      seen.add(target.name);
      queue.push(target);
    }
  }
  return placed;
}

function failure(object: ObjectSpec, spec: FunctionSpec, problem: string): BpfFormatError {
  const offset = spec.sectionOffset * INSTRUCTION_BYTES;
  return new BpfFormatError({ object: object.name, section: spec.section, offset }, problem);
}

function moved<T extends { readonly instruction: number }>(records: readonly T[], start: number): T[] {
  return records.map((record) => ({ ...record, instruction: record.instruction + start }));
}

/** Calls and callbacks are relative to the next instruction. */
function resolveFunction(reference: Reference, code: { view: DataView; starts: ReadonlyMap<string, number> }): void {
  if (reference.kind !== 'call' && reference.kind !== 'callback') return;
  const target = code.starts.get(reference.function) ?? 0;
  const at = reference.instruction * INSTRUCTION_BYTES;
  const source = reference.kind === 'call' ? PseudoSource.call : PseudoSource.function;
  setSource(code.view, at, source);
  code.view.setInt32(at + 4, target - reference.instruction - 1, true);
  if (reference.kind === 'callback') code.view.setInt32(at + INSTRUCTION_BYTES + 4, 0, true);
}

/** The kernel wants all functions or none. */
function functionInfo(placed: readonly Placed[]): Uint8Array {
  if (placed.some(({ spec }) => spec.typeId === 0)) return new Uint8Array(0);
  return u32s(placed.flatMap(({ spec, start }) => [start, spec.typeId]));
}

/** Each function's first instruction must have a line; without func_info the kernel takes none. */
function lineInfo(placed: readonly Placed[], lines: readonly LineInfo[]): Uint8Array {
  const starts = new Set(lines.map(({ instruction }) => instruction));
  if (placed.some(({ spec, start }) => spec.typeId === 0 || !starts.has(start))) return new Uint8Array(0);
  return u32s(
    lines.flatMap((line) => [
      line.instruction,
      line.fileOffset,
      line.textOffset,
      ((line.line << 10) | (line.column & 0x3ff)) >>> 0,
    ]),
  );
}

function u32s(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value, true);
  return new Uint8Array(view.buffer);
}
