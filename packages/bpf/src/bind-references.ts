import { INSTRUCTION_BYTES, PseudoSource } from './instruction.ts';
import { NotSupportedError } from './not-supported-error.ts';
import type { LinkedProgram } from './spec.ts';

/** No verifier accepts it; unless it finds the call unreachable. */
const IMPOSSIBLE_HELPER = 2_002_000_000;

export interface KernelBinding {
  readonly mapFd: (map: string) => number;
  /** The fd of the map that holds a data section. */
  readonly sectionFd: (section: string) => number;
  /** Id of a kernel function in the kernel's BTF; undefined when it has none. */
  readonly kernelFunction: (name: string) => number | undefined;
}

/**
 * Fills in what only a running kernel knows, in a copy: the result is what BPF_PROG_LOAD takes. A kernel function that
 * is missing throws NotSupportedError, unless it is weak: then it may stand where the verifier finds dead code.
 */
export function bindReferences(program: LinkedProgram, binding: KernelBinding): Uint8Array {
  const instructions = Uint8Array.from(program.instructions);
  const view = new DataView(instructions.buffer);
  for (const reference of program.references) {
    const at = reference.instruction * INSTRUCTION_BYTES;
    switch (reference.kind) {
      case 'map':
        setSource(view, at, PseudoSource.mapFd);
        view.setInt32(at + 4, binding.mapFd(reference.map), true);
        view.setInt32(at + INSTRUCTION_BYTES + 4, 0, true);
        break;
      case 'data':
        setSource(view, at, PseudoSource.mapValue);
        view.setInt32(at + 4, binding.sectionFd(reference.section), true);
        view.setInt32(at + INSTRUCTION_BYTES + 4, reference.offset, true);
        break;
      case 'kfunc': {
        const id = binding.kernelFunction(reference.name);
        if (id === undefined && !reference.weak) {
          throw new NotSupportedError(`kernel function ${reference.name}, which ${program.name} calls`);
        }
        setSource(view, at, id === undefined ? 0 : PseudoSource.kfuncCall);
        view.setInt16(at + 2, 0, true);
        view.setInt32(at + 4, id ?? IMPOSSIBLE_HELPER, true);
        break;
      }
      case 'call':
      case 'callback':
        throw new TypeError(`${program.name} is not linked: ${reference.kind} of ${reference.function} is open`);
      default:
        reference satisfies never;
    }
  }
  return instructions;
}

/** The second byte of an instruction: destination register in the low half, source in the high one. */
export function setSource(view: DataView, at: number, source: number): void {
  view.setUint8(at + 1, (view.getUint8(at + 1) & 0x0f) | (source << 4));
}
